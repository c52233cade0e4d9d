"""Photon transfer finds what a simulated camera was made with, whatever the series looks like."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dipstream.calibrate import calibrate, mode_of, notes_of, warnings_of
from dipstream.calibrate.linearity import Unknown
from dipstream.errors import SourceError
from dipstream.frame import BadFrame, Frame, FrameInfo, Segment
from dipstream.source import FlatSource, Source

from .flat_series import (
    FULL_WELL,
    GAIN,
    OFFSET,
    READ_NOISE,
    Camera,
    Dimming,
    Series,
    measure,
    named,
    pair_frames,
    ramp,
    vignette,
)


def test_fifty_levels_of_512_px_give_gain_and_read_noise() -> None:
    camera = Camera(side=512)
    source = Dimming(pair_frames(camera, ramp(50), exposed=True))
    assert isinstance(source, Source)
    assert isinstance(source, FlatSource)
    (found,) = calibrate(source)
    assert source.asked == 50
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.005)
    assert found.read_noise_e.value == pytest.approx(READ_NOISE, rel=0.01)
    assert found.offset_dn.value == pytest.approx(OFFSET, abs=0.02)
    assert found.full_well_e is not None
    assert found.full_well_e.value == pytest.approx(FULL_WELL, rel=0.005)
    assert found.saturation_e is not None
    # EMVA's is the level of the largest variance: two levels a side of the edge
    assert found.saturation_e.value == pytest.approx(FULL_WELL, rel=0.05)
    assert (found.levels, len(found.pairs), found.dark.told_by) == (50, 50, "source")
    assert found.gain_e_per_dn.se < 0.001 * GAIN
    assert found.linearity_error_percent is not None
    assert found.linearity_error_percent.value < 0.02
    assert warnings_of(found) == []


def test_standard_errors_cover_the_truth() -> None:
    truth = np.array([OFFSET, GAIN, READ_NOISE])
    scores = []
    for seed in range(40):
        frames = pair_frames(Camera(side=64), ramp(12), seed=seed)
        found = measure(frames)
        values = (found.offset_dn, found.gain_e_per_dn, found.read_noise_e)
        scores.append([(v.value - t) / v.se for v, t in zip(values, truth, strict=True)])
    scatter = np.sqrt(np.mean(np.square(scores), axis=0))
    # χ² of 40: one in a thousand lies outside 0.67 … 1.36
    assert ((scatter > 0.65) & (scatter < 1.4)).all(), scatter
    assert (np.abs(np.mean(scores, axis=0)) < 3.3 / np.sqrt(40)).all()


def test_the_order_of_levels_does_not_matter() -> None:
    frames = pair_frames(Camera(), ramp())
    order = np.random.default_rng(1).permutation(20)
    mixed = [frames[2 * level + half] for level in order for half in range(2)]
    straight, found = measure(frames), measure(mixed)
    assert found.gain_e_per_dn.value == pytest.approx(straight.gain_e_per_dn.value, rel=1e-9)
    assert found.read_noise_e.value == pytest.approx(straight.read_noise_e.value, rel=1e-9)
    assert found.full_well_e is not None
    assert straight.full_well_e is not None
    assert found.full_well_e.value == pytest.approx(straight.full_well_e.value, rel=1e-9)
    assert found.dark.told_by == "darkest"
    # beyond saturation levels cannot be told apart
    assert found.levels == straight.levels == 17


@pytest.mark.parametrize("missing", [0, 1, 14, 15, 31, 32, 33, 39])
def test_a_missing_frame_costs_its_own_pair_only(missing: int) -> None:
    # the last levels lie 1 % apart: a shift would pair what does not belong together
    frames = pair_frames(Camera(), [*ramp(15), *(FULL_WELL * np.linspace(0.9, 0.95, 5))])
    alone = missing ^ 1
    del frames[missing]
    found = measure(frames)
    assert len(found.pairs) == 19
    used = {frame.number for pair in found.pairs for frame in (pair.first, pair.second)}
    left = alone if alone < missing else alone - 1
    assert used == set(range(1, 40)) - {left + 1}
    (text,) = [w for w in warnings_of(found) if "no partner" in w]
    assert text.startswith(f"frame {left + 1} is left out")
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.02)


@pytest.mark.parametrize("kind", [Series, Dimming])
def test_a_pair_whose_light_changed_is_left_out(kind: type[Series]) -> None:
    camera = Camera()
    frames = pair_frames(camera, ramp())
    rng = np.random.default_rng(5)
    frames[15] = replace(frames[15], data=camera.expose(1.1 * ramp()[7], rng))
    (found,) = calibrate(kind(frames))
    assert len(found.pairs) == 19
    (text,) = [w for w in warnings_of(found) if "left out" in w]
    assert "frames 15 and 16" in text
    assert "10.0% of the light" in text or "9.5% of the light" in text
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.02)


def test_a_lamp_that_flickers_leaves_no_image_of_the_vignette() -> None:
    camera, shade = Camera(side=192), vignette(192, 1.0)
    rng = np.random.default_rng(2)
    frames = []
    for k, frame in enumerate(pair_frames(camera, ramp(16), shade=shade)):
        light = ramp(16)[frame.info.t] * (1.009 if k % 2 else 0.991)
        frames.append(replace(frame, data=camera.expose(light * shade, rng)))
    found = measure(frames)
    assert len(found.pairs) == 16
    assert abs(found.gain_e_per_dn.value - GAIN) < 4 * found.gain_e_per_dn.se
    # the vignette's 20 % of 1.8 %, squared, would make the gain 5 % too low
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.015)


def test_rounding_is_no_read_noise() -> None:
    found = measure(pair_frames(Camera(read_noise=0.3, side=192), ramp(8)))
    assert found.floor.resolved
    assert found.read_noise_e.value == pytest.approx(0.3, rel=0.02)


def test_hot_and_dead_pixels_do_not_count() -> None:
    camera = Camera(side=256)
    rng = np.random.default_rng(8)
    hot, dead = rng.random((2, 256, 256)) < 0.001
    frames = []
    for frame in pair_frames(camera, ramp(12)):
        glow = np.where(hot, 3000.0, 0.0)
        pixels = camera.expose(ramp(12)[frame.info.t] + glow, rng)
        frames.append(replace(frame, data=np.where(dead, 0, pixels)))
    found = measure(frames)
    defects = found.dark.pairs[0].stats.defects
    assert defects == np.count_nonzero(hot | dead)
    assert f"{defects} defective pixels" in " ".join(notes_of(found))
    assert found.read_noise_e.value == pytest.approx(READ_NOISE, rel=0.01)
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.01)
    assert found.offset_dn.value == pytest.approx(OFFSET, abs=0.05)


def test_the_noisy_pixels_of_an_scmos_camera_are_part_of_its_read_noise() -> None:
    rng = np.random.default_rng(4)
    noise = np.exp(rng.normal(0, np.sqrt(np.log(1.6)), (384, 384)))
    rms = float(np.sqrt(np.mean(noise**2)))
    assert rms == pytest.approx(1.6, rel=0.05)
    found = measure(pair_frames(Camera(side=384, read_noise=noise), ramp(8)))
    assert found.read_noise_e.value == pytest.approx(rms, rel=0.015)


def test_an_adc_that_ends_before_the_well() -> None:
    camera = Camera(gain=0.23, bits=12)
    frames = pair_frames(camera, ramp(20, top=1200.0))
    found = measure(frames)
    assert found.adc_limited
    assert found.full_well_e is not None
    assert found.full_well_e.value == pytest.approx((4095 - OFFSET) * 0.23, rel=0.01)
    assert "the full well is the ADC's" in " ".join(notes_of(found))
    # where most pixels are full, the others are no defects
    assert max(pair.stats.defects for pair in found.pairs) <= 0.02 * 96**2
    # nobody tells the bits: they are where all values end
    untold = replace(camera.segment(), bit_depth=None)
    silent = [replace(f, info=replace(f.info, segment=untold)) for f in frames]
    assert measure(silent).bit_depth == 12
    assert mode_of(measure(silent)).bit_depth == 12


def test_an_uneven_field_is_full_where_it_is_brightest() -> None:
    camera = Camera(side=128)
    found = measure(pair_frames(camera, ramp(30), shade=vignette(128, 0.6)))
    assert found.full_well_e is not None
    assert found.full_well_e.value == pytest.approx(FULL_WELL, rel=0.01)
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.01)


def test_a_mosaic_of_colours() -> None:
    shade = np.tile([[0.3, 1.0], [1.0, 0.5]], (64, 64))
    found = measure(pair_frames(Camera(side=128), ramp(30), shade=shade))
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.01)
    assert found.full_well_e is not None
    assert found.full_well_e.value == pytest.approx(FULL_WELL, rel=0.01)
    # the largest variance over all pixels would be that of the first colour's last straight level,
    # where the mean of all pixels is 0.7 of a full one
    assert found.saturation_e is not None
    assert found.saturation_e.value == pytest.approx(FULL_WELL, rel=0.06)
    assert found.saturation.mosaic_part == pytest.approx(1.0, abs=0.05)
    assert any("colour mosaic" in text for text in notes_of(found))
    assert warnings_of(
        measure(pair_frames(Camera(side=128), ramp(30), shade=shade), offset_dn=100)
    ) == ["the lamp is old"]


@pytest.mark.parametrize("shade", [1.0, vignette(128, 0.6)])
def test_shading_is_no_mosaic(shade: Any) -> None:
    found = measure(pair_frames(Camera(side=128), ramp(30), shade=shade))
    assert found.saturation.mosaic_part == 0.0
    assert not any("mosaic" in text for text in notes_of(found))


def test_saturation_that_was_not_reached() -> None:
    found = measure(pair_frames(Camera(), ramp(12, top=15_000.0)))
    assert found.full_well_e is None
    assert found.saturation_e is None
    assert any("saturation was not reached" in text for text in warnings_of(found))
    assert mode_of(found).full_well_e is None
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.02)


def test_noise_that_the_rounding_hides_is_not_trusted() -> None:
    found = measure(pair_frames(Camera(gain=8.0, bits=12), ramp()))
    assert not found.floor.resolved
    assert mode_of(found).read_noise_reliable is False
    assert any("unreliable" in text for text in warnings_of(found))
    assert found.gain_e_per_dn.value == pytest.approx(8.0, rel=0.02)


def test_an_offset_that_cuts_the_noise_off_is_told() -> None:
    found = measure(pair_frames(Camera(offset=2.0), ramp()))
    assert any("offset is too low" in text for text in warnings_of(found))


def test_a_multiplying_register() -> None:
    camera = Camera(gain=5.0, read_noise=45.0, em_gain=300.0, full_well=80_000.0, side=256)
    frames = pair_frames(camera, ramp(14, top=1200.0), seed=1)
    found = measure(frames)
    assert found.gain_e_per_dn.value == pytest.approx(5.0, rel=0.01)
    assert found.read_noise_e.value == pytest.approx(45.0, rel=0.01)
    assert found.excess_noise == 2.0
    assert "F² = 2" in " ".join(notes_of(found))
    assert found.excess_noise_from == "assumed"
    (text,) = [text for text in warnings_of(found) if "is assumed" in text]
    assert "--excess-noise" in text
    told = Series(frames, excess_noise=1.2)
    given: dict[str, Any] = {"excess_noise": 1.2}
    for source, options, who in [
        (told, {}, "source"),
        (Series(frames, excess_noise=1.7), given, "given"),
    ]:
        (other,) = calibrate(source, **options)
        ratio = other.gain_e_per_dn.value / found.gain_e_per_dn.value
        assert ratio == pytest.approx(1.2 / 2.0)
        assert (other.excess_noise, other.excess_noise_from) == (1.2, who)
        assert mode_of(other).excess_noise == 1.2
        assert not any("assumed" in text for text in warnings_of(other))


def test_a_source_of_no_multiplication_has_no_excess_noise() -> None:
    (found,) = calibrate(Series(pair_frames(Camera(), ramp()), excess_noise=1.2))
    assert (found.excess_noise, found.excess_noise_from) == (1.0, "none")
    assert mode_of(found).excess_noise is None


def test_spikes_of_the_clock_are_no_read_noise() -> None:
    camera = Camera(gain=5.0, read_noise=45.0, em_gain=300.0, full_well=80_000.0, side=256)
    found = measure(pair_frames(camera, [0.005, *ramp(14, top=1200.0)[1:]], seed=1))
    assert found.dark.pairs[0].stats.variance_dn2 > 1.2 * found.floor.variance_dn2.value
    assert found.read_noise_e.value == pytest.approx(45.0, rel=0.015)


def test_linearity_of_a_curved_response() -> None:
    straight = measure(pair_frames(Camera(), ramp(30), exposed=True))
    curved = measure(pair_frames(Camera(curve=0.05), ramp(30), exposed=True))
    assert straight.linearity_error_percent is not None
    assert curved.linearity_error_percent is not None
    assert straight.linearity_error_percent.value < 0.1
    assert 0.5 < curved.linearity_error_percent.value < 2.0


def test_linearity_needs_to_know_the_light() -> None:
    frames = pair_frames(Camera(), ramp(), exposed=True)
    steady = [replace(f, info=replace(f.info, exposure_ms=10.0)) for f in frames]
    several = [
        replace(f, info=replace(f.info, exposure_ms=float(10 + f.info.t % 6))) for f in frames
    ]
    for given, reason in [
        (pair_frames(Camera(), ramp()), "tells no exposure"),
        (steady, "only 1 exposure time"),
        (several, "the lamp was changed"),
    ]:
        found = measure(given)
        assert isinstance(found.linearity, Unknown)
        assert reason in found.linearity.reason
        assert found.linearity.reason in " ".join(notes_of(found))


def test_each_channel_is_measured_by_itself() -> None:
    left = pair_frames(Camera(), ramp(), channel="left")
    right = pair_frames(Camera(gain=1.1), ramp(), channel="right", seed=4)
    frames = [frame for both in zip(left, right, strict=True) for frame in both]
    found = calibrate(Series(frames))
    assert [one.channel for one in found] == ["left", "right"]
    gains = [one.gain_e_per_dn.value for one in found]
    assert gains == pytest.approx([GAIN, 1.1], rel=0.02)
    (only,) = calibrate(Series(frames), channel="right")
    assert only.gain_e_per_dn == found[1].gain_e_per_dn


def test_unreadable_frames_and_events_are_told() -> None:
    frames: list[Frame | BadFrame] = list(pair_frames(Camera(), ramp()))
    bad = BadFrame(FrameInfo(Segment.unread(), ""), "x.tif is truncated")
    found = measure([*frames, bad])
    assert "the lamp is old" in warnings_of(found)
    assert "frame 41 is left out: x.tif is truncated" in warnings_of(found)


def test_an_endless_source_needs_a_number_of_frames() -> None:
    frames = pair_frames(Camera(), ramp())
    with pytest.raises(SourceError, match="--frames"):
        calibrate(Series(frames, live=True))
    counted: list[int] = []
    (found,) = calibrate(Series(frames, live=True), frames=30, progress=counted.append)
    assert len(found.pairs) == 15
    assert counted == list(range(1, 31))


def _two_modes() -> list[Frame]:
    return [*pair_frames(Camera(), ramp(6)), *pair_frames(Camera(bits=12), ramp(6))]


def _halves_apart() -> list[Frame]:
    frames = pair_frames(Camera(), ramp())
    return frames[::2] + frames[1::2]


def _copies() -> list[Frame]:
    frames = pair_frames(Camera(), ramp())
    return [frame for frame in frames[::2] for _ in range(2)]


def _floats() -> list[Frame]:
    frames = pair_frames(Camera(), ramp(6))
    return [Frame(f.data.astype(np.float32), f.info) for f in frames]


def _colours() -> list[Frame]:
    frames = pair_frames(Camera(), ramp(6), channel="G")
    return [named(f, "picture.tif") for f in frames]


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "no frame that can be read"),
        (pair_frames(Camera(), [0.0]), "too few light levels: 1 in all"),
        (pair_frames(Camera(), [0.0, 500.0, 900.0]), "at least 4 are needed"),
        (pair_frames(Camera(), [0.0, *[40_000.0] * 8]), "too few light levels"),
        (pair_frames(Camera(bits=12), [20_000.0, 25_000.0]), "all frames are saturated"),
        (pair_frames(Camera(), ramp())[:1], "two frames of each light level"),
        (_halves_apart(), "--pattern"),
        (_copies(), "copies of one exposure"),
        (_two_modes(), "bit_depth changes from 16 to 12"),
        (_floats(), "float32; allowed are the integers"),
        (_colours(), "colour picture"),
        ([named(f, "a.JPG") for f in pair_frames(Camera(), ramp(6))], "JPEG"),
        (pair_frames(Camera(side=10), ramp(6)), "10 × 10 px"),
        ([Frame(f.data[:1].repeat(9, 1), f.info) for f in pair_frames(Camera(), [0])], "1 × 864"),
    ],
)
def test_series_that_cannot_serve(frames: list[Frame], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        measure(frames)


def test_too_few_levels_are_not_asked_for() -> None:
    source = Dimming(pair_frames(Camera(), ramp()))
    with pytest.raises(SourceError, match=r"received 9 light levels; .* at least 10"):
        calibrate(source, levels=9)
    calibrate(source, levels=10)
    assert source.asked == 10


def test_a_channel_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"'GFP'; there are ch0"):
        measure(pair_frames(Camera(), ramp(6)), channel="GFP")
