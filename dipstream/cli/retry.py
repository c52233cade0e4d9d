"""`dipstream quarantine retry`: sends frames of a quarantine through the analysis again."""

import json
from functools import partial
from pathlib import Path

import typer

from dipstream.cli.live import follow_run
from dipstream.cli.view import counted
from dipstream.errors import ConfigError
from dipstream.quarantine import retry

__all__ = ["retry_quarantine"]


def retry_quarantine(
    run: str, home: Path | None, frames: list[int] | None, *, as_json: bool
) -> int:
    """Try frames of the quarantine again, and follow the run; return the exit code."""
    chosen = retry(run, frames or None, home=home)
    for frame_id, reason in chosen.refused.items():
        typer.echo(f"frame {frame_id} is not tried again: {reason}", err=True)
    if not chosen.frame_ids:
        if chosen.refused:
            raise ConfigError("no frame can be tried again; their rows stay as they are")
        typer.echo(f"the quarantine of {chosen.folder.run_id} is empty", err=True)
        if as_json:
            typer.echo(json.dumps({"run_id": chosen.folder.run_id, "retried": 0}))
        return 0
    typer.echo(f"{counted(len(chosen.frame_ids), 'frame')} to try again", err=True)
    return follow_run(
        partial(chosen.begin, home=home),
        reference=bool(chosen.folder.read().settings.get("reference")),
        watching=chosen.folder.read().driver == "watch",
        metrics_port=None,
        as_json=as_json,
    )
