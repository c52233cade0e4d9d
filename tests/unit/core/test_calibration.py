"""Photon transfer finds what a simulated camera was made with, whatever the series looks like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from dipstream.calibrate import Calibration, calibrate, mode_of, notes_of, warnings_of
from dipstream.calibrate.linearity import Unknown
from dipstream.errors import SourceError
from dipstream.frame import BadFrame, Frame, FrameInfo, Origin, Segment
from dipstream.source import BaseSource, FlatSource, Source, SourceEvent, SourceInfo

GAIN, OFFSET, READ_NOISE, FULL_WELL = 0.47, 100.0, 1.6, 30_000.0
Plane = npt.NDArray[Any]


@dataclass(frozen=True)
class Camera:
    """Light becomes DN, in the order of the hardware."""

    gain: float = GAIN
    offset: float = OFFSET
    read_noise: Any = READ_NOISE
    full_well: float = FULL_WELL
    bits: int = 16
    side: int = 96
    em_gain: float | None = None
    curve: float = 0.0

    def expose(self, electrons: Any, rng: np.random.Generator) -> Plane:
        shape = (self.side, self.side)
        if np.min(electrons) > 500:  # a rounded normal is quicker, and the same
            noise = rng.standard_normal(shape, dtype=np.float32)
            caught = np.rint(electrons + np.sqrt(electrons) * noise)
        else:
            caught = rng.poisson(electrons, shape)
        held = np.minimum(caught, self.full_well)
        signal = held * (1 - self.curve * held / self.full_well)
        if self.em_gain is not None:
            signal = np.where(held > 0, rng.gamma(np.maximum(held, 1e-9), self.em_gain), 0.0)
        noisy = signal + self.read_noise * rng.standard_normal(shape, dtype=np.float32)
        rounded = np.floor(noisy / self.gain + self.offset + 0.5)
        pixels: Plane = np.clip(rounded, 0, 2**self.bits - 1).astype(np.uint16)
        return pixels

    def segment(self) -> Segment:
        shape = (self.side, self.side)
        return Segment(shape, "uint16", bit_depth=self.bits, em_gain=self.em_gain)


def pair_frames(
    camera: Camera,
    lights: Sequence[float],
    *,
    shade: Any = 1.0,
    seed: int = 3,
    exposed: bool = False,
    channel: str = "ch0",
) -> list[Frame]:
    """Two frames of each light, in electrons; exposures are proportional to it, if told."""
    rng = np.random.default_rng(seed)
    return [
        Frame(
            camera.expose(light * shade, rng),
            FrameInfo(camera.segment(), channel, t=t, exposure_ms=light / 100 if exposed else None),
        )
        for t, light in enumerate(lights)
        for _ in range(2)
    ]


def ramp(levels: int = 20, top: float = 1.2 * FULL_WELL) -> list[float]:
    lights: list[float] = np.linspace(0, top, levels).tolist()
    return lights


class Series(BaseSource):
    """Flat frames as a folder gives them."""

    def __init__(
        self,
        frames: Sequence[Frame | BadFrame],
        *,
        live: bool = False,
        excess_noise: float | None = None,
    ) -> None:
        super().__init__(SourceInfo("series", live=live, excess_noise=excess_noise))
        self.given = frames

    def frames(self) -> Iterator[Frame | BadFrame]:
        self.report(SourceEvent("warning", "the lamp is old"))
        yield from self.given


class Dimming(Series):
    """A source that dims its own light."""

    asked = 0

    def flats(self, levels: int) -> Iterator[Frame]:
        self.asked = levels
        for frame in self.given:
            assert isinstance(frame, Frame)
            yield frame


def measure(frames: Sequence[Frame | BadFrame], **options: Any) -> Calibration:
    (found,) = calibrate(Series(frames), **options)
    return found


def vignette(side: int, corner: float) -> Plane:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    shade: Plane = 1 - corner * (y**2 + x**2) / 2
    return shade


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


def test_without_a_dark_pair_the_offset_may_be_given() -> None:
    camera, lights = Camera(side=192, read_noise=6.0), ramp(20, top=4000.0)[1:]
    frames = pair_frames(camera, lights, shade=vignette(192, 0.4))
    with pytest.raises(SourceError, match=r"no dark pair.*(5\.[89])% of the light"):
        measure(frames)
    found = measure(frames, offset_dn=OFFSET)
    assert (found.dark.told_by, found.floor.told_by) == ("none", "intercept")
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.01)
    wrong_by = abs(found.read_noise_e.value - 6.0)
    assert wrong_by < 4 * found.read_noise_e.se
    assert wrong_by < 1.0
    # with one, the given offset does not replace what was measured
    told = measure(pair_frames(camera, [0.0, *lights]), offset_dn=OFFSET + 0.8)
    assert told.dark.told_by == "darkest"
    assert told.offset_dn.value == pytest.approx(OFFSET, abs=0.1)


def test_a_pair_that_nobody_calls_dark_is_doubted() -> None:
    # light of 850 e⁻ fell on the darkest pair, evenly: nothing in the frames tells
    frames = pair_frames(Camera(), [850.0, *ramp()[1:]])
    found = measure(frames)
    assert found.offset_dn.value > OFFSET + 1000
    assert found.gain_e_per_dn.value == pytest.approx(GAIN, rel=0.02)
    (text,) = [text for text in warnings_of(found) if "nobody says which pair is dark" in text]
    assert "frames (1 and 2)" in text
    assert "--offset-dn" in text
    assert mode_of(found).dark_from == "darkest"


@pytest.mark.parametrize("who", ["source", "names", "offset"])
def test_a_pair_that_somebody_calls_dark_is_not(who: str) -> None:
    frames = pair_frames(Camera(), ramp())
    if who == "names":
        names = [f"dark_{k}.tif" if k < 2 else f"flat_{k}.tif" for k in range(len(frames))]
        frames = [named(f, name) for f, name in zip(frames, names, strict=True)]
    source = Dimming(frames) if who == "source" else Series(frames)
    (found,) = calibrate(source, offset_dn=OFFSET if who == "offset" else None)
    assert found.dark.told_by == ("darkest" if who == "offset" else who)
    assert not any("dark" in text for text in warnings_of(found))


def exposed_frames(dark_light: float, dark_ms: float, response: float = 1.0) -> list[Frame]:
    """Pairs of 10 … 240 ms at 150 e⁻/ms and a darkest one; a response below 1 is not linear."""
    times = [dark_ms, *np.linspace(10, 240, 20)]
    lights = [dark_light, *(150 * np.linspace(10, 240, 20) ** response)]
    frames = pair_frames(Camera(), lights)
    return [replace(f, info=replace(f.info, exposure_ms=times[f.info.t])) for f in frames]


def test_exposure_times_tell_a_darkest_pair_that_is_lit() -> None:
    with pytest.raises(SourceError, match=r"as bright as their exposure time .* about (99|100)\."):
        measure(exposed_frames(dark_light=5 * 150, dark_ms=5))
    found = measure(exposed_frames(dark_light=5 * 150, dark_ms=5), offset_dn=OFFSET)
    assert found.dark.told_by == "none"


@pytest.mark.parametrize(
    ("dark_ms", "response"), [(0.0, 1.0), (0.01, 1.0), (10.0, 1.0), (240.0, 1.0), (10.0, 0.97)]
)
def test_a_closed_shutter_is_dark_at_any_exposure(dark_ms: float, response: float) -> None:
    found = measure(exposed_frames(0.0, dark_ms, response))
    assert found.offset_dn.value == pytest.approx(OFFSET, abs=0.2)


def named(frame: Frame, name: str) -> Frame:
    return replace(frame, info=replace(frame.info, origin=Origin(f"/flats/{name}")))


def test_files_called_dark_are_dark() -> None:
    frames = pair_frames(Camera(), ramp())
    names = [f"dark_{k}.tif" if k < 2 else f"flat_{k}.tif" for k in range(len(frames))]
    found = measure([named(f, name) for f, name in zip(frames, names, strict=True)])
    assert found.dark.told_by == "names"
    assert [str(pair.first) for pair in found.dark.pairs] == ["1 (dark_0.tif)"]


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
