"""Drift, jitter, bleaching and flicker."""

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.acquisition import Sequence, grid
from dipstream_simulator.light import Lamp, row_light
from dipstream_simulator.stage import Stage

SEQUENCE = Sequence(1, grid("1x1", (10.0, 10.0), 0.0))


def test_drift_grows_with_time() -> None:
    stage = Stage(focus_um=0.5, focus_drift_um=0.1, drift_um=(0.2, -0.3))
    assert stage.error_um(SEQUENCE.shot(0)) == (0.5, 0.0, 0.0)
    assert stage.error_um(SEQUENCE.shot(10)) == pytest.approx((1.5, 2.0, -3.0))


def test_jitter_is_fresh_seeded_and_as_large_as_asked_for() -> None:
    stage = Stage(jitter_um=0.2, seed=3)
    errors = np.array([stage.error_um(SEQUENCE.shot(k))[1:] for k in range(2000)])
    assert errors.std(axis=0) == pytest.approx([0.2, 0.2], rel=0.06)
    assert abs(np.corrcoef(errors.T)[0, 1]) < 0.08
    assert stage.error_um(SEQUENCE.shot(5)) == Stage(jitter_um=0.2, seed=3).error_um(
        SEQUENCE.shot(5)
    )
    assert stage.error_um(SEQUENCE.shot(5)) != Stage(jitter_um=0.2, seed=4).error_um(
        SEQUENCE.shot(5)
    )


def test_dye_bleaches_exponentially() -> None:
    lamp = Lamp(photons=1.0, bleach_ms=500.0)
    assert lamp.unbleached(0.0, 0.0) == 1.0
    assert lamp.unbleached(500.0, 0.0) == pytest.approx(np.exp(-1))
    assert Lamp(photons=1.0).unbleached(1e9, 10.0) == 1.0


@pytest.mark.parametrize("exposure_ms", [1.0, 100.0, 2000.0])
def test_it_bleaches_during_the_exposure_too(exposure_ms: float) -> None:
    lamp = Lamp(photons=1.0, bleach_ms=500.0)
    clock_ms = 300.0 + (np.arange(100_000) + 0.5) / 100_000 * exposure_ms
    brute = np.exp(-clock_ms / 500.0).mean()
    assert lamp.unbleached(300.0, exposure_ms) == pytest.approx(brute, rel=1e-6)


def test_rows_see_the_mean_of_a_flickering_lamp() -> None:
    lamp = Lamp(photons=1.0, flicker_hz=100.0, flicker_depth=0.3)
    times_ms = np.array([0.0, 1.0, 5.0, 9.0])
    found = row_light(lamp, times_ms, 2.0, 4.0)
    assert found is not None
    for begin_ms, light in zip(times_ms + 2.0, found, strict=True):
        clock_ms = begin_ms + (np.arange(10_000) + 0.5) / 10_000 * 4.0
        brute = np.mean(1 + 0.3 * np.sin(2 * np.pi * 0.1 * clock_ms))
        assert light == pytest.approx(brute, abs=1e-6)


def test_an_exposure_of_whole_periods_sees_no_flicker() -> None:
    lamp = Lamp(photons=1.0, flicker_hz=100.0, flicker_depth=0.3)
    found = row_light(lamp, np.linspace(0, 10, 50), 0.0, 10.0)
    np.testing.assert_allclose(found, 1.0, atol=1e-6)  # type: ignore[arg-type]
    assert row_light(Lamp(photons=1.0), np.zeros(3), 0.0, 10.0) is None


@pytest.mark.parametrize(
    ("parameters", "received"),
    [
        ({"photons": -1.0}, "photons=-1"),
        ({"photons": 1.0, "bleach_ms": -1.0}, "bleach_ms=-1"),
        ({"photons": 1.0, "flicker_depth": 1.5}, "flicker_depth=1.5"),
    ],
)
def test_impossible_lamps(parameters: dict[str, float], received: str) -> None:
    with pytest.raises(SourceError, match=received):
        Lamp(**parameters)


def test_impossible_stages() -> None:
    with pytest.raises(SourceError, match="jitter_um=-1"):
        Stage(jitter_um=-1.0)
