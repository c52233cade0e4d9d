"""Commands that look after runs: go on with one, verify, copy, try its quarantine again."""

from typing import Annotated

import typer

from dipstream.cli.options import Home, Json, Metrics, Mirror, Run, Workers
from dipstream.one_heap import use_one_heap, without_collecting

__all__ = ["mirror", "quarantine_app", "resume", "verify"]

quarantine_app = typer.Typer(
    help="Show the frames that could not be analysed, or try them again.", no_args_is_help=True
)


def resume(
    run: Run = "latest",
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Take the run from a process that still holds it and hangs; should it wake up, it "
            "cannot write any more.",
        ),
    ] = False,
    workers: Workers = None,
    mirror: Mirror = None,
    metrics: Metrics = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Go on with a run that was killed, failed or was stopped, as if it had never ended."""
    use_one_heap()
    with without_collecting():
        from dipstream.cli.resume import resume_run  # noqa: PLC0415

    code = resume_run(
        run,
        home,
        take_over=take_over,
        metrics_port=metrics,
        settings={"workers": workers, "mirror": mirror or None},
        as_json=json,
    )
    raise typer.Exit(code)


def verify(
    run: Run = "latest",
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Every page of the table, and every file the frames came from."
        ),
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Check that nothing of a run is lost, twice or torn; exit 1 if something is."""
    from dipstream.cli.verify import show_verification  # noqa: PLC0415

    raise typer.Exit(show_verification(run, home, deep=deep, as_json=json))


def mirror(
    run: Run,
    target: Annotated[str, typer.Argument(help="postgresql://USER@HOST/DATABASE, or a folder.")],
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep up with a run that goes on, until it ends.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare every row; exit 1 if one differs.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Copy a run's table to PostgreSQL or Parquet files, or go on where a copy has left off."""
    from dipstream.cli.mirror import mirror_run, verify_mirror  # noqa: PLC0415

    if verify:
        raise typer.Exit(verify_mirror(run, target, home, as_json=json))
    raise typer.Exit(mirror_run(run, target, home, keep_up=follow, as_json=json))


@quarantine_app.command("list")
def quarantine_list(
    run: Run = "latest",
    traceback: Annotated[
        bool, typer.Option("--traceback", help="With the traceback of each, where there was one.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the frames in a run's quarantine: why, when, where they came from."""
    from dipstream.cli.quarantine import show_quarantine  # noqa: PLC0415

    show_quarantine(run, home, traceback=traceback, as_json=json)


@quarantine_app.command("retry")
def quarantine_retry(
    run: Run,
    frame: Annotated[
        list[int] | None,
        typer.Option("--frame", help="Only this frame; may be repeated.", show_default=False),
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Analyse frames of the quarantine again, those whose pixels can be read again."""
    use_one_heap()
    with without_collecting():
        from dipstream.cli.retry import retry_quarantine  # noqa: PLC0415

    raise typer.Exit(retry_quarantine(run, home, frame, as_json=json))
