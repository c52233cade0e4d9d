"""`dipstream resume`: goes on with a run that did not come to its end."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import typer

from dipstream.cli.live import follow_run
from dipstream.service import is_complete, resume
from dipstream.settings import load_settings
from dipstream.store import find_run

__all__ = ["resume_run"]


def resume_run(
    name: str,
    home: Path | None,
    *,
    take_over: bool,
    metrics_port: int | None,
    settings: dict[str, Any],
    as_json: bool,
) -> int:
    """Go on with a run until its end, or say that it is at its end; return the exit code."""
    folder = find_run(load_settings(home=home).home, name)
    record = folder.read()
    if is_complete(folder):
        typer.echo(f"the run {folder.run_id} is finished: there is nothing to resume", err=as_json)
        if as_json:
            told = {"run_id": folder.run_id, "folder": str(folder.path), "state": record.state}
            typer.echo(json.dumps(told | record.accounting, ensure_ascii=False))
        return 0
    return follow_run(
        partial(resume, folder.path, home=home, steal=take_over, **settings),
        reference=bool(record.settings.get("reference")),
        watching=record.driver == "watch",
        metrics_port=metrics_port,
        as_json=as_json,
    )
