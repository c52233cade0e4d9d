"""`dipstream warmup`."""

import json

import typer

from dipstream.warmup import warm_up, was_warmed_up

__all__ = ["compile_all"]


def compile_all(*, as_json: bool) -> None:
    """Compile every kernel, saying what comes next, and how long it took."""
    was_warm = was_warmed_up()
    seconds = warm_up(lambda text: typer.echo(f"compiling for {text} …", err=True))
    if as_json:
        typer.echo(json.dumps({"seconds": round(seconds, 3), "was_compiled": was_warm}))
    elif was_warm:
        typer.echo(f"the kernels were compiled already; loading them all took {seconds:.1f} s")
    else:
        typer.echo(f"compiled in {seconds:.0f} s; they are kept until dipstream or numba changes")
