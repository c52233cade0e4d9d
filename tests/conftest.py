"""What every test may use: a home of its own for runs, the real images, the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from zygote import Forked, Zygote

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("DIPSTREAM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


FIGURES = "figures"


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say a figure that was measured: all are printed at the end, from every process."""
    return lambda text: request.node.user_properties.append((FIGURES, text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured."""
    stats = terminalreporter.stats
    reports = [*stats.get("passed", []), *stats.get("failed", [])]
    figures = [
        text
        for report in reports
        if report.when == "call"
        for name, text in report.user_properties
        if name == FIGURES
    ]
    if figures:
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders. A mktemp for each of thousands of tests would look through all before it."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of a test are kept in a folder of its own, never in the user's."""
    folder = next(homes)
    folder.mkdir()
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


@pytest.fixture(scope="module")
def two_at_a_time(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., dict[str, Future[Any]]]]:
    """Begin the work of a parametrised test for all its selected cases, for two cases at once.

    Only for work that takes a processor long, and of which nothing is timed. It gives the results
    by the id of the case, and is over when the module is.
    """
    pool = ThreadPoolExecutor(2)

    def begin(test: str, work: Callable[..., Any]) -> dict[str, Future[Any]]:
        cases = [
            item.callspec
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and item.path == request.path
            and item.originalname == test
        ]
        return {case.id: pool.submit(work, **case.params) for case in cases}

    yield begin
    pool.shutdown(cancel_futures=True)


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
    """Runs `dipstream` in a process of its own: forked from the zygote, or as a user does."""

    command = (sys.executable, "-m", "dipstream")

    def __init__(self, zygote: Zygote | None = None) -> None:
        self._zygote = zygote

    @property
    def fresh(self) -> "Cli":
        """The same from the very beginning: nothing is imported or loaded before."""
        return Cli()

    def __call__(
        self,
        *arguments: object,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Answer:
        process = self.start(*arguments, cwd=cwd, environment=environment)
        try:
            stdout, stderr = process.communicate(timeout=240)
        except BaseException:
            process.kill()
            raise
        assert process.returncode is not None
        assert "Traceback" not in stderr, stderr
        return Answer(process.returncode, stdout, stderr)

    def start(
        self,
        *arguments: object,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[str] | Forked":
        """Start it and return at once."""
        environment = self.environment() if environment is None else environment
        if self._zygote is not None and self._zygote.suits(environment):
            return self._zygote.start([str(one) for one in arguments], cwd, environment)
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=cwd,
            env=environment,
        )

    @staticmethod
    def environment() -> dict[str, str]:
        folders = [str(REPOSITORY / name) for name in (".", "drivers", "simulator")]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote | None]:
    """The process that commands are forked from, where there can be one."""
    if sys.platform != "linux":
        yield None
        return
    made = Zygote(Cli.environment())
    yield made
    made.close()


@pytest.fixture(scope="session")
def command_line(zygote: Zygote | None) -> Cli:
    """The command line, for fixtures that outlive a test: they say where runs are kept."""
    return Cli(zygote)


@pytest.fixture
def cli(home: Path, command_line: Cli) -> Cli:
    """The command line."""
    del home
    return command_line
