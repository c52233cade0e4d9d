"""What can be asked for, what is refused, and what nuclei look like by default."""

from typing import Any

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.specimen.model import CHANNELS, Specimen
from dipstream_simulator.specimen.population import nuclei

EXTENT_UM = (500.0, 500.0)


def test_brightness_has_the_statistics_of_cells() -> None:
    channels = tuple(CHANNELS.values())
    objects = nuclei(7, 3000, extent_um=(3000.0, 3000.0), channels=channels).objects(0)
    assert objects.brightness.shape == (3000, 4)
    assert np.log(objects.brightness[:, 0]).std() == pytest.approx(0.2, rel=0.05)
    for protein in objects.brightness.T[1:]:
        bright = protein[protein > 0.3]
        assert np.log(np.median(bright)) == pytest.approx(0.0, abs=0.08)
        assert (protein < 0.15).mean() == pytest.approx(0.2, abs=0.03)
    logs = np.log(objects.brightness)
    assert np.abs(np.corrcoef(logs.T) - np.eye(4)).max() < 0.08


def test_no_negatives_if_none_are_asked_for() -> None:
    assert (nuclei(7, 300, extent_um=EXTENT_UM, negative=0.0).objects(0).brightness > 0.1).all()


@pytest.mark.parametrize("life", [{}, {"grow": 0.01}])
@pytest.mark.parametrize("n", [0, 1, 5, 700])
def test_without_divisions_there_are_few_shapes(n: int, life: dict[str, float]) -> None:
    specimen: Specimen = nuclei(7, n, extent_um=EXTENT_UM, **life)  # type: ignore[arg-type]
    objects = specimen.objects(0)
    assert len(specimen.shapes) <= 100
    assert objects.shape.max(initial=0) < len(specimen.shapes)
    np.testing.assert_array_equal(objects.track_ids, np.arange(1, n + 1))
    assert not objects.parent_ids.any()
    assert objects.counted.all()
    assert specimen.canvas is None
    assert specimen.extent_um == EXTENT_UM


@pytest.mark.parametrize("life", [{"cycle_t": 10}, {"death_rate": 0.1}])
def test_nothing_comes_from_nothing(life: dict[str, Any]) -> None:
    specimen = nuclei(7, 0, extent_um=EXTENT_UM, **life)
    assert len(specimen.objects(20).track_ids) == 0


def test_typical_nuclei_have_the_diameter_asked_for() -> None:
    specimen = nuclei(7, 48, extent_um=EXTENT_UM, nucleus_um=14.0)
    assert specimen.coverage * 500**2 / 48 == pytest.approx(np.pi * 7**2, rel=0.08)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": -1}, "n=-1;"),
        ({"n": 20_001}, "n=20001;"),
        ({"seed": -1}, "seed=-1"),
        ({"nucleus_um": 0.5}, r"nucleus_um=0.5; .* 2 and up to 50"),
        ({"step_um": -1.0}, "step_um=-1;"),
        ({"step_um": float("nan")}, "step_um=nan"),
        ({"overlap": 1.5}, "touching=1.5;"),
        ({"z_spread_um": -1.0}, "z_spread_um=-1;"),
        ({"contrast": 5.0}, "contrast=5;"),
        ({"cycle_t": 3}, r"cycle_t=3; .* 10 and up"),
        ({"cycle_t": -3}, r"cycle_t=-3;"),
        ({"death_rate": 2.0}, "death_rate=2;"),
        ({"negative": -0.1}, "negative=-0.1;"),
        ({"grow": 1.0}, r"grow=1; .* 0.1\. Write for instance grow=0.01"),
        ({"grow": 0.01, "cycle_t": 50}, "grow=0.01 and cycle_t=50; .* Leave grow out"),
        ({"motion": "drfit"}, "motion=drfit; .* persistent, diffusion, drift, still"),
        ({"drift_um": (1.0, 0.0)}, "flow_um=1,0 and motion=persistent; .* Write motion=drift"),
        ({"motion": "drift", "drift_um": (0.0, 99.0)}, "flow_um=99;"),
        ({"channels": ()}, "Write for instance channels=DAPI,GFP"),
        ({"extent_um": (0.0, 100.0)}, "extent_um=0;"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"seed": 7, "n": 5, "extent_um": EXTENT_UM} | wrong
    with pytest.raises(SourceError, match=message):
        nuclei(asked.pop("seed"), asked.pop("n"), **asked)


def test_negative_times_are_refused() -> None:
    with pytest.raises(SourceError, match="t=-1"):
        nuclei(7, 5, extent_um=EXTENT_UM).objects(-1)
