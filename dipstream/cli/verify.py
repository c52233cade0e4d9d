"""Says whether a run's books add up, and what to do where they do not."""

import json
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dipstream.cli.view import counted
from dipstream.settings import load_settings
from dipstream.store import Verification, find_run, verify_run

__all__ = ["show_verification"]


def show_verification(run: str, home: Path | None, *, deep: bool, as_json: bool) -> int:
    """Print what is wrong with a run; return 1 if anything is, else 0."""
    folder = find_run(load_settings(home=home).home, run)
    found = verify_run(
        folder, deep=deep, progress=lambda text: typer.echo(text, err=True) if deep else None
    )
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        console = Console()
        # Into a file or a pipe, a line is as long as it is.
        _print(console if console.is_terminal else Console(width=10_000), found)
    return int(not found.ok)


def _print(console: Console, found: Verification) -> None:
    console.print(f"run {escape(found.run_id)}: {found.state}")
    console.print(_books(found))
    for finding in found.findings:
        text = f"[red]✗[/] {finding.check}: {escape(finding.problem)}"
        if finding.examples:
            text += f" [dim]({escape('; '.join(finding.examples))})[/]"
        console.print(text)
        console.print(f"  → {escape(finding.advice)}")
    for note in found.notes:
        console.print(f"[dim]· {escape(note)}[/]")
    verdict = f"{counted(len(found.findings), 'finding')}" if found.findings else "all is well"
    console.print(f"{verdict} ({found.seconds:.1f} s)")


def _books(found: Verification) -> Table:
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column()
    shown.add_column(justify="right")
    shown.add_column()
    counts = dict(found.accounting)
    shown.add_row("frames received", f"{counts.pop('received'):,}", "")
    for name, n in counts.items():
        reasons = ""
        if name == "dropped":
            reasons = "; ".join(f"{count} {reason}" for reason, count in found.drops.items())
        shown.add_row(f"  {name}", f"{n:,}", escape(reasons))
    for one in found.counters:
        shown.add_row(
            f"segment {one.segment}",
            f"{one.last - one.first + 1:,}",
            f"numbers {one.first} to {one.last}: {one.received:,} received, {one.gap:,} missing",
        )
    for name in ("image_sets", "track_events", "commits", "epochs"):
        if name in found.rows:
            shown.add_row(name.replace("_", " "), f"{found.rows[name]:,}", "")
    objects = {name[8:]: n for name, n in found.rows.items() if name.startswith("objects_")}
    for kind, n in objects.items():
        shown.add_row(f"{kind}", f"{n:,}", "")
    return shown
