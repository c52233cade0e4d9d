"""An experiment as a YAML file: the same parameters, checked as strictly."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream.sources import open_source
from dipstream_simulator.experiment import SECTIONS
from dipstream_simulator.source import open_sim

EXPERIMENT = """\
sim: 1
camera: {preset: orca-flash4, width: 96, height: 64, exposure_ms: 20}
optics: {objective: 60x1.40}
specimen: {preset: beads, n: 12, z_spread_um: 0.5}
light: {photons: 5000, background_photons: 10}
stage: {z: 3, z_step_um: 0.5}
run: {fps: 0, frames: 6, seed: 3}
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "beads.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_a_file_is_the_uri_in_sections(written: Path) -> None:
    uri = (
        "sim:orca-flash4?width=96&height=64&exposure_ms=20&objective=60x1.40&specimen=beads&n=12"
        "&z_spread_um=0.5&photons=5000&background_photons=10&z=3&z_step_um=0.5&fps=0&frames=6&seed=3"
    )
    with open_source(f"sim:{written}") as one, open_source(uri) as other:
        for left, right in zip(one.frames(), other.frames(), strict=True):
            np.testing.assert_array_equal(left.data, right.data)  # type: ignore[arg-type]
            assert left.info.segment == right.info.segment
            assert left.info.z == right.info.z


def test_the_uri_wins_over_the_file(written: Path) -> None:
    with open_source(f"sim:{written}?frames=2&width=64") as source:
        frames = list(source.frames())
    assert len(frames) == 2
    assert frames[0].data.shape == (64, 64)
    with open_source(f"sim:{written}?seed=7&exposure_ms=10") as source:  # the defaults, written
        assert source.info.name.startswith("sim:orca-flash4?specimen=beads&n=12&photons=5000")
        assert "seed" not in source.info.name
        assert next(source.frames()).info.exposure_ms == 10


def test_every_parameter_has_a_section() -> None:
    parameters = set(inspect.signature(open_sim).parameters) - {"target", "specimen"}
    listed = [key for keys in SECTIONS.values() for key in keys]
    assert sorted(listed) == sorted(parameters)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "begins with `sim: 1`"),
        ("camera: {}", "begins with `sim: 1`"),
        ("sim: 1\ncamra: {}", "did you mean camera"),
        ("sim: 1\ncamera: {with: 3}", "did you mean width"),
        ("sim: 1\ncamera: 3", "indented below"),
        ("sim: true", "begins with `sim: 1`"),
        ("sim: 1\ncamera: {width: 64}\ncamera: {width: 96}", "'camera' stands here a second time"),
        ("sim: 1\ncamera: {width: 64, width: 96}", "'width' stands here a second time"),
        ("sim: 1\ncamera: {width: true}", "width received True"),
        ("sim: 1\nrun: " + "[" * 5000, "no valid YAML"),
        ("sim: 1\ncamera: {width: wide}", "width received 'wide'"),
        ("sim: 1\nrun: {fps: .nan}", "fps received"),
        ("sim: 1\ncamera: {preset: orca-flas4}", "orca-flash4"),
        ("sim: 1\noptics: {method: light-sheet}", "method received"),
        ("sim: [", "no valid YAML"),
        ("sim: 1\nrun: !!python/object/apply:os.system ['true']", "no valid YAML"),
    ],
)
def test_files_that_cannot_be_used(text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(text)
    with pytest.raises(SourceError, match=match):
        open_sim(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        open_sim(str(tmp_path / "none.yaml"))


def test_a_picture_lies_beside_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "cells.npy", np.eye(64, dtype=np.float32))
    (tmp_path / "picture.yaml").write_text(
        "sim: 1\nspecimen: {preset: picture, file: cells.npy, file_pixel_um: 0.5}\n"
        "camera: {width: 64, height: 64}\nrun: {fps: 0, frames: 1}\n"
    )
    with open_source(f"sim:{tmp_path / 'picture.yaml'}") as source:
        assert next(source.frames()).data.std() > 5  # type: ignore[union-attr]
