"""Commands that start a run, or go on with a watched folder's."""

from typing import Annotated

import typer

from dipstream.cli.options import (
    BitDepth,
    Camera,
    Channels,
    DeadlineMs,
    Durability,
    Frames,
    FrameThreads,
    Home,
    Json,
    Metrics,
    Mirror,
    OnChange,
    Pattern,
    Pipeline,
    PixelUm,
    Policy,
    QueueMb,
    Reference,
    SaveLabels,
    SpillMb,
    Truth,
    Workers,
)
from dipstream.one_heap import use_one_heap, without_collecting

__all__ = ["demo", "run", "watch"]


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
    use_one_heap()
    with without_collecting():
        from dipstream.cli.live import Request, follow  # noqa: PLC0415

    request = Request(
        # Fifteen image sets a second: two slow processors keep up, truth and score included.
        source="sim:?fps=30",
        pipeline="nuclei",
        frames=frames,
        settings={"home": home, "workers": workers, "truth": truth},
    )
    raise typer.Exit(follow(request, as_json=json, plain=headless))


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
    spill_mb: SpillMb = None,
    durability: Durability = None,
    on_change: OnChange = None,
    save_labels: SaveLabels = False,
    truth: Truth = None,
    mirror: Mirror = None,
    metrics: Metrics = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Analyse a camera, a folder or a file, from the first frame to the last."""
    use_one_heap()
    with without_collecting():
        from dipstream.cli.live import Request, follow  # noqa: PLC0415

    request = Request(
        source=source,
        pipeline=pipeline,
        camera=camera,
        frames=frames,
        metrics_port=metrics,
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
            "spill_mb": spill_mb,
            "durability": durability,
            "on_change": on_change,
            "save_labels": save_labels or None,
            "mirror": mirror or None,
            "truth": truth,
        },
    )
    raise typer.Exit(follow(request, as_json=json))


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
    mirror: Mirror = None,
    metrics: Metrics = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Analyse files as they arrive in folders, until Ctrl-C; the inputs are never touched."""
    use_one_heap()
    with without_collecting():
        from dipstream.cli.live import Request, follow  # noqa: PLC0415

    request = Request(
        source=folders,
        driver="watch",
        pipeline=pipeline,
        camera=camera,
        frames=frames,
        metrics_port=metrics,
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
            "mirror": mirror or None,
        },
    )
    raise typer.Exit(follow(request, as_json=json))
