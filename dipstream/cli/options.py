"""The options and arguments that several commands share, with their help."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BitDepth",
    "Camera",
    "Channels",
    "DeadlineMs",
    "Durability",
    "FrameThreads",
    "Frames",
    "Home",
    "Json",
    "Metrics",
    "Mirror",
    "OnChange",
    "Pattern",
    "Pipeline",
    "PixelUm",
    "Policy",
    "QueueMb",
    "Reference",
    "Run",
    "SaveLabels",
    "SpillMb",
    "Truth",
    "Workers",
]

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
        help="When frames come faster than the analysis: block, spill (wait on the disk), thin "
        "(keep every n-th image set), drop-oldest or stop (default: block files, spill for live "
        "cameras)."
    ),
]
QueueMb = Annotated[
    float | None, typer.Option(help="Pixels that may be held in memory, in MB (default 512).")
]
SpillMb = Annotated[
    float | None,
    typer.Option(help="Image sets that may wait on the disk, in MB (default 4096); then thin."),
]
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
Mirror = Annotated[
    list[str] | None,
    typer.Option(
        help="Copy the table as it grows to postgresql://… or a folder (Parquet); may be repeated."
    ),
]
Metrics = Annotated[
    int | None,
    typer.Option(
        "--metrics",
        min=0,
        max=65535,
        help="Answer monitors at this port of this computer: /metrics (Prometheus), /livez, "
        "/readyz, /accounting; 0 takes a free one.",
    ),
]
Run = Annotated[str, typer.Argument(help="Run id, folder of a run, or latest.")]
