"""Quantities with their unit, in pipeline files and URIs."""

from typing import Any

import pytest

import dipstream as ds
from dipstream.config import parse_pipeline
from dipstream.errors import ConfigError
from dipstream.pipeline import Plan, make_plan
from dipstream.units import in_unit_of, unit_of


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("camera_pixel_um", "6.5 um", 6.5),
        ("camera_pixel_um", "6.5µm", 6.5),
        ("camera_pixel_um", "6500 nm", 6.5),
        ("camera_pixel_um", "0.0065 mm", 6.5),
        ("wavelength_nm", "0.52 um", 520.0),
        ("exposure_ms", "0.1 s", 100.0),
        ("wait_s", "250 ms", 0.25),
        ("wait_s", "2 min", 120),
        ("min_area_px", "50 px", 50),
        ("camera_pixel_um", 6.5, 6.5),
        ("camera_pixel_um", "wide", "wide"),
        ("objective", "20x0.75", "20x0.75"),
        ("bits", "12 um", "12 um"),
    ],
)
def test_in_the_unit_of_the_name(name: str, value: Any, expected: Any) -> None:
    assert in_unit_of(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [("sigma_px", "2 um", "px"), ("exposure_ms", "3 um", "ms"), ("pixel_um", "3 parsec", "um")],
)
def test_a_unit_that_does_not_fit_is_refused(name: str, value: str, unit: str) -> None:
    assert unit_of(name) == unit
    with pytest.raises(ValueError, match=f"{name} is in {unit}; allowed units are"):
        in_unit_of(name, value)


def plan(sigma: str) -> Plan:
    text = f"""
dipstream: 1
objects:
  n:
    steps: [{{gaussian: {{sigma_px: {sigma}}}}}, {{threshold: {{}}}}]
"""
    return make_plan(parse_pipeline(text), None, "n")  # type: ignore[arg-type]


def test_in_a_pipeline_file_it_is_the_same_pipeline() -> None:
    assert plan("2").sha256 == plan("'2 px'").sha256 != plan("3").sha256
    with pytest.raises(ConfigError, match="sigma_px is in px"):
        plan("2 um")
    with pytest.raises(ConfigError, match="sigma"):
        plan("'-2 px'")


def test_in_a_uri() -> None:
    with ds.open_source("sim:?n=1&width=64&height=64&camera_pixel_um=13000 nm&fps=0") as source:
        assert source.info.pixel_um == pytest.approx(0.65)
