"""Nuclei walk, bounce and make room, as a function of seed and time alone."""

import numpy as np
import pytest

from dipstream_simulator.specimen import motion as motion_module
from dipstream_simulator.specimen.motion import Motion
from dipstream_simulator.specimen.nuclei import Specimen, random_specimen

FIELD_UM = (100.0, 120.0)


def walk(n: int = 30, *, step_um: float = 0.8, seed: int = 7) -> tuple[Specimen, Motion]:
    specimen = random_specimen(seed, n, 10.0)
    return specimen, Motion(specimen, FIELD_UM, step_um=step_um, seed=seed)


def test_time_can_be_visited_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {t: walk()[1].at(t) for t in (0, 5, 40, 41, 100)}
    monkeypatch.setattr(motion_module, "_MAX_CHECKPOINTS", 2)
    _, jumping = walk()
    for t in (100, 5, 41, 0, 100, 40):
        np.testing.assert_array_equal(jumping.at(t), expected[t])


def test_nuclei_stay_whole_within_the_field() -> None:
    specimen, moving = walk(step_um=2.0)
    short_um = specimen.per_nucleus("minor_um")[:, None]
    for t in range(0, 200, 5):
        position_um = moving.at(t)
        assert (position_um >= short_um).all()
        assert (position_um <= np.array(FIELD_UM) - short_um).all()


def test_free_steps_have_the_size_asked_for_and_persist() -> None:
    specimen = random_specimen(1, 200, 10.0)
    moving = Motion(specimen, (2000.0, 2000.0), step_um=0.8, seed=1)
    path = np.stack([moving.at(t) for t in range(40)])
    steps_um = np.diff(path, axis=0)
    assert (steps_um**2).sum(axis=2).mean() ** 0.5 == pytest.approx(0.8, rel=0.05)
    correlation = np.mean(steps_um[1:] * steps_um[:-1]) / np.mean(steps_um**2)
    assert correlation == pytest.approx(0.7 * 0.85, abs=0.05)


def test_nuclei_make_room_and_some_touch() -> None:
    specimen, moving = walk(40)
    long_um, short_um = specimen.per_nucleus("major_um"), specimen.per_nucleus("minor_um")
    close = 0
    for t in range(0, 60, 10):
        position_um = moving.at(t)
        apart_um = np.hypot(*(position_um[:, None] - position_um[None, :]).transpose(2, 0, 1))
        np.fill_diagonal(apart_um, np.inf)
        assert (apart_um > 0.9 * (short_um[:, None] + short_um[None, :])).all()
        close += int((apart_um < long_um[:, None] + long_um[None, :]).sum()) // 2
    assert close > 5


def test_no_step_no_motion() -> None:
    _, still = walk(step_um=0.0)
    np.testing.assert_array_equal(still.at(0), still.at(20))


def test_positions_cannot_be_overwritten() -> None:
    _, moving = walk()
    for t in (0, 1):
        with pytest.raises(ValueError, match="read-only"):
            moving.at(t)[:] = 0
