"""Commands about what is known beforehand: flat light, a simulated specimen, the truth."""

from pathlib import Path
from typing import Annotated

import typer

from dipstream.cli.options import BitDepth, Channels, Frames, Home, Json, Pattern, Run

__all__ = ["calibrate", "score", "simulate"]


def calibrate(
    source: Annotated[str, typer.Argument(help="A camera, or a folder of flat pairs.")],
    levels: Annotated[
        int | None,
        typer.Option(
            min=10,
            help="Light levels, if the source dims its own light: at least 10, for a "
            "photomultiplier 25 (default 50).",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write a camera file (.toml).")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the photon transfer curve (.png, .svg or .pdf).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the camera, for its file.")] = None,
    pattern: Pattern = None,
    channels: Channels = None,
    channel: Annotated[
        str | None, typer.Option(help="Only this channel (default: each by itself).")
    ] = None,
    bit_depth: BitDepth = None,
    offset_dn: Annotated[
        float | None, typer.Option(help="The camera's offset in DN, if there is no dark pair.")
    ] = None,
    excess_noise: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="F² of a multiplication (default: what the source says; else 2 is assumed with "
            "an EM gain, and a warning given).",
        ),
    ] = None,
    frames: Frames = None,
    json: Json = False,
) -> None:
    """Measure a camera with pairs of flat frames: offset, gain, read noise, full well."""
    from dipstream.cli.calibrate import Request, calibrate_camera  # noqa: PLC0415

    request = Request(
        source=source,
        levels=levels,
        out=out,
        plot=plot,
        name=name,
        channel=channel,
        offset_dn=offset_dn,
        excess_noise=excess_noise,
        frames=frames,
        options={"pattern": pattern, "channels": channels, "bit_depth": bit_depth},
    )
    calibrate_camera(request, as_json=json)


def simulate(
    out: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    source: Annotated[str, typer.Option(help="A source that knows the truth.")] = "sim:?fps=0",
    frames: Annotated[
        int | None,
        typer.Option(min=1, help="How many (default: all, or 100 of an endless source)."),
    ] = None,
    format: Annotated[  # noqa: A002 - the word on the command line
        str, typer.Option("--format", help="tiff (OME-TIFF) or zarr (OME-Zarr).")
    ] = "tiff",
    truth: Annotated[
        str, typer.Option(help="labels, or full: photons and electrons of each pixel too.")
    ] = "labels",
    json: Json = False,
) -> None:
    """Write simulated frames as image files, with what is really there beside them."""
    from dipstream.cli.simulate import write_simulation  # noqa: PLC0415

    raise typer.Exit(write_simulation(out, source, frames, format, truth, as_json=json))


def score(
    run: Run = "latest",
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder of the truth, if the run did not write it: OUT of simulate."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Objects of this type (default: the first).")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Score what is there now, even if the run goes on.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Compare a run with the truth, while it goes on and after."""
    from dipstream.cli.score import show_score  # noqa: PLC0415

    raise typer.Exit(show_score(run, truth, kind, home, once=once, as_json=json))
