"""The commands, in the order of their help. What is heavy is imported inside the command."""

import json
import sys
from typing import Annotated, NoReturn

import typer

from dipstream.cli.care import mirror, quarantine_app, resume, verify
from dipstream.cli.known import calibrate, score, simulate
from dipstream.cli.show import doctor, drivers, pipeline_app, runs_app, steps, table, warmup
from dipstream.cli.start import demo, run, watch
from dipstream.errors import DipstreamError
from dipstream.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    name="dipstream",
    help="Reads the microscope while it images: frames become a live, durable table.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    *(demo, run, watch, calibrate, simulate, score, table),
    *(resume, verify, mirror),
    *(steps, drivers, warmup, doctor),
):
    app.command()(_command)
app.add_typer(runs_app, name="runs")
app.add_typer(pipeline_app, name="pipeline")
app.add_typer(quarantine_app, name="quarantine")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(f"dipstream {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; what goes wrong becomes one sentence and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except DipstreamError as error:
        _refuse(str(error), type(error).__name__)
    except OSError as error:
        _refuse(f"{error}; check the path, its permissions and the disk", "OSError")
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        # What typer itself refuses (an option that does not exist, a number out of range) is an
        # exception of click, or, in newer versions, of typer's own copy of it.
        if not hasattr(error, "format_message") or not hasattr(error, "show"):
            raise
        if "--json" in sys.argv:
            _refuse(error.format_message(), "UsageError")
        error.show()
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(message: str, kind: str) -> NoReturn:
    if "--json" in sys.argv:
        typer.echo(json.dumps({"error": message, "kind": kind}, ensure_ascii=False))
    typer.secho("dipstream: ", nl=False, err=True, fg="red")
    typer.echo(message, err=True)
    sys.exit(2)
