"""Every command, Python and YAML block of the documentation works as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dipstream.config import parse_pipeline
from dipstream.pipeline import make_plan

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_and_programs_of_a_page_run(page: Path, cli, tmp_path: Path) -> None:
    environment = cli.environment()
    scripts = str(Path(sys.executable).parent)
    environment["PATH"] = scripts + os.pathsep + environment["PATH"]
    environment.pop("PYTHONWARNINGS")  # a reader has none set
    for language, code in _blocks(page):
        if language == "bash":
            commands = [(line, True) for line in code.splitlines() if line.strip()]
        elif language == "python":
            commands = [([sys.executable, "-W", "error", "-c", code], False)]
        else:
            continue
        for command, shell in commands:
            done = subprocess.run(
                command,
                shell=shell,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                check=False,
                timeout=120,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


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
