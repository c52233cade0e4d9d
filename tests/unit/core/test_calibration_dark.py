"""Which pair of a photon-transfer series is dark, and who says so."""

from dataclasses import replace

import numpy as np
import pytest

from dipstream.calibrate import calibrate, mode_of, warnings_of
from dipstream.errors import SourceError
from dipstream.frame import Frame

from .flat_series import (
    GAIN,
    OFFSET,
    Camera,
    Dimming,
    Series,
    measure,
    named,
    pair_frames,
    ramp,
    vignette,
)


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


def test_files_called_dark_are_dark() -> None:
    frames = pair_frames(Camera(), ramp())
    names = [f"dark_{k}.tif" if k < 2 else f"flat_{k}.tif" for k in range(len(frames))]
    found = measure([named(f, name) for f, name in zip(frames, names, strict=True)])
    assert found.dark.told_by == "names"
    assert [str(pair.first) for pair in found.dark.pairs] == ["1 (dark_0.tif)"]
