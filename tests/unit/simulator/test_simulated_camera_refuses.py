"""Every impossible value is refused with what came, what is allowed and what to do."""

import math
from typing import Any

import pytest

from dipstream.errors import SourceError
from dipstream_simulator import Objective, airy_psf, open_sim
from dipstream_simulator.sensor import Sensor


@pytest.mark.parametrize(
    ("parameters", "received", "allowed"),
    [
        ({"target": "kinetix"}, "'kinetix'", "allowed is none"),
        ({"n": -1}, "n=-1", "0 and up to 20000"),
        ({"width": 15}, "width=15", "16 and up to"),
        ({"height": 1 << 20}, "height=1.04858e+06", "16 and up to 16384"),
        ({"seed": -7}, "seed=-7", "0 and up"),
        ({"fps": -1.0}, "fps=-1", "0 and up"),
        ({"fps": math.nan}, "fps=nan", "0 and up"),
        ({"frames": 0}, "frames=0", "1 and up"),
        ({"photons": -1.0}, "photons=-1", "0 and up"),
        ({"photons": math.inf}, "photons=inf", "0 and up"),
        ({"background_photons": -1.0}, "background_photons=-1", "0 and up"),
        ({"exposure_ms": -5.0}, "exposure_ms=-5", "0 and up"),
        ({"nucleus_um": 0.5}, "nucleus_um=0.5", "2 and up to 50"),
        ({"step_um": -0.1}, "step_um=-0.1", "0 and up to 20"),
        ({"camera_pixel_um": 0.0}, "camera_pixel_um=0", "0.1 and up"),
        ({"bits": 17}, "bits=17", "1 and up to 16"),
        ({"bits": 0}, "bits=0", "1 and up to 16"),
        ({"bits": 6}, "offset_dn=100 with bits=6", "below 63"),
        ({"qe": 1.1}, "qe=1.1", "0 and up to 1"),
        ({"read_noise_e": -1.0}, "read_noise_e=-1", "0 and up"),
        ({"gain_e_per_dn": 0.0}, "gain_e_per_dn=0", "above 0"),
        ({"offset_dn": -1.0}, "offset_dn=-1", "0 to below 4095"),
        ({"full_well_e": 0.0}, "full_well_e=0", "1 and up"),
        ({"dark_e_per_s": -1.0}, "dark_e_per_s=-1", "0 and up"),
        ({"objective": "20"}, "objective='20'", "air, water, oil"),
        ({"objective": "60x1.4glue"}, "objective='60x1.4glue'", "air, water, oil"),
        ({"objective": "60x1.4"}, "NA 1.4", "below that index"),
        ({"objective": "60x1.6oil"}, "NA 1.6", "below that index"),
        ({"objective": "0x0.5"}, "magnification=0", "1 and up to 250"),
    ],
)
def test_wrong_values(parameters: dict[str, Any], received: str, allowed: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_sim(**parameters)
    message = str(caught.value)
    assert received in message
    assert allowed in message
    assert any(advice in message for advice in ("Write ", "Lower ", "Change "))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20x0.75", Objective(20, 0.75, 1.0)),
        ("60X1.2Water", Objective(60, 1.2, 1.333)),
        (" 100x1.49oil ", Objective(100, 1.49, 1.515)),
        ("10x0.3air", Objective(10, 0.3)),
    ],
)
def test_objectives_are_read_as_engraved(text: str, expected: Objective) -> None:
    assert Objective.parse(text) == expected


@pytest.mark.parametrize(
    ("wavelength_nm", "pixel_um", "received"),
    [(0.5, 0.1, "wavelength_nm=0.5"), (525.0, 0.0, "pixel_um=0"), (525.0, 1e-5, "psf_px")],
)
def test_impossible_psfs(wavelength_nm: float, pixel_um: float, received: str) -> None:
    with pytest.raises(SourceError, match=received):
        airy_psf(Objective(20, 0.75), wavelength_nm, pixel_um)


def test_a_sensor_checks_itself() -> None:
    with pytest.raises(SourceError, match="bits=17"):
        Sensor(bits=17)
