"""The shipped objectives, and what an engraving without a medium means."""

import re

import pytest

from dipstream.errors import SourceError
from dipstream_simulator.optics import (
    IMMERSION_INDEX,
    Objective,
    objective_names,
    objective_preset,
    objective_source,
)


def test_every_preset_exists_and_says_where_it_comes_from() -> None:
    names = objective_names()
    assert len(names) == len(set(names)) >= 8
    for name in names:
        assert objective_preset(name).immersion_index in IMMERSION_INDEX.values()
        assert re.search("unverified|https?://|data sheet", objective_source(name))


@pytest.mark.parametrize("name", objective_names())
def test_names_are_engravings(name: str) -> None:
    assert Objective.parse(name) == objective_preset(name)


@pytest.mark.parametrize(
    ("magnification", "na", "nyquist_um", "rayleigh_um", "pixel_um"),
    [
        (10, 0.30, 0.438, 1.07, 0.650),
        (20, 0.75, 0.175, 0.427, 0.325),
        (40, 0.95, 0.138, 0.337, 0.163),
        (60, 1.20, 0.109, 0.267, 0.108),
        (60, 1.40, 0.094, 0.229, 0.108),
        (100, 1.49, 0.088, 0.215, 0.065),
    ],
)
def test_presets_at_525_nm(
    magnification: float, na: float, nyquist_um: float, rayleigh_um: float, pixel_um: float
) -> None:
    objective = Objective.parse(f"{magnification}x{na}")
    assert objective.nyquist_um(525.0) == pytest.approx(nyquist_um, abs=6e-4)
    assert objective.rayleigh_um(525.0) == pytest.approx(rayleigh_um, abs=6e-3)
    assert objective.object_pixel_um(6.5) == pytest.approx(pixel_um, abs=6e-4)


@pytest.mark.parametrize(
    ("text", "medium"),
    [
        ("60x1.40", "oil"),
        ("60x1.4", "oil"),
        ("60X/1.40 Oil", "oil"),
        ("63×1.4", "oil"),
        ("60x1.2", "water"),
        ("60x1.20air", None),
        ("20x/0.75", "air"),
        ("20 x 0.75", "air"),
        ("25x0.8", "air"),
        ("25x1.1", None),
        ("100x1.49", "oil"),
        ("60x1.4water", None),
    ],
)
def test_medium_of_an_engraving(text: str, medium: str | None) -> None:
    if medium is None:
        with pytest.raises(SourceError, match="below that index"):
            Objective.parse(text)
    else:
        assert Objective.parse(text).immersion_index == IMMERSION_INDEX[medium]


@pytest.mark.parametrize("name", ["60x1.40 oil", "60X1.4OIL", "60x/1.40oil"])
def test_presets_by_name(name: str) -> None:
    assert objective_preset(name) == Objective(60, 1.4, 1.515)


@pytest.mark.parametrize(("name", "near"), [("60x1.45oil", "60x1.40 oil"), ("zoom", "10x0.30")])
def test_unknown_names_list_the_near_ones(name: str, near: str) -> None:
    with pytest.raises(SourceError, match=near) as caught:
        objective_preset(name)
    assert repr(name) in str(caught.value)


def test_another_tube_lens_changes_only_the_magnification() -> None:
    objective = objective_preset("60x1.40 oil").with_tube_lens(180)
    assert objective.magnification == pytest.approx(54)
    assert objective.object_pixel_um(6.5) == pytest.approx(6.5 / 54)
    assert (objective.na, objective.immersion_index) == (1.4, 1.515)
    assert objective.with_tube_lens(200) == objective_preset("60x1.40 oil")
    with pytest.raises(SourceError, match="tube_lens_mm=0"):
        objective.with_tube_lens(0.0)
    assert objective.depth_of_field_um(525.0, 6.5) == pytest.approx(0.4058 + 0.1303, abs=1e-3)
