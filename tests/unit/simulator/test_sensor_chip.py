"""A chip that is set up: regions, binning, mosaics, smear, rolling shutter, several lights."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.sensor import Chip, Sensor, camera_preset

SMALL = Sensor(rows=40, columns=60, read_noise_e=0.0, dark_e_per_s=0.0, gain_e_per_dn=1.0)
chains = pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])


def even(chip: Chip, photons: float) -> npt.NDArray[np.float32]:
    return np.full(chip.roi[2:], photons, dtype=np.float32)


@pytest.mark.parametrize(
    ("changes", "binning", "shape", "bit_depth", "offset_dn", "dtype"),
    [
        ({}, 1, (40, 60), 12, 100.0, "uint16"),
        ({}, 2, (20, 30), 14, 400.0, "uint16"),
        ({}, 3, (13, 20), 16, 900.0, "uint16"),
        ({"bits": 8, "offset_dn": 5.0}, 1, (40, 60), 8, 5.0, "uint8"),
        ({"bits": 8, "offset_dn": 5.0}, 2, (20, 30), 10, 20.0, "uint16"),
        ({"bits": 16}, 2, (20, 30), 18, 400.0, "uint32"),
        ({"kind": "CCD", "binning": "on-chip"}, 2, (20, 30), 12, 100.0, "uint16"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_what_frames_look_like(
    changes: dict[str, Any],
    binning: int,
    shape: tuple[int, int],
    bit_depth: int,
    offset_dn: float,
    dtype: str,
    exact: bool,
) -> None:
    chip = Chip(replace(SMALL, **changes), binning=binning)
    frame = chip.expose([], 10.0, seed=1, number=0, exact=exact).dn
    assert chip.shape == frame.shape == shape
    assert chip.dtype == frame.dtype == np.dtype(dtype)
    assert (chip.bit_depth, chip.offset_dn) == (bit_depth, offset_dn)
    assert (frame == offset_dn).all()
    assert (chip.to_electrons(frame) == 0).all()


@chains
def test_brightest_sum_fits_its_container(exact: bool) -> None:
    chip = Chip(replace(SMALL, bits=16, full_well_e=1e6), binning=16)
    exposed = chip.expose(
        [(550.0, even(chip, 1e6))], 1.0, seed=1, number=0, exact=exact, with_electrons=True
    )
    assert (exposed.dn == 256 * 65_535).all()
    assert exposed.saturated is not None
    assert exposed.saturated.all()


@chains
def test_one_full_pixel_marks_its_bin(exact: bool) -> None:
    for sensor in (SMALL, replace(SMALL, kind="CCD", binning="on-chip")):
        chip = Chip(sensor, binning=2)
        light = even(chip, 0.0)
        light[11, 7] = 1e5
        exposed = chip.expose(
            [(550.0, light)], 1.0, seed=1, number=0, exact=exact, with_electrons=True
        )
        assert exposed.saturated is not None
        assert np.argwhere(exposed.saturated).tolist() == [[5, 3]]


def test_electrons_only_when_asked() -> None:
    for exact in (True, False):
        exposed = Chip(SMALL).expose([], 1.0, seed=1, number=0, exact=exact)
        assert exact or exposed.electrons is None


@pytest.mark.parametrize("mosaic", ["RGGB", "GRBG", "BGGR", "GBRG"])
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (3, 6)])
@chains
def test_mosaic(mosaic: str, corner: tuple[int, int], exact: bool) -> None:
    y, x = corner
    sensor = camera_preset("zelux").sensor(
        mosaic=mosaic, prnu=0.0, gain_e_per_dn=5.0, bits=16, gain_variation=0.0
    )
    chip = Chip(sensor, roi=(y, x, 64, 64))
    tile = np.array(list(mosaic)).reshape(2, 2)
    letters = [str(tile[(y + dy) % 2, (x + dx) % 2]) for dy in (0, 1) for dx in (0, 1)]
    assert chip.mosaic == "".join(letters)
    exposed = chip.expose(
        [(620.0, even(chip, 3000))], 0.0, seed=1, number=0, exact=exact, with_electrons=True
    )
    assert exposed.electrons is not None
    means = {}
    for place, letter in enumerate(letters):
        dy, dx = divmod(place, 2)
        means[letter] = exposed.electrons[dy::2, dx::2].mean()
        expected = 3000 * sensor.qe_at(620.0, letter)
        assert means[letter] == pytest.approx(expected, abs=5 * (expected / 1024) ** 0.5)
    assert means["R"] > 3 * means["G"] > 3 * means["B"]


def test_colours_under_their_own_light() -> None:
    sensor = camera_preset("zelux").sensor()
    brightest = {}
    for nm in (450, 530, 640):
        efficiency = {colour: sensor.qe_at(nm, colour) for colour in "RGB"}
        brightest[nm] = max(efficiency, key=efficiency.__getitem__)
    assert brightest == {450: "B", 530: "G", 640: "R"}


@chains
def test_several_lights_at_once(exact: bool) -> None:
    chip = Chip(camera_preset("orca-flash4").sensor(), roi=(1000, 1000, 128, 128))
    light = [(460.0, even(chip, 400)), (600.0, even(chip, 300))]
    mean = chip.expected(light, 0.0)
    qe = [chip.sensor.qe_at(nm) for nm in (460.0, 600.0)]
    assert mean.mean() == pytest.approx(400 * qe[0] + 300 * qe[1], rel=1e-3)
    exposed = chip.expose(light, 0.0, seed=1, number=0, exact=exact, with_electrons=True)
    assert exposed.electrons is not None
    assert exposed.electrons.mean() == pytest.approx(
        mean.mean(), abs=4 * (mean.mean() / 128**2) ** 0.5
    )


@chains
def test_shading_shapes_the_mean(exact: bool) -> None:
    shading = np.linspace(0.2, 1.0, 60, dtype=np.float32)[None, :].repeat(40, axis=0)
    chip = Chip(replace(SMALL, full_well_e=1e6, bits=16), shading=shading)
    np.testing.assert_allclose(
        chip.expected([(550.0, even(chip, 1e4))], 1.0), 8000 * shading, rtol=1e-5
    )
    exposed = chip.expose([(550.0, even(chip, 1e4))], 1.0, seed=1, number=0, exact=exact)
    signal = exposed.dn.astype(np.float64) - 100
    assert np.abs((signal - 8000 * shading) / np.sqrt(8000 * shading)).max() < 6


@chains
def test_smear_of_a_frame_transfer(exact: bool) -> None:
    sensor = replace(SMALL, kind="CCD", smear_row_us=2.0, bits=16, full_well_e=1e6)
    chip = Chip(sensor)
    light = even(chip, 0.0)
    light[20, 30] = 5e5
    mean = chip.expected([(550.0, light)], 4.0)
    # 2 µs of 4 ms on each row: a two-thousandth of the column's 400,000 electrons.
    assert mean[0, 30] == pytest.approx(200.0)
    assert mean[20, 30] == pytest.approx(400_200.0)
    assert mean[20, 29] == 0.0
    frames = [
        chip.expose([(550.0, light)], 4.0, seed=1, number=number, exact=exact).dn[0]
        for number in range(20)
    ]
    column = np.stack(frames).astype(np.float64) - 100
    assert column[:, 30].mean() == pytest.approx(200.0, abs=4 * (200 / 20) ** 0.5)
    assert (column[:, 29] == 0).all()
    assert Chip(replace(sensor, smear_row_us=0.0)).expected([(550.0, light)], 4.0)[0, 30] == 0.0


@chains
def test_light_that_flickers_under_a_rolling_shutter(exact: bool) -> None:
    chip = Chip(replace(SMALL, bits=16, full_well_e=1e6))
    row_light = np.linspace(0.0, 2.0, 40, dtype=np.float32)
    exposed = chip.expose(
        [(550.0, even(chip, 1e4))], 1.0, seed=1, number=0, row_light=row_light, exact=exact
    )
    rows = exposed.dn.mean(axis=1) - 100
    assert np.abs(rows - 8000 * row_light).max() < 5 * (16_000 / 60) ** 0.5
    assert rows[0] == 0


@pytest.mark.parametrize(
    ("rolling", "roi", "times_us"),
    [
        ("", (0, 0, 4, 4), [0, 0, 0, 0]),
        ("down", (0, 0, 4, 4), [0, 10, 20, 30]),
        ("down", (7, 0, 3, 4), [0, 10, 20]),
        ("centre-out", (18, 0, 4, 4), [10, 0, 0, 10]),
        ("centre-out", (0, 0, 3, 4), [20, 10, 0]),
        ("centre-out", (19, 0, 4, 4), [0, 0, 10, 20]),
    ],
)
def test_row_times(rolling: str, roi: tuple[int, int, int, int], times_us: list[float]) -> None:
    chip = Chip(replace(SMALL, rolling=rolling, row_time_us=10.0), roi=roi)
    np.testing.assert_allclose(chip.row_times_ms(), np.array(times_us) * 1e-3)


def test_a_flash4_reads_all_its_rows_within_10_ms() -> None:
    times_ms = Chip(camera_preset("orca-flash4").sensor()).row_times_ms()
    assert times_ms.max() == pytest.approx(1000 / 100, rel=0.01)
    assert times_ms.argmin() == 1023


@chains
def test_a_region_is_a_part_of_the_same_chip(exact: bool) -> None:
    sensor = replace(SMALL, offset_variation_dn=5.0, serial=3)
    whole = Chip(sensor).expose([], 1.0, seed=1, number=0, exact=exact).dn
    part = Chip(sensor, roi=(5, 7, 20, 31)).expose([], 1.0, seed=1, number=0, exact=exact).dn
    np.testing.assert_array_equal(part, whole[5:25, 7:38])


def test_inputs_are_left_alone() -> None:
    chip = Chip(replace(SMALL, smear_row_us=1.0, kind="CCD"))
    light, rows = even(chip, 50.0), np.full(40, 0.5, dtype=np.float32)
    for exact in (True, False):
        chip.expose([(550.0, light)], 1.0, seed=1, number=0, row_light=rows, exact=exact)
    assert (light == 50).all()
    assert (rows == 0.5).all()


def test_photo_electrons_undo_offset_gain_and_multiplication() -> None:
    chip = Chip(camera_preset("ixon-888").sensor(em_gain=100.0), roi=(0, 0, 4, 4))
    dn = np.full((4, 4), 200 + 1000, dtype=np.uint16)
    assert chip.to_electrons(dn) == pytest.approx(1000 * 4.9 / 100)


@pytest.mark.parametrize(
    ("keywords", "received", "advice"),
    [
        ({"roi": (0, 0, 41, 60)}, "height=41", "inside its 40 rows and 60 columns"),
        ({"roi": (-1, 0, 4, 4)}, "y=-1", "inside its 40 rows"),
        ({"roi": (0, 0, 0, 4)}, "height=0", "inside"),
        ({"roi": (0, 58, 4, 4)}, "x=58", "60 columns"),
        ({"binning": 0}, "binning=0", "1 and up to 16"),
        ({"binning": 17}, "binning=17", "1 and up to 16"),
        ({"roi": (0, 0, 3, 60), "binning": 4}, "binning=4", "1 and up to 3"),
        ({"shading": np.ones((4, 4), np.float32)}, "(4, 4)", "(40, 60)"),
    ],
)
def test_chips_that_cannot_be(keywords: dict[str, Any], received: str, advice: str) -> None:
    with pytest.raises(SourceError) as caught:
        Chip(SMALL, **keywords)
    assert received in str(caught.value)
    assert advice in str(caught.value)


def test_colours_are_not_binned() -> None:
    with pytest.raises(SourceError, match="RGGB mosaic"):
        Chip(camera_preset("zelux").sensor(), binning=2)


@chains
@pytest.mark.parametrize(
    ("light", "exposure_ms", "row_light", "received"),
    [
        ([(550.0, np.ones((4, 4), np.float32))], 1.0, None, "(4, 4) at 550 nm"),
        ([], 1.0, np.ones(4, np.float32), "row_light of shape (4,)"),
        ([], -1.0, None, "exposure_ms=-1"),
        ([(5.0, np.ones((40, 60), np.float32))], 1.0, None, "wavelength_nm=5"),
    ],
)
def test_exposures_that_cannot_be(
    light: list[Any], exposure_ms: float, row_light: Any, received: str, exact: bool
) -> None:
    with pytest.raises(SourceError) as caught:
        Chip(SMALL).expose(light, exposure_ms, seed=1, number=0, row_light=row_light, exact=exact)
    assert received in str(caught.value)
