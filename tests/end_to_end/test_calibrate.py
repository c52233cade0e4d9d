"""From flat pairs to a camera file to intensities in photo-electrons."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import dipstream as ds

GAIN, OFFSET, READ_NOISE, FULL_WELL = 0.47, 100.0, 1.6, 30_000.0
Plane = npt.NDArray[Any]


def digitised(electrons: Plane, rng: np.random.Generator) -> Plane:
    noisy = electrons + READ_NOISE * rng.standard_normal(electrons.shape)
    rounded: Plane = np.clip(np.floor(noisy / GAIN + OFFSET + 0.5), 0, 65_535).astype(np.uint16)
    return rounded


@pytest.fixture(scope="module")
def flats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs in a mixed order of light; one file has lost its partner, one is no image."""
    folder = tmp_path_factory.mktemp("flats")
    rng = np.random.default_rng(11)
    lights = np.linspace(0, 1.25 * FULL_WELL, 24)
    for number, light in enumerate([*rng.permutation(lights), 7000.0]):
        for half in "ab":
            held = np.minimum(rng.poisson(light, (160, 160)), FULL_WELL)
            tifffile.imwrite(folder / f"level{number}{half}.tif", digitised(held, rng))
    (folder / "level24b.tif").unlink()
    (folder / "notes.txt").write_text("lamp 3", encoding="utf-8")
    return folder


@pytest.fixture
def camera(flats: Path, tmp_path: Path, cli: Any) -> Path:
    path = tmp_path / "camera.toml"
    assert cli("calibrate", flats, "--bit-depth", "16", "--out", path).code == 0
    return path


def test_a_folder_of_flat_pairs_makes_a_camera_file(flats: Path, tmp_path: Path, cli: Any) -> None:
    out, plot = tmp_path / "camera.toml", tmp_path / "plot.png"
    answer = cli(
        *("calibrate", flats, "--bit-depth", "16", "--name", "left port"),
        *("--out", out, "--plot", plot, "--json"),
    )
    assert answer.code == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == 1
    (found,) = answer.json["channels"]
    for name, truth, tolerance in [
        ("offset_dn", OFFSET, 0.1),
        ("gain_e_per_dn", GAIN, 0.01 * GAIN),
        ("read_noise_e", READ_NOISE, 0.02 * READ_NOISE),
        ("full_well_e", FULL_WELL, 0.01 * FULL_WELL),
    ]:
        assert found[name] == pytest.approx(truth, abs=tolerance), name
        assert 0 < found[f"{name}_se"] < tolerance
    assert found["linearity_error_percent"] is None
    assert (found["pairs"], found["dark_from"]) == (24, "darkest")
    assert any("level24a.tif" in text for text in found["warnings"])
    assert any("nobody says which pair is dark" in text for text in found["warnings"])
    assert "nobody says which pair is dark" in answer.stderr
    assert "level24a.tif" in answer.stderr

    written = tomllib.loads(out.read_text(encoding="utf-8"))
    assert (written["name"], written["dipstream_version"]) == ("left port", ds.__version__)
    assert written["source"] == str(flats)
    assert written["modes"][0]["bit_depth"] == 16
    assert written["modes"][0]["dark_from"] == "darkest"
    assert "binning" not in written["modes"][0]
    assert written["modes"][0]["gain_e_per_dn"] == pytest.approx(found["gain_e_per_dn"], rel=1e-6)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_people_are_told_in_words(flats: Path, cli: Any) -> None:
    answer = cli("calibrate", flats)
    assert answer.code == 0, answer.stderr
    for words in ("gain", "e⁻/DN", "±", "24 pairs", "without light", "no linearity error"):
        assert words in answer.stdout
    assert "level24a.tif" in answer.stderr


def test_a_run_with_it_measures_electrons(camera: Path, tmp_path: Path, cli: Any) -> None:
    rng = np.random.default_rng(12)
    y, x = np.mgrid[:120, :160]
    light = np.full(y.shape, 20.0)
    for row, column, height in [(30, 30, 1500), (30, 110, 4000), (85, 40, 9000), (85, 120, 6000)]:
        light[np.hypot(y - row, x - column) < 14] = height
    electrons = rng.poisson(light)
    frames = tmp_path / "frames"
    frames.mkdir()
    tifffile.imwrite(frames / "a.tif", digitised(electrons, rng))
    full = digitised(electrons, rng)
    full[:12, :12] = 65_535
    tifffile.imwrite(frames / "b.tif", full)

    plain = cli("run", frames, "--bit-depth", "16", "--json")
    answer = cli(
        *("run", frames, "--bit-depth", "16", "--camera", camera.name, "--save-labels", "--json"),
        cwd=tmp_path,
    )
    assert answer.code == 0, answer.stderr
    summary = answer.json
    assert summary["pipeline_sha256"] != plain.json["pipeline_sha256"]
    run = ds.open_run(summary["folder"])
    table = run.objects("nuclei", where="t = 0")
    assert len(table) == 4
    labels = tifffile.imread(Path(summary["folder"]) / "labels" / "0_nuclei.tif")
    for measured in table.to_dict("records"):
        held = electrons[labels == measured["label"]]
        assert measured["intensity_mean_ch0"] == pytest.approx(held.mean(), rel=0.01)
        assert measured["intensity_sum_ch0"] == pytest.approx(held.sum(), rel=0.01)
    columns = run.columns()
    units = set(columns["unit"][columns["name"] == "intensity_mean_ch0"])
    assert units == {"e⁻"}
    # saturation is a matter of the raw frame
    flags = run.frames().sort_values("t")["flags"].tolist()
    assert "saturated" not in flags[0]
    assert "saturated" in flags[1]


def test_another_bit_depth_is_refused_before_the_run(
    camera: Path, flats: Path, tmp_path: Path, cli: Any
) -> None:
    answer = cli("run", flats, "--bit-depth", "12", "--camera", camera, "--json")
    assert answer.code == 2
    assert "camera.toml is of 16 bits" in answer.json["error"]
    watched = cli("watch", tmp_path, "--camera", tmp_path / "none.toml", "--json")
    assert watched.code == 2
    assert "none.toml cannot be read" in watched.json["error"]
    assert "dipstream calibrate SOURCE --out camera.toml" in watched.json["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--levels", "20"], "cannot dim its own light"),
        (["--plot", "plot.txt"], ".png, .svg, .pdf"),
        (["--out", "none/camera.toml"], "there is no folder"),
        (["--out", "taken.toml"], "is no camera file"),
        (["--channel", "GFP"], "'GFP'; there are ch0"),
    ],
)
def test_what_is_refused(
    flats: Path, tmp_path: Path, cli: Any, arguments: list[str], words: str
) -> None:
    (tmp_path / "taken.toml").write_text("[project]\n", encoding="utf-8")
    answer = cli("calibrate", flats, *arguments, "--json", cwd=tmp_path)
    assert answer.code == 2
    assert words in answer.json["error"]


def test_levels_below_the_fewest_are_refused_and_the_help_says_it(cli: Any) -> None:
    answer = cli("calibrate", "sim:?width=64&height=64", "--levels", "9")
    assert answer.code == 2
    assert "10" in answer.stderr
    assert cli("calibrate", "sim:?width=128&height=128", "--levels", "10").code == 0


@pytest.mark.parametrize(
    ("calibrated", "used", "words"),
    [
        ("orca-flash4?", "prime-95b?", "a gain of 0.4"),
        ("orca-r2?binning=2&", "orca-r2?", "is of binning 2"),
        ("generic?gain_e_per_dn=1.2&offset_dn=100&bits=16&", "prime-95b?", "the camera 'generic'"),
    ],
)
def test_the_file_of_another_camera_is_refused(
    tmp_path: Path, cli: Any, calibrated: str, used: str, words: str
) -> None:
    out = tmp_path / "camera.toml"
    small = "width=128&height=128"
    assert cli("calibrate", f"sim:{calibrated}{small}", "--out", out).code == 0
    source = f"sim:{used}{small}&n=4&fps=0"
    answer = cli("run", source, "--frames", "2", "--camera", out, "--json")
    assert answer.code != 0
    assert words in answer.stdout + answer.stderr
    own = f"sim:{calibrated}{small}&n=4&fps=0"
    fitting = cli("run", own, "--frames", "2", "--camera", out, "--json")
    assert (fitting.code, fitting.json["analysed"]) == (0, 2)


def test_a_photomultiplier_says_its_excess_noise(tmp_path: Path, cli: Any) -> None:
    out = tmp_path / "camera.toml"
    source = "sim:pmt-gaasp?width=128&height=128"
    answer = cli("calibrate", source, "--out", out, "--json")
    (found,) = answer.json["channels"]
    assert (found["excess_noise"], found["excess_noise_from"]) == (1.2, "source")
    assert found["gain_e_per_dn"] == pytest.approx(25_000, rel=0.02)
    (mode,) = tomllib.loads(out.read_text(encoding="utf-8"))["modes"]
    assert (mode["excess_noise"], mode["dark_from"], mode["camera"]) == (
        *(1.2, "source"),
        "pmt-gaasp",
    )


def test_the_simulated_camera_is_found_as_it_was_made(tmp_path: Path, cli: Any) -> None:
    out = tmp_path / "camera.toml"
    source = "sim:?width=256&height=256&gain_e_per_dn=2.5&read_noise_e=5&offset_dn=80"
    answer = cli("calibrate", source, "--levels", "20", "--out", out, "--json")
    assert answer.code == 0, answer.stderr
    (found,) = answer.json["channels"]
    assert found["gain_e_per_dn"] == pytest.approx(2.5, rel=0.01)
    assert found["read_noise_e"] == pytest.approx(5.0, rel=0.02)
    assert found["offset_dn"] == pytest.approx(80.0, abs=0.1)
    assert found["linearity_error_percent"] < 0.1
    assert found["dark_from"] == "source"
