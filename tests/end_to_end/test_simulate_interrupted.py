"""Simulations that do not come to their end: what they leave, and what a run makes of it."""

import errno
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import tifffile

import dipstream as ds
from dipstream.errors import SourceError
from dipstream.simulate import SimulationError, simulate, simulated_frames

SMALL = "sim:?n=12&width=160&height=128&fps=0&seed=3"


def about(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "simulate.json").read_text())
    return found


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 200) and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists()


def test_a_killed_simulation_is_refused(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = cli.start("simulate", out, "--source", SMALL.replace("fps=0", "fps=20"))
    wait_for(out / "truth" / "frames.csv")
    process.kill()
    process.communicate(timeout=60)
    for path in (out, out / "frames"):
        refused = cli("run", path)
        assert refused.code == 2
        assert "is not finished" in refused.stderr
        assert "simulate anew" in refused.stderr
    with pytest.raises(SourceError, match="is not finished"):
        ds.start([out], driver="watch")


def test_ctrl_c_does_not_wait_for_a_camera_that_hangs(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = cli.start("simulate", out, "--source", f"{SMALL}&faults=hang@5:100")
    wait_for(out / "truth" / "frames.csv")
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert process.returncode == 130, stderr
    assert "interrupted" in stdout
    assert about(out)["state"] == "interrupted"
    assert 2 <= about(out)["frames"] <= 5
    assert simulated_frames(out) == out / "frames"


def test_all_that_was_asked_for_is_not_interrupted(tmp_path: Path) -> None:
    done = simulate(tmp_path / "out", SMALL, frames=2, interrupted=lambda: False)
    assert done["state"] == "finished"


def test_a_camera_that_fails_ends_with_what_there_is(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = cli("simulate", out, "--source", f"{SMALL}&faults=raise@6", "--json")
    assert answer.code == 1
    assert answer.json["kind"] == "SimulationError"
    assert "6 frames of 3 image sets with their truth" in answer.json["error"]
    with ds.start(out, workers=1, durability="normal") as run:
        assert run.wait().analysed == 6


def test_a_camera_that_fails_at_once_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"Nothing was kept in .*out"):
        simulate(tmp_path / "out", f"{SMALL}&faults=raise@0")


def no_room(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_room_for_numpy(*_: Any, **__: Any) -> None:
    raise OSError("20480 requested and 16216 written")


def test_a_file_that_cannot_be_closed_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tifffile, "tiffcomment", no_room)
    out = tmp_path / "out"
    with pytest.raises(SimulationError, match=r"No space left.*frames\.ome\.tiff.*simulate anew"):
        simulate(out, SMALL, frames=4)
    assert about(out)["state"] == "unfinished"
    with pytest.raises(SourceError, match="is not finished"):
        simulated_frames(out)


@pytest.mark.parametrize(
    ("problem", "words"), [(no_room, "No space left"), (no_room_for_numpy, "is the disk full")]
)
def test_a_full_disk_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Any, words: str
) -> None:
    real = tifffile.TiffWriter.write

    def write(writer: Any, data: Any, *rest: Any, **more: Any) -> Any:
        if "frames.ome" in str(writer._fh.path) and len(pages) >= 3:
            problem()
        pages.append(1)
        return real(writer, data, *rest, **more)

    pages: list[int] = []
    monkeypatch.setattr(tifffile.TiffWriter, "write", write)
    out = tmp_path / "out"
    with pytest.raises(SimulationError, match=words) as raised:
        simulate(out, SMALL)
    assert "frames.ome.tiff" in str(raised.value)
    assert about(out)["state"] == "failed"


def test_zarr_says_that_runs_cannot_read_it(cli: Any, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    answer = cli("simulate", tmp_path / "z", "--source", SMALL, "--frames", 2, "--format", "zarr")
    assert "cannot read OME-Zarr yet" in answer.stdout


def test_a_watched_simulation_is_its_frames(tmp_path: Path, cli: Any) -> None:
    out = tmp_path / "out"
    simulate(out, SMALL, frames=8)
    answer = cli("watch", out, "--channels", "DAPI,GFP", "--frames", 8, "--json")
    assert answer.code == 0, answer.stderr
    assert (answer.json["received"], answer.json["analysed"]) == (8, 8)
    assert answer.json["ignored_files"] == 0


@pytest.mark.parametrize("last", [signal.SIGINT, signal.SIGTERM])
def test_a_third_signal_of_any_kind_ends_it(tmp_path: Path, cli: Any, last: int) -> None:
    program = (
        "import time\n"
        "from dipstream.cli.interrupts import interrupts\n"
        "with interrupts() as n:\n"
        "    while True:\n"
        "        print(n(), flush=True)\n"
        "        time.sleep(0.05)\n"
    )
    process = subprocess.Popen(
        [*cli.command[:1], "-c", program],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=cli.environment(),
    )
    assert process.stdout is not None
    for count, number in ((0, signal.SIGINT), (1, signal.SIGINT), (2, last)):
        while int(process.stdout.readline()) < count:
            pass
        process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == -last
