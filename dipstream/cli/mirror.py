"""Mirrors a run that has ended or goes on, and compares a mirror with its run."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from dipstream.cli.interrupts import interrupts
from dipstream.mirror import (
    Comparison,
    Mirrors,
    Progress,
    RunTail,
    Target,
    catch_up,
    check_address,
    compare,
    open_target,
    resolved,
)
from dipstream.settings import load_settings
from dipstream.store import RunFolder, RunLock, find_run

__all__ = ["mirror_run", "verify_mirror"]

_SAY_EVERY_S = 2.0
_SHOWN = 20


def mirror_run(run: str, address: str, home: Path | None, *, keep_up: bool, as_json: bool) -> int:
    """Ship what a mirror lacks, or keep up with the run until it ends; return the exit code."""
    folder, target = _opened(run, address, home)
    if keep_up:
        return _follow(folder, address, as_json=as_json)
    said = time.monotonic()

    def tell(at: Progress, newest: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _SAY_EVERY_S:
            said = time.monotonic()
            typer.echo(f"commit {at.commit_number:,} of {newest:,}", err=True)

    def warn(text: str) -> None:
        typer.echo(f"warning: {text}", err=True)

    try:
        progress = catch_up(RunTail(folder.table), target, folder.read(), tell, warn)
    finally:
        target.close()
    about = {"run_id": folder.run_id, "target": target.name, "commits": progress.commit_number}
    if as_json:
        typer.echo(json.dumps(about, ensure_ascii=False))
    else:
        typer.echo(f"{target.name} has all {progress.commit_number:,} commits of {folder.run_id}")
    return 0


def _follow(folder: RunFolder, address: str, *, as_json: bool) -> int:
    def say(kind: str, message: str) -> None:
        typer.echo(f"{kind}: {message}", err=True)

    with interrupts() as interrupted, Mirrors(folder, [address], say=say) as mirrors:
        said = time.monotonic()
        while not interrupted() and _goes_on(folder):
            time.sleep(0.5)
            if time.monotonic() - said >= _SAY_EVERY_S:
                said = time.monotonic()
                (status,) = mirrors.status()
                typer.echo(f"commit {status.commit_number:,}, {status.behind:,} behind", err=True)
        mirrors.finish()
        (about,) = mirrors.summary()
    if as_json:
        typer.echo(json.dumps({"run_id": folder.run_id, **about}, ensure_ascii=False))
    elif about["complete"]:
        typer.echo(f"{about['target']} has all commits of {folder.run_id}")
    else:
        typer.echo(f"{about['target']} lacks {about['behind']:,} commits: {about['error']}")
    return 0 if about["complete"] else 1


def _goes_on(folder: RunFolder) -> bool:
    # Of a run that was killed, nobody could write how it ended.
    return folder.read().state == "running" and RunLock(folder.path).taken


def verify_mirror(run: str, address: str, home: Path | None, *, as_json: bool) -> int:
    """Compare every row of a run with its mirror; return 1 if they differ."""
    folder, target = _opened(run, address, home)
    record = folder.read()
    try:
        found = compare(RunTail(folder.table), target, record)
    finally:
        target.close()
    lacks = found.behind > 0 and not _goes_on(folder)
    if as_json:
        typer.echo(json.dumps({"target": target.name, **asdict(found)}, ensure_ascii=False))
    else:
        _show(found, target, folder)
    return 0 if found.equal and not lacks else 1


def _show(found: Comparison, target: Target, folder: RunFolder) -> None:
    console = Console(soft_wrap=True)
    tables = ", ".join(f"{n:,} {table}" for table, n in found.rows.items())
    console.print(f"compared  {tables}", highlight=False)
    if found.behind:
        console.print(
            f'behind    {found.behind:,} commits: dipstream mirror {folder.run_id} "{target.name}"',
            style="yellow",
            highlight=False,
            markup=False,
        )
    for one in found.differences[:_SHOWN]:
        key = ", ".join(map(str, one.key))
        console.print(f"{one.table} {key}: {one.what}", style="red", markup=False)
    if found.n_differences > _SHOWN:
        console.print(f"and {found.n_differences - _SHOWN:,} more (--json names 1,000)")
    if found.equal:
        console.print(f"equal     {target.name} ✓", markup=False)
    else:
        console.print(
            f"{found.n_differences:,} rows differ: somebody has changed the mirror. Remove the "
            "run from it and build it again",
            style="bold red",
            markup=False,
        )


def _opened(run: str, address: str, home: Path | None) -> tuple[RunFolder, Target]:
    check_address(address)
    return find_run(load_settings(home=home).home, run), open_target(resolved(address))
