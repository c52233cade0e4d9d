"""Looks at the installation as a run would meet it."""

import json
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path

import typer
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from dipstream.cli.view import counted
from dipstream.config import preset_names
from dipstream.errors import DipstreamError
from dipstream.pipeline import open_plan
from dipstream.registry import list_drivers
from dipstream.settings import load_settings
from dipstream.store import check_sqlite, sqlite_version

__all__ = ["examine"]

_ENOUGH_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Finding:
    subject: str
    found: str
    problem: str = ""


def examine(home: Path | None, *, as_json: bool) -> int:
    """Print what is there and what is wrong; return 1 if anything is wrong, else 0."""
    findings = [*_platform(), *_libraries(), _sqlite(), _home(home), *_drivers(), *_presets()]
    wrong = [one for one in findings if one.problem]
    if as_json:
        rows = [{"subject": f.subject, "found": f.found, "problem": f.problem} for f in findings]
        typer.echo(json.dumps({"ok": not wrong, "findings": rows}, ensure_ascii=False))
        return int(bool(wrong))
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("", "subject", "found"):
        shown.add_column(title)
    for one in findings:
        mark = "[red]✗[/]" if one.problem else "[green]✓[/]"
        shown.add_row(mark, one.subject, one.found + (f" – {one.problem}" if one.problem else ""))
    console = Console()
    console.print(shown)
    console.print(counted(len(wrong), "problem") if wrong else "all is well")
    return int(bool(wrong))


def _platform() -> list[_Finding]:
    python = platform.python_version()
    problem = (
        "" if (3, 11) <= tuple(map(int, python.split(".")[:2])) <= (3, 13) else "use 3.11–3.13"
    )
    return [
        _Finding("python", python, problem),
        _Finding("system", f"{platform.platform()}, {os.cpu_count()} processors"),
    ]


def _libraries() -> list[_Finding]:
    findings = [_Finding("dipstream", version("dipstream"))]
    for line in sorted(requires("dipstream") or []):
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            findings.append(_Finding(requirement.name, "missing", f"pip install '{requirement}'"))
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        problem = "" if fits else f"too old or too new: pip install '{requirement}'"
        findings.append(_Finding(requirement.name, found, problem))
    return findings


def _sqlite() -> _Finding:
    found = sqlite_version()
    return _Finding("SQLite (ADBC's)", found, check_sqlite(found) or "")


def _home(home: Path | None) -> _Finding:
    folder = load_settings(home=home).home
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return _Finding("runs", str(folder), f"not writable ({error.strerror}): set DIPSTREAM_HOME")
    problem = "" if free > _ENOUGH_BYTES else "less than 1 GB free: set DIPSTREAM_HOME"
    return _Finding("runs", f"{folder / 'runs'}, {free / 1e9:.0f} GB free", problem)


def _drivers() -> list[_Finding]:
    findings = [
        _Finding(f"driver {driver.name}:", driver.summary or "–", driver.problem)
        for driver in list_drivers()
    ]
    if not findings:
        findings.append(_Finding("drivers", "none", "reinstall dipstream: no entry points found"))
    for entry in sorted(entry_points(group="dipstream.readers")):
        try:
            reader = entry.load()()
        except ImportError as error:
            findings.append(_Finding(f"reader {entry.name}", "–", str(error)))
        else:
            findings.append(_Finding(f"reader {entry.name}", " ".join(reader.suffixes)))
    return findings


def _presets() -> list[_Finding]:
    findings = []
    for name in preset_names():
        try:
            findings.append(_Finding(f"preset {name}", open_plan(name).sha256[:12]))
        except DipstreamError as error:
            findings.append(_Finding(f"preset {name}", "–", str(error)))
    return findings
