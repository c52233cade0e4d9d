"""Microscopes that cannot exist are refused when they are made, in words that help."""

import pytest

from dipstream.errors import SourceError
from dipstream_simulator.optics import Microscope, Objective, parse_aberrations

OIL_60 = Objective(60, 1.4, 1.515)


@pytest.mark.parametrize(
    ("options", "received", "allowed"),
    [
        ({"method": "lightsheet"}, "method='lightsheet'", "widefield, confocal"),
        ({"psf_model": "born-wolf"}, "psf_model='born-wolf'", "scalar, vectorial, gaussian"),
        ({"pinhole_au": -1.0}, "pinhole_au=-1", "above 0"),
        ({"pinhole_au": 0.0}, "pinhole_au=0", "above 0"),
        ({"pinhole_au": float("nan")}, "pinhole_au=nan", "above 0"),
        ({"aberrations_nm": {"sperical": 50}}, "'sperical'", "Write spherical"),
        ({"aberrations_nm": {"qqq": 50}}, "'qqq'", "Write spherical"),
        ({"aberrations_nm": {"coma_x": 1e5}}, "coma_x_nm=100000", "-2000 and up to 2000"),
        ({"aberrations_nm": (("coma_x", 1.0), ("coma_x", 2.0))}, "'coma_x' twice", "once"),
        ({"sample_index": 0.9}, "sample_index=0.9", "1 and up to 2"),
        ({"depth_um": -1.0}, "depth_um=-1", "0 and up to 1000"),
        ({"coverslip_um": -170.0}, "coverslip_um=-170", "0 and up to 2000"),
        ({"psf_model": "gaussian", "coverslip_um": 180.0}, "gaussian", "scalar"),
        ({"psf_model": "gaussian", "sample_index": 1.33}, "gaussian", "scalar"),
        ({"psf_model": "gaussian", "aberrations_nm": {"coma_x": 9}}, "gaussian", "scalar"),
    ],
)
def test_impossible_microscopes(options: dict[str, object], received: str, allowed: str) -> None:
    with pytest.raises(SourceError) as caught:
        Microscope(OIL_60, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert received in message
    assert allowed in message
    assert any(advice in message for advice in ("Write ", "Lower ", "Change "))


@pytest.mark.parametrize(
    ("emission_nm", "excitation_nm", "pixel_um", "z_um", "received"),
    [
        (0.5, 488.0, 0.1, 0.0, "emission_nm=0.5"),
        (525.0, 48.8, 0.1, 0.0, "excitation_nm=48.8"),
        (525.0, 488.0, 0.0, 0.0, "pixel_um=0"),
        (525.0, 488.0, 0.1, float("inf"), "z_um=inf"),
    ],
)
def test_impossible_planes(
    emission_nm: float, excitation_nm: float, pixel_um: float, z_um: float, received: str
) -> None:
    with pytest.raises(SourceError, match=received):
        Microscope(OIL_60).psf(emission_nm, excitation_nm, pixel_um, z_um)


def test_equal_microscopes_are_equal_and_keys() -> None:
    one = Microscope(OIL_60, aberrations_nm={"spherical": 30, "coma_x": 10})
    other = Microscope(OIL_60, aberrations_nm=(("coma_x", 10.0), ("spherical", 30.0)))
    assert one == other
    assert hash(one) == hash(other)
    assert one.aberrations_nm == (("coma_x", 10.0), ("spherical", 30.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("spherical=50", (("spherical", 50.0),)),
        ("spherical=50, coma_x:-30.5", (("spherical", 50.0), ("coma_x", -30.5))),
    ],
)
def test_aberrations_are_read(text: str, expected: tuple[tuple[str, float], ...]) -> None:
    assert parse_aberrations(text) == expected


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("spherical", "spherical=50,coma_x=30"),
        ("spherical=much", "spherical=50,coma_x=30"),
        ("spericle=5", "Write spherical"),
        ("spherical=5,spherical=6", "each name once"),
    ],
)
def test_aberrations_that_cannot_be_read(text: str, advice: str) -> None:
    with pytest.raises(SourceError, match=advice):
        parse_aberrations(text)
