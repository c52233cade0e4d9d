"""The fast kernels and the golden numpy chain give samples of the same distributions."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from dipstream_simulator.sensor import Chip, Exposed, Sensor, camera_preset

SIDE = 512
ROI = (65, 33, SIDE, SIDE)
FRAMES = 2


CASES = [
    pytest.param("generic", {"gain_e_per_dn": 0.6}, 1, id="CMOS"),
    pytest.param("orca-flash4", {}, 1, id="sCMOS"),
    pytest.param("kinetix", {}, 2, id="sCMOS digitally binned"),
    pytest.param("orca-r2", {"smear_row_us": 1.0}, 1, id="CCD"),
    pytest.param("orca-r2", {"gain_e_per_dn": 2.0}, 2, id="CCD binned on the chip"),
    pytest.param("ixon-888", {"cic_e": 0.1}, 1, id="EMCCD"),
    pytest.param("zelux-cs165c", {"gain_e_per_dn": 1.0, "bits": 12}, 1, id="mosaic"),
    pytest.param("pmt-gaasp", {}, 1, id="PMT"),
]


def light(sensor: Sensor) -> list[tuple[float, npt.NDArray[np.float32]]]:
    """A ramp from darkness across both ways of drawing counts, in two colours."""
    top = min(300.0, 0.4 * sensor.saturation_e / sensor.qe)
    ramp = np.linspace(0.0, top, SIDE, dtype=np.float32)
    return [
        (525.0, np.tile(ramp, (SIDE, 1))),
        (610.0, np.tile(0.3 * ramp[::-1, None], (1, SIDE)).astype(np.float32)),
    ]


def exposed(chip: Chip, exact: bool) -> list[Exposed]:
    return [
        chip.expose(
            light(chip.sensor), 50.0, seed=5, number=number, exact=exact, with_electrons=True
        )
        for number in range(FRAMES)
    ]


@pytest.mark.parametrize(("name", "overrides", "binning"), CASES)
def test_same_distributions(name: str, overrides: dict[str, Any], binning: int) -> None:
    chip = Chip(camera_preset(name).sensor(**overrides), roi=ROI, binning=binning)
    golden, fast = exposed(chip, exact=True), exposed(chip, exact=False)
    compare([frame.dn for frame in golden], [frame.dn for frame in fast])
    compare(
        [frame.electrons for frame in golden if frame.electrons is not None],
        [frame.electrons for frame in fast if frame.electrons is not None],
    )
    saturated = [
        sum(frame.saturated.sum() for frame in frames if frame.saturated is not None)
        for frames in (golden, fast)
    ]
    assert abs(saturated[0] - saturated[1]) <= 4 * math.sqrt(sum(saturated)) + 1


def compare(golden: list[npt.NDArray[Any]], fast: list[npt.NDArray[Any]]) -> None:
    """Noise alone by its moments, values by Kolmogorov-Smirnov and a chi-square of bands."""
    assert len(golden) == len(fast) == FRAMES
    one, two = (np.stack(frames).astype(np.float64) for frames in (golden, fast))
    pixels = one.shape[1] * one.shape[2]
    noise_1, noise_2 = one[0] - one[1], two[0] - two[1]
    difference = one.mean(axis=0) - two.mean(axis=0)
    error = difference.std() / math.sqrt(pixels)
    assert difference.mean() == pytest.approx(0.0, abs=4.5 * error)
    # Bands of columns: where the ramp is dim, and where it is bright.
    for band_1, band_2 in zip(
        np.array_split(noise_1, 8, axis=1), np.array_split(noise_2, 8, axis=1), strict=True
    ):
        kurtosis = stats.kurtosis(band_1.ravel()) + stats.kurtosis(band_2.ravel())
        error = math.sqrt((4 + kurtosis) / band_1.size)
        assert math.log(band_1.var() / band_2.var()) == pytest.approx(0.0, abs=4.5 * error)
    assert stats.ks_2samp(one[0].ravel(), two[0].ravel()).pvalue > 1e-4
    skew = [stats.skew(frames[0, :, :64].ravel()) for frames in (one, two)]
    assert skew[0] == pytest.approx(skew[1], abs=0.02 + 0.05 * abs(skew[0]))
    edges = np.unique(np.quantile(one[0], np.linspace(0, 1, 41)[1:-1]))
    table = [np.bincount(np.digitize(frames[1].ravel(), edges)) for frames in (one, two)]
    assert stats.chi2_contingency(np.stack(table)).pvalue > 1e-4
