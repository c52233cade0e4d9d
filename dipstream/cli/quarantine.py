"""Shows a run's quarantine."""

import json
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dipstream.settings import load_settings
from dipstream.store import Quarantined, find_run, quarantined_frames

__all__ = ["show_quarantine"]


def show_quarantine(run: str, home: Path | None, *, traceback: bool, as_json: bool) -> None:
    """List the frames in the quarantine of a run."""
    folder = find_run(load_settings(home=home).home, run)
    frames = quarantined_frames(folder)
    if as_json:
        typer.echo(json.dumps([frame.to_json() for frame in frames], ensure_ascii=False))
        return
    console = Console()
    if not console.is_terminal:  # into a file or a pipe, a line is as long as it is
        console = Console(width=10_000)
    if not frames:
        console.print(f"the quarantine of {escape(folder.run_id)} is empty")
        return
    if traceback:
        _print_tracebacks(console, frames)
        return
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("frame", "time", "place", "file", "hash", "reason"):
        shown.add_column(title)
    for frame in frames:
        shown.add_row(
            str(frame.frame_id),
            _time(frame.received_ns),
            escape(_place(frame)),
            escape(_file(frame)),
            frame.file_hash or "",
            escape(frame.reason),
        )
    console.print(shown)


def _print_tracebacks(console: Console, frames: list[Quarantined]) -> None:
    for frame in frames:
        console.print(f"frame {frame.frame_id}: {escape(frame.reason)}", style="bold")
        console.print(escape((frame.detail or "there was no exception").rstrip()))


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(sep=" ", timespec="seconds")


def _place(frame: Quarantined) -> str:
    z = f", z={frame.z}" if frame.z else ""
    return f"{frame.channel} {frame.position}, t={frame.t}{z}".strip()


def _file(frame: Quarantined) -> str:
    if frame.path is None:
        return "" if frame.seq is None else f"number {frame.seq}"
    return f"{frame.path}, plane {frame.plane}" if frame.plane else frame.path
