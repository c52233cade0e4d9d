"""What every test may use: a home of its own for runs, the real images, the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("DIPSTREAM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of a test are kept in a folder of its own, never in the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DIPSTREAM_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real images, which are read where they lie."""
    if not (DATA / "MANIFEST.csv").is_file():
        if os.environ.get("DIPSTREAM_REQUIRE_DATA"):
            pytest.fail(f"no real images at {DATA}, and they are required here")
        pytest.skip(f"no real images at {DATA}; set DIPSTREAM_TEST_DATA")
    return DATA


@dataclass(frozen=True)
class Answer:
    """What the command line said."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on the last line of stdout."""
        found: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return found


class Cli:
    """Runs `dipstream` in a process of its own, as a user does."""

    command = (sys.executable, "-m", "dipstream")

    def __call__(self, *arguments: object, cwd: Path | None = None) -> Answer:
        done = subprocess.run(
            [*self.command, *map(str, arguments)],
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd=cwd,
            env=self.environment(),
            timeout=240,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object, cwd: Path | None = None) -> "subprocess.Popen[str]":
        """Start it and return at once."""
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=cwd,
            env=self.environment(),
        )

    @staticmethod
    def environment() -> dict[str, str]:
        folders = [str(REPOSITORY / name) for name in (".", "drivers", "simulator")]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONWARNINGS": "error"}


@pytest.fixture
def cli(home: Path) -> Iterator[Cli]:
    """The command line."""
    del home
    return Cli()
