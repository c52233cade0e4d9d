"""Writes a simulation, and says how far it is."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dipstream.cli.interrupts import interrupts
from dipstream.simulate import SimulationError, simulate

__all__ = ["write_simulation"]

_PLAIN_EVERY_S = 2.0


def write_simulation(
    out: Path, source: str, frames: int | None, image_format: str, truth: str, *, as_json: bool
) -> int:
    """Write frames and truth; return the exit code."""
    console = Console(stderr=True)
    try:
        with interrupts() as interrupted, _Shown(console) as shown:
            about = simulate(
                out,
                source,
                frames=frames,
                image_format=image_format,
                truth=truth,
                progress=shown.tell,
                warn=lambda text: typer.echo(f"warning: {text}", err=True),
                interrupted=lambda: interrupted() > 0,
            )
    except SimulationError as error:
        if as_json:
            problem = {"error": str(error), "kind": "SimulationError"}
            typer.echo(json.dumps(problem, ensure_ascii=False))
        typer.secho("dipstream: ", nl=False, err=True, fg="red")
        typer.echo(str(error), err=True)
        return 1
    if as_json:
        typer.echo(json.dumps(about, ensure_ascii=False))
    else:
        _report(about)
    return 130 if about["state"] == "interrupted" else 0


def _report(about: dict[str, Any]) -> None:
    skipped = f", {about['skipped']:,} left out" if about["skipped"] else ""
    positions = "" if len(about["positions"]) == 1 else f" at {len(about['positions'])} positions"
    folder = about["folder"]
    typer.echo(
        f"frames   {about['frames']:,} in {about['image_sets']:,} image sets{positions}{skipped}"
    )
    typer.echo(f"folder   {folder}")
    if about["state"] == "interrupted":
        typer.echo("state    interrupted; what is there is whole")
    if about["format"] == "zarr":
        typer.echo("note     `dipstream run` cannot read OME-Zarr yet; for that, --format tiff")
    elif about["frames"]:
        typer.echo(f'analyse  dipstream run "{folder}"')
        typer.echo(f'compare  dipstream score latest --truth "{folder}"')


class _Shown:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("frames"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
            self._task = self._bar.add_task("frames", total=None)
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, done: int, expected: int) -> None:
        """Show how many frames are written."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=expected)
        elif time.monotonic() - self._said >= _PLAIN_EVERY_S:
            self._said = time.monotonic()
            typer.echo(f"{done:,} of {expected:,} frames", err=True)
