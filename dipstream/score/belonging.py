"""Which truth belongs to a run, and what speaks against a truth that was named."""

from collections.abc import Iterator
from pathlib import Path

from dipstream.errors import ReadError
from dipstream.store import RunReader
from dipstream.truth import TruthReader

__all__ = ["doubts", "truth_of"]

_PIXEL_TOLERANCE = 0.01


def truth_of(run: RunReader) -> Path:
    """Return the folder of truth that belongs to a run.

    It is the run's own ``truth/``, or that of the simulated images which the run has read.

    Raises
    ------
    ReadError
        If there is none.
    """
    record = run.record
    images = _existing(record.source)
    simulated = None if images is None else images.parent
    for folder in (run.folder, simulated):
        if folder is None or (folder == simulated and not (folder / "simulate.json").is_file()):
            continue
        if (folder / "truth" / "truth.json").is_file():
            return folder / "truth"
    if record.settings.get("truth") == "none" and record.source.startswith("sim:"):
        why = "it was started with --truth none: start it again without"
    else:
        why = (
            f"its source {record.source} does not know what is really there. If its images were "
            "simulated, name the folder with --truth FOLDER; `dipstream run sim:` writes the truth "
            "by itself"
        )
    raise ReadError(f"the run {record.run_id} has no truth to be compared with: {why}")


def doubts(run: RunReader, truth: TruthReader) -> list[str]:
    """Return why the numbers may not mean what they seem to: sentences for people."""
    own = truth.folder.path.resolve() == (run.folder / "truth").resolve()
    return [*([] if own else _about_the_truth(run, truth)), *_about_the_pipeline(run)]


def _about_the_truth(run: RunReader, truth: TruthReader) -> Iterator[str]:
    record, there = run.record, truth.record
    if record.source != there.source and not _lies_beside(record.source, truth.folder.path):
        yield (
            f"the run has read {record.source}, and the truth in {truth.folder.path} is of "
            f"{there.source}: unless both show the same, these numbers mean nothing"
        )
    if record.channels and set(record.channels) != set(there.channels):
        yield (
            f"the run has the channels {', '.join(record.channels)}, the truth "
            f"{', '.join(there.channels)}"
        )
    segments = run.table("segments", columns=["pixel_um"])
    sizes_um = sorted({float(size) for size in segments["pixel_um"].dropna()})
    for size_um in sizes_um:
        if there.pixel_um and abs(size_um / there.pixel_um - 1) > _PIXEL_TOLERANCE:
            yield (
                f"a pixel of the run is {size_um:g} µm, of the truth {there.pixel_um:g} µm: errors "
                "in µm are those of the truth's pixels"
            )


def _about_the_pipeline(run: RunReader) -> Iterator[str]:
    steps = [name for step in run.record.pipeline.get("correct") or [] for name in step]
    if "align" in steps:
        yield (
            "the pipeline aligns the images, and the truth is where the camera saw it: the "
            "comparison is off by the drift that was taken out"
        )


def _lies_beside(source: str, truth: Path) -> bool:
    """Return whether the images lie in the folder that holds this truth."""
    images = _existing(source)
    return images is not None and images.resolve().is_relative_to(truth.parent.resolve())


def _existing(source: str) -> Path | None:
    """Return a source as a path if it is one: the parent of a URI would be the folder one is in."""
    path = Path(source)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):  # a URI may be longer than any path
        return None
