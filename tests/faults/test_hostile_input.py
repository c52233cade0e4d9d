"""Files and texts made to do harm: nothing is executed, nothing else read, little is used."""

import io
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream.calibrate.camera_file import read_camera
from dipstream.config import read_pipeline
from dipstream.errors import DipstreamError
from dipstream.steps.correct.reference import read_reference, version_of
from dipstream.store.folder import RunFolder
from dipstream.truth.folder import TruthFolder
from dipstream_drivers.pattern import Pattern
from dipstream_drivers.replay import open_replay
from dipstream_simulator.experiment import read_experiment
from dipstream_simulator.source import open_sim
from dipstream_simulator.specimen.picture import _read as read_picture
from tests.faults import hostile

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process held")
MOST_MB, MOST_S = 512, 2.0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a process of its own says of each file."""
    folder = tmp_path_factory.mktemp("hostile")
    files = folder / "files"
    files.mkdir()
    secret = folder / "secret.txt"
    secret.write_text(hostile.SECRET, encoding="utf-8")
    for name, content in hostile.images(secret.as_uri()).items():
        (files / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert not (folder / "executed").exists()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["name"]: one for one in found}


@LINUX
def test_images(told: dict[str, dict[str, Any]]) -> None:
    assert len(told) > 35
    for name, one in told.items():
        assert hostile.SECRET not in one["outcome"]
        assert one["mine_mb"] < MOST_MB, name
        assert one["child_mb"] < MOST_MB, name
        assert one["seconds"] < MOST_S, name
        assert "lost each time" not in one["outcome"], f"{name} is refused before it kills"


@LINUX
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raw-400k.tif", "at most 2147483648 px"),
        ("deflate-30k.tif", "decompression bomb"),
        ("png-30k.png", "decompression bomb"),
        ("jpeg2000-60k.tif", "cannot be decoded"),
        ("circle-of-many.tif", "runs in a circle after page 500"),
        ("strips-million.tif", "at most 100000 are read"),
        ("entities.ome.tif", "refused for safety"),
        ("external.ome.tif", "refused for safety"),
        ("planes.ome.tif", "far more than the file can hold"),
        ("pickle.tif", "no TIFF"),
    ],
)
def test_images_say_why(told: dict[str, dict[str, Any]], name: str, words: str) -> None:
    assert words in told[name]["outcome"]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


YAML = {
    "python-tag": "dipstream: !!python/object/apply:os.system ['touch executed']\nobjects: {}\n",
    "python-name": "dipstream: 1\nobjects: !!python/name:os.system\n",
    "python-new": "dipstream: 1\nobjects: !!python/object/new:os.system ['touch executed']\n",
    "own-tag": "dipstream: 1\nobjects: !include secret.txt\n",
    "laughs": "a: &a0 [ha]\n"
    + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    + "objects: *a11\n",
    "merges": "a: &a0 {x: 1}\n"
    + "".join(f"b{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)),
    "itself": "dipstream: 1\nobjects: &a {x: *a}\n",
    "digits": f"dipstream: {'9' * 100_000}\n",
    "hexadecimal": f"dipstream: 0x{'f' * 100_000}\n",
    "sixties": f"dipstream: {':'.join(['1'] * 50_000)}\n",
    "lists": "[" * 150_000,
    "maps": "{a: " * 40_000,
    "indented": "\n".join(" " * n + "a:" for n in range(600)),
    "keys": "\n".join(f"k{n}: 1" for n in range(15_000)),
    "long": "a: " + "x" * 5_000_000,
    "date": "dipstream: 2026-99-99\n",
    "binary": "dipstream: !!binary AAAA\nobjects: {}\n",
}
TOML = {
    "digits": f"dipstream-camera = {'9' * 100_000}\n",
    "lists": f"a = {'[' * 100_000}",
    "dotted": f"{'.'.join(['a'] * 50_000)} = 1\n",
    "tables": f"a = {'{a = ' * 30_000}",
    "long": f"a = '{'x' * 5_000_000}'\n",
}


@pytest.fixture
def harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Reads something that must be refused, quickly; returns the error's words."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text(hostile.SECRET, encoding="utf-8")

    def tried(read: Callable[[], object]) -> str:
        began = time.process_time()
        with pytest.raises(DipstreamError) as refused:
            read()
        assert time.process_time() - began < MOST_S
        text = str(refused.value)
        assert hostile.SECRET not in text
        assert len(text) < 20_000
        return text

    yield tried
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", YAML)
def test_pipelines(harmless: Callable[..., str], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(YAML[kind], encoding="utf-8")
    harmless(lambda: read_pipeline(path))


@pytest.mark.parametrize("kind", YAML)
def test_experiments(harmless: Callable[..., str], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(YAML[kind].replace("dipstream:", "sim:"), encoding="utf-8")
    harmless(lambda: read_experiment(str(path), open_sim))


@pytest.mark.parametrize("kind", TOML)
def test_camera_files(harmless: Callable[..., str], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "camera.toml"
    path.write_text(TOML[kind], encoding="utf-8")
    harmless(lambda: read_camera(path))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * 100_000, "null", ""])
def test_json_of_runs_and_truths(harmless: Callable[..., str], tmp_path: Path, text: str) -> None:
    for name in ("run.json", "truth.json"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    harmless(RunFolder(tmp_path).read)
    harmless(TruthFolder(tmp_path).read)


def pickled(path: Path) -> dict[str, bytes]:
    """Payloads in every disguise of numpy's."""
    plain, array, archive = pickle.dumps(Payload(path)), io.BytesIO(), io.BytesIO()
    objects = np.empty(1, object)
    objects[0] = Payload(path)
    np.save(array, objects, allow_pickle=True)
    np.savez(archive, x=objects)
    return {"pickle": plain, "npy": array.getvalue(), "npz": archive.getvalue()}


@pytest.mark.parametrize("kind", ["pickle", "npy", "npz"])
def test_pickles(harmless: Callable[..., str], tmp_path: Path, kind: str) -> None:
    content = pickled(tmp_path / "executed")[kind]
    for name in ("x.npy", "x.tif", "x.png", "x.yaml", "x.toml"):
        (tmp_path / name).write_bytes(content)
    harmless(lambda: read_picture(tmp_path / "x.npy"))
    for name in ("x.tif", "x.png"):
        version = version_of(tmp_path / name)
        harmless(lambda version=version: read_reference(version))
    harmless(lambda: read_pipeline(tmp_path / "x.yaml"))
    harmless(lambda: read_camera(tmp_path / "x.toml"))


@pytest.mark.parametrize("name", ["raw-400k.tif", "deflate-30k.tif", "png-400k.png"])
def test_reference_images(harmless: Callable[..., str], tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(hostile.images("x")[name])
    harmless(lambda: read_reference(version_of(path)))


@pytest.mark.parametrize(
    "pattern", ["../{t}.tif", "{t}/../../secret{p}.tif", "**/{p}.txt", "/{p}.txt", "..{p}"]
)
def test_patterns_stay_below_their_folder(
    harmless: Callable[..., str], tmp_path: Path, pattern: str
) -> None:
    folder = tmp_path / "below" / "images"
    folder.mkdir(parents=True)
    (folder / "1.tif").write_bytes(hostile.tiff(bytes(4096)))
    (tmp_path / "below" / "2.tif").write_bytes(hostile.tiff(bytes(4096)))
    found = Pattern.compile(pattern).parse("1.tif")
    assert found is None
    harmless(lambda: open_replay(str(folder), pattern=pattern))
