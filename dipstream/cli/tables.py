"""Shows, exports and lists what runs have written."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from dipstream.errors import ConfigError, StoreError
from dipstream.opening import open_run
from dipstream.settings import load_settings
from dipstream.store import (
    RunFolder,
    RunLock,
    RunReader,
    check_export,
    export_table,
    list_runs,
    snapshot_table,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["show_runs", "show_table", "snapshot"]


def show_table(
    run: str,
    kind: str | None,
    where: str | None,
    columns: str | None,
    export: Path | None,
    limit: int | None,
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show rows of a table, or write them to a file."""
    if export is not None:
        check_export(export)
    reader = open_run(run, home=home)
    names = [name.strip() for name in columns.split(",")] if columns else None
    if kind is None:
        rows = reader.objects(where=where, columns=names)
    else:
        rows = reader.table(kind, where=where, columns=names)
    if export is not None:
        export_table(rows, export)
        if as_json:
            typer.echo(json.dumps({"rows": len(rows), "file": str(export)}, ensure_ascii=False))
        else:
            typer.echo(f"{len(rows)} rows, {len(rows.columns)} columns: {export}")
    elif as_json:
        shown = rows if limit is None else rows.head(limit)
        typer.echo(shown.to_json(orient="records", force_ascii=False))
    else:
        _print(rows, 20 if limit is None else limit)


def _print(rows: "pd.DataFrame", limit: int) -> None:
    console = _console()
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows.columns:
        shown.add_column(str(name), no_wrap=True)
    first = rows.head(limit)
    missing = first.isna().itertuples(index=False)
    for row, without in zip(first.itertuples(index=False), missing, strict=True):
        shown.add_row(*["" if no else _cell(value) for value, no in zip(row, without, strict=True)])
    console.print(shown)
    console.print(f"{min(limit, len(rows)):,} of {len(rows):,} rows", style="dim")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_runs(home: Path | None, *, as_json: bool) -> None:
    """List runs, newest first."""
    found = []
    for folder, record in list_runs(load_settings(home=home).home):
        state = record.state
        if state == "running" and not RunLock(folder.path).taken:
            state = "killed"  # type: ignore[assignment]
        found.append(
            {
                "run_id": record.run_id,
                "state": state,
                "created": datetime.fromtimestamp(record.created_ns / 1e9, UTC).isoformat(
                    sep=" ", timespec="seconds"
                ),
                "source": record.source,
                "pipeline": f"{record.pipeline_name}@{record.pipeline_sha256[:8]}",
                "frames": _frames(folder),
                "folder": str(folder.path),
            }
        )
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    if not found:
        typer.echo("there are no runs yet; `dipstream demo` makes the first one", err=True)
        return
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in list(found[0])[:-1]:
        shown.add_column(name, no_wrap=True)
    for one in found:
        shown.add_row(*["" if v is None else str(v) for v in list(one.values())[:-1]])
    _console().print(shown)


def _frames(folder: RunFolder) -> int | None:
    """Return how many frames are in the book, finished or not; None if it cannot be read."""
    try:
        return sum(RunReader(folder).accounting().values())
    except StoreError:
        return None


def _console() -> Console:
    # Into a file or a pipe, a table is as wide as it is; on a terminal it is cut to fit.
    console = Console()
    return console if console.is_terminal else Console(width=10_000)


def snapshot(run: str, out: Path, home: Path | None, *, as_json: bool) -> None:
    """Copy a run's table into a new file."""
    if out.exists():
        raise ConfigError(f"{out} exists already; a copy is made under a new name")
    reader = open_run(run, home=home)
    snapshot_table(reader.folder / "table.db", out)
    size = out.stat().st_size
    if as_json:
        typer.echo(json.dumps({"file": str(out), "bytes": size}, ensure_ascii=False))
    else:
        typer.echo(f"{out}: {size:,} bytes")
