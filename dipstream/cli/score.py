"""Follows a run with the truth beside it, and reports the score."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dipstream.cli.interrupts import interrupts
from dipstream.cli.score_words import f1_words, iou_words, link_words
from dipstream.cli.view import counted
from dipstream.opening import open_run
from dipstream.score import RunScore, truth_of
from dipstream.truth import Score

__all__ = ["show_score"]

_EVERY_S = 1.0
_PLAIN_EVERY_S = 2.0


def show_score(
    run: str,
    truth: Path | None,
    kind: str | None,
    home: Path | None,
    *,
    once: bool,
    as_json: bool,
) -> int:
    """Compare a run with its truth until it ends; return the exit code."""
    reader = open_run(run, home=home)
    comparison = RunScore(reader, truth_of(reader) if truth is None else truth, kind)
    console = Console(stderr=as_json)
    with interrupts() as interrupted:
        if not once:
            _follow(comparison, interrupted, console, live=console.is_terminal and not as_json)
    score = comparison.update(last=True)
    found = {
        "run_id": reader.record.run_id,
        "type": comparison.kind,
        **score.as_dict(),
        "image_sets_without_truth": comparison.without_truth,
        "image_sets_not_comparable": comparison.not_comparable,
        "warnings": comparison.warnings,
    }
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _report(console, found)
    return 0


def _follow(
    comparison: RunScore, interrupted: Callable[[], int], console: Console, *, live: bool
) -> None:
    """Show the score until the run has ended, or until Ctrl-C."""
    with Live(console=console, refresh_per_second=4, transient=True) if live else _Plain() as shown:
        # ORDER MATTERS: what came between the question and the look is found by the last look.
        while comparison.running and not interrupted():
            shown.update(Text(_line(comparison.update(), comparison), style="cyan"))
            end = time.monotonic() + _EVERY_S
            while time.monotonic() < end and not interrupted():
                time.sleep(0.05)


class _Plain:
    """Says the same in lines, now and then."""

    def __init__(self) -> None:
        self._said = -_PLAIN_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, line: Text) -> None:
        """Say a line, unless the last one was a moment ago."""
        if time.monotonic() - self._said >= _PLAIN_EVERY_S:
            self._said = time.monotonic()
            typer.echo(line.plain, err=True)


def _line(score: Score, comparison: RunScore) -> str:
    pending, other = comparison.pending, comparison.not_comparable
    waiting = f"; {pending} wait for their truth" if pending else ""
    left_out = f"; {other} not comparable" if other else ""
    if not score.image_sets:
        return f"no image set to compare with the truth yet{waiting}{left_out}"
    parts = [
        f"count error {score.count_error_percent:.1f} %",
        *(f1_words(score), iou_words(score), link_words(score)),
    ]
    said = ", ".join(part for part in parts if part)
    return f"{counted(score.image_sets, 'image set')}: {said}{waiting}{left_out}"


def _report(console: Console, found: dict[str, Any]) -> None:
    for name, text, style in _lines(found):
        line = Text(f"{name:11}", style="dim").append(Text(text, style=style))
        console.print(line, soft_wrap=True)


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and style of every line of the report."""
    yield "run", f"{found['run_id']}, {found['type'] or 'no objects'}", ""
    missing = found["image_sets_without_truth"]
    without = f"; {missing:,} without truth" if missing else ""
    other = found["image_sets_not_comparable"]
    apart = f"; {other:,} not comparable" if other else ""
    yield "compared", f"{counted(found['image_sets'], 'image set')}{without}{apart}", ""
    if found["image_sets"]:
        yield from _about_objects(found)
        yield from _about_tracks(found)
        yield from _about_intensities(found)
    for warning in found["warnings"]:
        yield "warning", warning, "yellow"


def _about_objects(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield (
        "count",
        (
            f"error {found['count_error_percent']:.2f} %: found {found['found_objects_mean']:.1f}, "
            f"really there {found['truth_objects_mean']:.1f} an image set"
        ),
        "",
    )
    if found["f1"] is None:
        yield "detection", "nothing there, and nothing found", "dim"
        return
    yield (
        "detection",
        (
            f"precision {_share(found['precision'])}, recall {_share(found['recall'])}, "
            f"F1 {found['f1']:.4f}, by centroid"
        ),
        "",
    )
    if not found["iou_image_sets"]:
        yield "outlines", "not compared: no label images (run with --save-labels)", "dim"
    elif found["f1_iou50"] is not None:
        yield (
            "outlines",
            (
                f"F1 at IoU 0.5 {found['f1_iou50']:.4f}, average precision "
                f"{found['average_precision']:.4f} over "
                f"{counted(found['iou_image_sets'], 'label image')}"
            ),
            "",
        )
    if found["centroid_error_median_um"] is not None:
        yield (
            "centroids",
            (
                f"{found['centroid_error_median_um']:.3f} µm off (median), "
                f"{found['centroid_error_rms_um']:.3f} µm (RMS); "
                f"{counted(found['centroid_objects'], 'object')}, none at the edge"
            ),
            "",
        )


def _about_tracks(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if not found["tracked"]:
        yield "links", "not tracked: the pipeline has no tracker for these objects", "dim"
        return
    yield (
        "links",
        (
            f"recall {_share(found['link_recall'])} of {found['true_links']:,}, "
            f"precision {_share(found['link_precision'])} of {found['found_links']:,}"
        ),
        "",
    )
    if found["true_divisions"] or found["found_divisions"]:
        yield (
            "divisions",
            (
                f"{found['true_divisions_found']} of {found['true_divisions']} found; "
                f"{found['found_divisions_right']} of {found['found_divisions']} reported are right"
            ),
            "",
        )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _about_intensities(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for channel, fit in found["intensity"].items():
        correlation = fit["correlation"]
        known = "unknown" if correlation is None else f"{correlation:.4f}"
        yield (
            "intensity",
            (
                f"{channel}: {fit['slope_per_e']:.4g} per e⁻, "
                f"{fit['offset_per_px']:.4g} per pixel, correlation {known}, "
                f"{counted(fit['objects'], 'object')}"
            ),
            "",
        )
