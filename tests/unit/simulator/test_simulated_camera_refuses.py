"""Every impossible value is refused with what came, what is allowed and what to do."""

import math
from typing import Any

import pytest

from dipstream.errors import SourceError
from dipstream_simulator import Objective, Sensor, open_sim
from dipstream_simulator.optics import airy_psf


@pytest.mark.parametrize(
    ("parameters", "received", "allowed"),
    [
        ({"target": "kinetics"}, "'kinetics'", "did you mean kinetix"),
        ({"target": "kinetix", "mode": "fast"}, "'fast'", "allowed are"),
        ({"target": "kinetix", "width": 3201}, "width=3201", "16 and up to 3200"),
        ({"target": "kinetix", "roi": "0,0,99"}, "roi='0,0,99'", "four whole numbers"),
        ({"target": "kinetix", "roi": "3190,0,64,64"}, "3190,0,64,64", "lies on the chip"),
        ({"target": "kinetix", "roi": "0,0,64,64", "width": 64}, "roi=0,0,64,64", "one way"),
        ({"binning": 3}, "binning=3", "sizes that it divides"),
        ({"binning": 0}, "binning=0", "1 and up to 16"),
        ({"specimen": "nucleus"}, "'nucleus'", "did you mean nuclei"),
        ({"specimen": "beads", "nucleus_um": 8.0}, "nucleus_um=8.0", "beads; it takes n, bead_um"),
        ({"specimen": "flat", "n": 3}, "n=3", "belongs to nuclei"),
        ({"specimen": "picture"}, "without its image", "file=cells.tif"),
        (
            {"specimen": "pair", "distance_um": 1.0, "distance_rayleigh": 1.0},
            "both distance_um and distance_rayleigh",
            "one of them",
        ),
        ({"channels": "DAPI,XFP"}, "channels='DAPI,XFP'", "DAPI, GFP, RFP, Cy5"),
        ({"aberrations_nm": "spherical"}, "aberrations_nm='spherical'", "names with a number"),
        ({"aberrations_nm": "coma=50"}, "coma", "coma_x"),
        ({"method": "light-sheet"}, "method='light-sheet'", "widefield, confocal"),
        ({"sample_index": 0.7}, "sample_index=0.7", "1 and up"),
        ({"pinhole_au": 0.0, "method": "confocal"}, "pinhole_au=0", "above 0"),
        ({"vignetting": 1.5}, "vignetting=1.5", "0 and up to"),
        ({"transmission": 1.5}, "transmission=1.5", "0 and up to 1"),
        ({"scan_um": 0.1}, "scan_um=0.1", "pmt-gaasp"),
        ({"tiles": "2"}, "tiles='2'", "rows, x, columns"),
        ({"overlap": 0.95, "tiles": "1x2"}, "overlap=0.95", "0 and up to 0.9"),
        ({"z": 0}, "z=0", "1 and up"),
        ({"z_step_um": 0.0, "z": 3}, "z_step_um=0", "above 0"),
        ({"drift_um": "1"}, "drift_um='1'", "two numbers"),
        ({"jitter_um": -1.0}, "jitter_um=-1", "0 and up"),
        ({"focus_drift_um": math.inf}, "focus_drift_um=inf", "-100 and up"),
        ({"bleach_ms": -1.0}, "bleach_ms=-1", "0 and up"),
        ({"flicker_depth": 2.0, "flicker_hz": 9.0}, "flicker_depth=2", "0 and up to 1"),
        ({"faults": "burn@1"}, "'burn@1'", "drop, hang, raise"),
        ({"threads": 0}, "threads=0", "1 and up"),
        ({"pinhole_au": 5.0}, "pinhole_au=5.0", "method=confocal"),
        ({"depth_um": 20.0}, "depth_um=20.0", "sample_index"),
        ({"flicker_depth": 1.0}, "flicker_depth=1.0", "flicker_hz"),
        ({"overlap": 0.1}, "overlap=0.1", "tiles"),
        ({"z_step_um": 0.5}, "z_step_um=0.5", "plane z"),
        ({"motion": "still", "step_um": 2.0}, "step_um=2.0", "not still"),
        ({"flow_um": "1,0"}, "flow_um=1,0", "motion=drift"),
        ({"specimen": "flat", "bleach_ms": 5.0}, "bleach_ms=5.0", "not flat"),
        ({"specimen": "flat", "transmission": 0.5}, "transmission=0.5", "not flat"),
        ({"target": "pmt-gaasp", "camera_pixel_um": 5.0}, "camera_pixel_um=5", "point by point"),
        ({"target": "pmt-gaasp", "flicker_hz": 50.0}, "flicker_hz=50", "point by point"),
        ({"density": 0.0}, "density=0", "0.001 and up"),
        ({"nucleus_um": 1e9}, "nucleus_um=1e+09", "2 and up to 50"),
        ({"specimen": "cells", "cell_um": 1e6}, "cell_um=1e+06", "2 and up to 100"),
        ({"objective": "1x0.9", "camera_pixel_um": 100.0}, "100 µm", "Change objective"),
        ({"target": "pmt-gaasp", "scan_um": 100.0}, "100 µm", "scan_um"),
        (
            {"specimen": "filaments", "n": 5000, "length_um": 1000.0},
            "n times length_um=5e+06",
            "up to 500000",
        ),
        (
            {"noise": "exact", "width": 16_384, "height": 16_384, "specimen": "flat"},
            "noise=exact",
            "noise=fast",
        ),
        ({"motion": "walk"}, "motion=walk", "persistent"),
        ({"cycle_t": -1}, "cycle_t=-1", "0 and up"),
        ({"death_rate": 2.0}, "death_rate=2", "0 and up"),
        ({"em_gain": 0.5, "target": "ixon-888"}, "em_gain=0.5", "1 and up"),
        ({"temperature_c": -300.0}, "temperature_c=-300", "-273"),
        ({"n": -1}, "n=-1", "0 and up to 200000"),
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
        ({"bits": 6, "offset_dn": 100.0}, "offset_dn=100 with bits=6", "below 63"),
        ({"qe": 1.1}, "qe=1.1", "0 and up to 1"),
        ({"read_noise_e": -1.0}, "read_noise_e=-1", "0 and up"),
        ({"gain_e_per_dn": 0.0}, "gain_e_per_dn=0", "1e-06 and up"),
        ({"offset_dn": -1.0}, "offset_dn=-1", "0 to below 4095"),
        ({"full_well_e": 0.0}, "full_well_e=0", "1 and up"),
        ({"dark_e_per_s": -1.0}, "dark_e_per_s=-1", "0 and up"),
        ({"objective": "20"}, "objective='20'", "air, water, oil"),
        ({"objective": "60x1.4glue"}, "objective='60x1.4glue'", "air, water, oil"),
        ({"objective": "60x1.45"}, "NA 1.45", "below that index"),
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
    assert any(
        advice in message for advice in ("Write ", "Lower ", "Change ", "Leave ", "Move ", "Name ")
    )


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
