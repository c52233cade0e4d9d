"""Every command, Python and YAML block of the documentation works as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dipstream.config import parse_pipeline
from dipstream.pipeline import make_plan

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
# Beginning with `dipstream`, and nothing that needs a shell.
PLAIN = re.compile(r"dipstream [^|&;<>$`*]*")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def _run(page: Path, cwd: Path, cli: Any, environment: dict[str, str]) -> None:
    as_a_reader = page.name == "README.md"  # the commands of the other pages are forked
    scripts = str(Path(sys.executable).parent)
    readers = {**environment, "PATH": scripts + os.pathsep + environment["PATH"]}
    del readers["PYTHONWARNINGS"]  # a reader has none set
    for language, code in _blocks(page):
        if language == "bash":
            commands = [(line, True) for line in code.splitlines() if line.strip()]
        elif language == "python":
            commands = [([sys.executable, "-W", "error", "-c", code], False)]
        else:
            continue
        for command, shell in commands:
            if shell and not as_a_reader and PLAIN.fullmatch(command):
                answer = cli(*shlex.split(command)[1:], cwd=cwd, environment=environment)
                assert answer.code == 0, f"{command}\n{answer.stdout}\n{answer.stderr}"
                continue
            done = subprocess.run(
                command,
                shell=shell,
                cwd=cwd,
                env=readers,
                capture_output=True,
                encoding="utf-8",
                check=False,
                timeout=120,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def runs(two_at_a_time: Any, command_line: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    environment, all_pages = command_line.environment(), tmp_path_factory.mktemp("pages")

    def run(page: Path) -> None:
        folder = all_pages / page.stem
        folder.mkdir()
        _run(page, folder, command_line, {**environment, "DIPSTREAM_HOME": str(folder / "home")})

    return two_at_a_time("test_the_commands_and_programs_of_a_page_run", run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_and_programs_of_a_page_run(
    page: Path, runs: Any, request: pytest.FixtureRequest
) -> None:
    runs[request.node.callspec.id].result()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pipelines_of_a_page_can_be_used(page: Path) -> None:
    for language, text in _blocks(page):
        if language == "yaml":
            make_plan(parse_pipeline(text), page.parent, "example").compile(["DAPI", "GFP"])


def test_the_readme_names_every_command(cli) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    listed = re.findall(r"^│ (\w+) ", cli("--help").stdout, re.MULTILINE)
    assert len(listed) >= 8
    for command in listed:
        assert f"dipstream {command}" in text, command
