"""The commands and their help. Everything heavy is imported inside the command that needs it."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

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
runs_app = typer.Typer(help="List runs, or copy one while it grows.", invoke_without_command=True)
pipeline_app = typer.Typer(help="Show, compare and describe pipeline files.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(pipeline_app, name="pipeline")

Pipeline = Annotated[
    str, typer.Option("--pipeline", "-p", help="Preset (nuclei, cells, spots) or pipeline file.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Machine-readable result on stdout; the rest on stderr.")
]
Home = Annotated[
    Path | None, typer.Option(help="Where runs are kept (also DIPSTREAM_HOME).", show_default=False)
]
Frames = Annotated[int | None, typer.Option(min=1, help="Stop after this many frames.")]
Workers = Annotated[
    int | None, typer.Option(min=1, max=64, help="Analysis threads (default: processors, up to 4).")
]
FrameThreads = Annotated[
    int | None,
    typer.Option(
        min=1, max=64, help="Threads inside a frame: rows sooner, not more of them (default 1)."
    ),
]
DeadlineMs = Annotated[
    float | None,
    typer.Option(help="Count rows later than this after their frame (live cameras: 1000)."),
]
Reference = Annotated[
    bool,
    typer.Option("--reference", help="Without kernels and fused passes: slow, for comparison."),
]
Policy = Annotated[
    str | None,
    typer.Option(
        help="When frames come faster than the analysis: block, drop-oldest or stop "
        "(default: block files, drop-oldest for live cameras)."
    ),
]
QueueMb = Annotated[float | None, typer.Option(help="Pixels that may wait, in MB (default 512).")]
Durability = Annotated[
    str | None, typer.Option(help="full (default): every commit is on the disk; normal: faster.")
]
OnChange = Annotated[
    str | None,
    typer.Option(
        help="Frames of another shape or type: quarantine (default) or segment (analyse them too)."
    ),
]
SaveLabels = Annotated[
    bool, typer.Option("--save-labels", help="Write labels/SET_TYPE.tif for every image set.")
]
Pattern = Annotated[
    str | None,
    typer.Option(help="File names with fields: 'xy{position}-{channel}.png', 't{t:03d}.tif'."),
]
Channels = Annotated[
    str | None,
    typer.Option(help="Channel names: '1=nuclei,2=reporter' or 'DAPI,GFP'; the first one leads."),
]
PixelUm = Annotated[float | None, typer.Option(help="Side of a pixel in µm, if files do not say.")]
BitDepth = Annotated[
    int | None, typer.Option(help="Bits of the camera's ADC, if files do not say.")
]
Camera = Annotated[
    Path | None,
    typer.Option(help="Camera file of `dipstream calibrate`: intensities in photo-electrons."),
]
Truth = Annotated[
    str | None,
    typer.Option(
        help="What is written into truth/ if the source knows the truth: none, objects, labels "
        "(default) or full (photons and electrons of each pixel, which takes time)."
    ),
]
Run = Annotated[str, typer.Argument(help="Run id, folder of a run, or latest.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(f"dipstream {__version__}")
        raise typer.Exit


@app.command()
def demo(
    frames: Annotated[int, typer.Option(min=1, help="Stop after this many frames.")] = 300,
    headless: Annotated[
        bool, typer.Option("--headless", help="Plain lines instead of the live view.")
    ] = False,
    truth: Truth = None,
    home: Home = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Image simulated cells, count them live, and compare with the truth."""
    from dipstream.cli.live import Request, follow  # noqa: PLC0415

    request = Request(
        # Fifteen image sets a second: two slow processors keep up, truth and score included.
        source="sim:?fps=30",
        pipeline="nuclei",
        frames=frames,
        settings={"home": home, "workers": workers, "truth": truth},
    )
    raise typer.Exit(follow(request, as_json=json, plain=headless))


@app.command()
def run(
    source: Annotated[str, typer.Argument(help="sim:, a folder, a file, a glob or a URI.")],
    pipeline: Pipeline = "nuclei",
    pattern: Pattern = None,
    channels: Channels = None,
    pixel_um: PixelUm = None,
    bit_depth: BitDepth = None,
    camera: Camera = None,
    frames: Frames = None,
    workers: Workers = None,
    frame_threads: FrameThreads = None,
    deadline_ms: DeadlineMs = None,
    reference: Reference = False,
    policy: Policy = None,
    queue_mb: QueueMb = None,
    durability: Durability = None,
    on_change: OnChange = None,
    save_labels: SaveLabels = False,
    truth: Truth = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Analyse a camera, a folder or a file, from the first frame to the last."""
    from dipstream.cli.live import Request, follow  # noqa: PLC0415

    request = Request(
        source=source,
        pipeline=pipeline,
        camera=camera,
        frames=frames,
        options={
            "pattern": pattern,
            "channels": channels,
            "pixel_um": pixel_um,
            "bit_depth": bit_depth,
        },
        settings={
            "home": home,
            "workers": workers,
            "frame_threads": frame_threads,
            "deadline_ms": deadline_ms,
            "reference": reference or None,
            "policy": policy,
            "queue_mb": queue_mb,
            "durability": durability,
            "on_change": on_change,
            "save_labels": save_labels or None,
            "truth": truth,
        },
    )
    raise typer.Exit(follow(request, as_json=json))


@app.command()
def watch(
    folders: Annotated[list[str], typer.Argument(help="Folders that a microscope writes into.")],
    pipeline: Pipeline = "nuclei",
    pattern: Pattern = None,
    channels: Channels = None,
    pixel_um: PixelUm = None,
    bit_depth: BitDepth = None,
    camera: Camera = None,
    new: Annotated[
        bool, typer.Option("--new", help="Start a new run instead of going on with the latest.")
    ] = False,
    poll_s: Annotated[float | None, typer.Option(help="Look this often, in s.")] = None,
    broken_after_s: Annotated[
        float | None, typer.Option(help="Quarantine a broken file this long after it last grew.")
    ] = None,
    frames: Frames = None,
    workers: Workers = None,
    frame_threads: FrameThreads = None,
    deadline_ms: DeadlineMs = None,
    reference: Reference = False,
    queue_mb: QueueMb = None,
    durability: Durability = None,
    on_change: OnChange = None,
    save_labels: SaveLabels = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Analyse files as they arrive in folders, until Ctrl-C; the inputs are never touched."""
    from dipstream.cli.live import Request, follow  # noqa: PLC0415

    request = Request(
        source=folders,
        driver="watch",
        pipeline=pipeline,
        camera=camera,
        frames=frames,
        go_on=not new,
        options={
            "pattern": pattern,
            "channels": channels,
            "pixel_um": pixel_um,
            "bit_depth": bit_depth,
            "poll_s": poll_s,
            "broken_after_s": broken_after_s,
        },
        settings={
            "home": home,
            "workers": workers,
            "frame_threads": frame_threads,
            "deadline_ms": deadline_ms,
            "reference": reference or None,
            "queue_mb": queue_mb,
            "durability": durability,
            "on_change": on_change,
            "save_labels": save_labels or None,
        },
    )
    raise typer.Exit(follow(request, as_json=json))


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def steps(
    name: Annotated[str | None, typer.Argument(help="Show the help of this step.")] = None,
    json: Json = False,
) -> None:
    """List the steps of pipelines, or explain one."""
    from dipstream.cli.describe import show_steps  # noqa: PLC0415

    show_steps(name, as_json=json)


@app.command()
def drivers(
    name: Annotated[str | None, typer.Argument(help="Show the help of this driver.")] = None,
    json: Json = False,
) -> None:
    """List the drivers of cameras and folders, or explain one."""
    from dipstream.cli.describe import show_drivers  # noqa: PLC0415

    show_drivers(name, as_json=json)


@app.command()
def warmup(json: Json = False) -> None:
    """Compile the kernels now, so that no run has to; else the first run does."""
    from dipstream.cli.warmup import compile_all  # noqa: PLC0415

    compile_all(as_json=json)


@app.command()
def doctor(home: Home = None, json: Json = False) -> None:
    """Say what is installed, what works and why something does not; exit 1 if so."""
    from dipstream.cli.doctor import examine  # noqa: PLC0415

    raise typer.Exit(examine(home, as_json=json))


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
