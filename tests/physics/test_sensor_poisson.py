"""Shot noise follows the Poisson law and read noise the normal law, in both chains."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from dipstream_simulator.sensor import Chip, Sensor
from dipstream_simulator.sensor.draws import LOW_MEAN

SIDE = 2048
COUNTER = Sensor(
    qe=1.0,
    gain_e_per_dn=1.0,
    read_noise_e=0.0,
    offset_dn=10.0,
    bits=16,
    full_well_e=60_000,
    dark_e_per_s=0.0,
    rows=SIDE,
    columns=SIDE,
)
chains = pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])


def counts(mean: npt.ArrayLike, exact: bool) -> npt.NDArray[np.int64]:
    """Electrons of one frame with these means, read without any noise."""
    light = np.broadcast_to(np.asarray(mean, dtype=np.float32), (SIDE, SIDE))
    frame = Chip(COUNTER).expose([(550.0, light)], 0.0, seed=11, number=5, exact=exact)
    return frame.dn.astype(np.int64) - 10


def chi_square_p(found: npt.NDArray[np.int64], mean: float) -> float:
    """p of Pearson's chi-square against the Poisson law; rare counts are pooled at both ends."""
    low, high = (int(stats.poisson.ppf(p, mean)) for p in (2e-6, 1 - 2e-6))
    expected = stats.poisson.pmf(np.arange(low, high + 1), mean)
    expected[0] = stats.poisson.cdf(low, mean)
    expected[-1] = stats.poisson.sf(high - 1, mean)
    observed = np.bincount(np.clip(found, low, high).ravel() - low, minlength=expected.size)
    return float(stats.chisquare(observed, expected * found.size).pvalue)


@chains
@pytest.mark.parametrize("mean", [0.1, 1.0, 5.0, 20.0, 64.0, 100.0])
def test_chi_square(mean: float, exact: bool) -> None:
    mean = float(np.float32(mean))
    assert chi_square_p(counts(mean, exact), mean) > 1e-3


@pytest.mark.parametrize("mean", [LOW_MEAN - 0.125, LOW_MEAN])
def test_chi_square_where_the_method_changes(mean: float) -> None:
    assert chi_square_p(counts(mean, exact=False), float(mean)) > 1e-3


@pytest.mark.parametrize("mean", [1000.0, 12_000.0])
def test_bright_pixels(mean: float) -> None:
    found = counts(mean, exact=False)
    assert found.mean() == pytest.approx(mean, abs=4 * (mean / found.size) ** 0.5)
    assert found.var() == pytest.approx(mean, rel=4 * (2 / found.size) ** 0.5)
    assert stats.skew(found.ravel()) == pytest.approx(mean**-0.5, abs=4 * (6 / found.size) ** 0.5)


def test_dim_and_bright_pixels_side_by_side() -> None:
    # Dim pixels are drawn in another way; they must not disturb their neighbours.
    means = np.array([0.0, 3.0, 40.0, 12.0], dtype=np.float32)
    found = counts(np.resize(means, SIDE)[None, :], exact=False)
    assert (found[:, 0::4] == 0).all()
    for column, mean in enumerate(means[1:], start=1):
        assert chi_square_p(found[:, column::4], float(mean)) > 1e-3


@chains
def test_read_noise_is_normal_into_its_tails(exact: bool) -> None:
    sensor = Sensor(
        read_noise_e=1000.0, gain_e_per_dn=1.0, offset_dn=30_000, bits=16, rows=SIDE, columns=SIDE
    )
    dark = Chip(sensor).expose([], 0.0, seed=3, number=1, exact=exact).dn
    # A value of the ADC stands for half a DN to both sides.
    edges_dn = np.arange(-4500, 4501, 100) + 0.5
    expected = np.diff(stats.norm.cdf(np.r_[-np.inf, edges_dn / 1000, np.inf]))
    observed = np.histogram(dark.astype(np.float64) - 30_000, np.r_[-np.inf, edges_dn, np.inf])[0]
    assert stats.chisquare(observed, expected * dark.size).pvalue > 1e-3


def test_shot_noise_and_read_noise_are_independent() -> None:
    sensor = Sensor(qe=1.0, gain_e_per_dn=0.05, read_noise_e=1.0, bits=16, rows=512, columns=512)
    light = [(550.0, np.full((512, 512), 50, dtype=np.float32))]
    exposed = Chip(sensor).expose(light, 0.0, seed=3, number=1, with_electrons=True)
    assert exposed.electrons is not None
    read_e = (exposed.dn - 100.0) * 0.05 - exposed.electrons
    for power in (1, 2):
        moments = np.corrcoef((exposed.electrons - 50).ravel() ** power, read_e.ravel() ** power)
        assert moments[0, 1] == pytest.approx(0.0, abs=4 / 512)
