"""Commands that show what is there: tables, runs, pipelines, plug-ins, the installation."""

from pathlib import Path
from typing import Annotated

import typer

from dipstream.cli.options import Home, Json, Run

__all__ = ["doctor", "drivers", "pipeline_app", "runs_app", "steps", "table", "warmup"]

runs_app = typer.Typer(help="List runs, or copy one while it grows.", invoke_without_command=True)
pipeline_app = typer.Typer(help="Show, compare and describe pipeline files.", no_args_is_help=True)


def table(
    run: Run = "latest",
    kind: Annotated[
        str | None,
        typer.Option("--type", help="Objects of this type; or frames, tracks, events, columns …"),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="SQL condition, for instance 'area > 300 AND t < 5'.")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Columns, separated by commas.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write to a .csv or .parquet file instead of showing.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rows to show (default 20; all with --json).")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show or export a table of a run, finished or still growing."""
    from dipstream.cli.tables import show_table  # noqa: PLC0415

    show_table(run, kind, where, columns, export, limit, home, as_json=json)


@runs_app.callback()
def runs(context: typer.Context, home: Home = None, json: Json = False) -> None:
    """List runs, newest first."""
    if context.invoked_subcommand is None:
        from dipstream.cli.tables import show_runs  # noqa: PLC0415

        show_runs(home, as_json=json)


@runs_app.command("snapshot")
def runs_snapshot(
    run: Run,
    out: Annotated[Path, typer.Argument(help="The copy, a new .db file.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Copy a run's table as one consistent file, even while it grows."""
    from dipstream.cli.tables import snapshot  # noqa: PLC0415

    snapshot(run, out, home, as_json=json)


@pipeline_app.command("show")
def pipeline_show(
    name: Annotated[str, typer.Argument(help="Preset or pipeline file.")] = "nuclei",
    json: Json = False,
) -> None:
    """Print a pipeline with every default written out, and its hash."""
    from dipstream.cli.describe import show_pipeline  # noqa: PLC0415

    show_pipeline(name, as_json=json)


@pipeline_app.command("schema")
def pipeline_schema() -> None:
    """Print the JSON schema of pipeline files, for editors."""
    from dipstream.cli.describe import show_schema  # noqa: PLC0415

    show_schema()


@pipeline_app.command("diff")
def pipeline_diff(
    first: Annotated[str, typer.Argument(help="Preset or pipeline file.")],
    second: Annotated[str, typer.Argument(help="Preset or pipeline file.")],
    json: Json = False,
) -> None:
    """Compare two pipelines with all defaults written out; exit 1 if they differ."""
    from dipstream.cli.describe import diff_pipelines  # noqa: PLC0415

    raise typer.Exit(diff_pipelines(first, second, as_json=json))


def steps(
    name: Annotated[str | None, typer.Argument(help="Show the help of this step.")] = None,
    json: Json = False,
) -> None:
    """List the steps of pipelines, or explain one."""
    from dipstream.cli.describe import show_steps  # noqa: PLC0415

    show_steps(name, as_json=json)


def drivers(
    name: Annotated[str | None, typer.Argument(help="Show the help of this driver.")] = None,
    json: Json = False,
) -> None:
    """List the drivers of cameras and folders, or explain one."""
    from dipstream.cli.describe import show_drivers  # noqa: PLC0415

    show_drivers(name, as_json=json)


def warmup(json: Json = False) -> None:
    """Compile the kernels now, so that no run has to; else the first run does."""
    from dipstream.cli.warmup import compile_all  # noqa: PLC0415

    compile_all(as_json=json)


def doctor(home: Home = None, json: Json = False) -> None:
    """Say what is installed, what works and why something does not; exit 1 if so."""
    from dipstream.cli.doctor import examine  # noqa: PLC0415

    raise typer.Exit(examine(home, as_json=json))
