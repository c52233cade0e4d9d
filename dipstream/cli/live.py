"""Follows a run on a terminal, or in plain lines, and reports how it ended."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.live import Live

from dipstream.cli.interrupts import interrupts
from dipstream.cli.live_score import LiveScore
from dipstream.cli.view import plain_line, report, view
from dipstream.one_heap import without_collecting
from dipstream.pipeline import open_plan
from dipstream.run import Status
from dipstream.service import LiveRun, start
from dipstream.settings import load_settings
from dipstream.warmup import ensure_warm

__all__ = ["Request", "follow", "follow_run"]

_PLAIN_EVERY_S = 2.0
_SCORE_BUDGET_S = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for; None in the mappings means not given."""

    source: str | Sequence[str]
    pipeline: str
    frames: int | None = None
    driver: str | None = None
    go_on: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    camera: Path | None = None
    metrics_port: int | None = None


def follow(request: Request, *, as_json: bool, plain: bool = False) -> int:
    """Run to the end, showing how it stands; return the exit code."""
    plan = open_plan(request.pipeline, camera=request.camera)
    begin = partial(
        start,
        request.source,
        plan,
        frames=request.frames,
        driver=request.driver,
        options=request.options,
        go_on=request.go_on,
        **request.settings,
    )
    watching = request.driver == "watch"
    reference = load_settings(**request.settings).reference
    return follow_run(
        begin,
        reference=reference,
        watching=watching,
        metrics_port=request.metrics_port,
        as_json=as_json,
        plain=plain,
    )


def follow_run(
    begin: Callable[..., LiveRun],
    *,
    reference: bool,
    watching: bool,
    metrics_port: int | None,
    as_json: bool,
    plain: bool = False,
) -> int:
    """Begin a run and show how it stands until its end; return the exit code.

    Parameters
    ----------
    begin
        `dipstream.service.start` or `resume` with all but its subscribers.
    reference
        Whether it does without kernels.
    watching
        Whether the run ends when somebody interrupts it, and never by itself.
    metrics_port, as_json, plain
        As the command line has them.
    """
    score = LiveScore()
    if not reference:
        # Ctrl-C ends this at once; from then on it only asks the run to stop.
        ensure_warm(lambda text: typer.echo(text, err=True))
    with interrupts() as interrupted, _monitored(metrics_port) as attach:
        with without_collecting():
            run = begin(
                subscribers=[score.take], truth_subscribers=[score.take_truth], mailbox=False
            )
        attach(run)
        if not run.records_truth:
            score.turn_off()
        stdout, stderr = Console(), Console(stderr=True)
        if stdout.is_terminal and not as_json and not plain:
            _follow_live(run, interrupted, stdout, score)
        else:
            _follow_plain(run, interrupted, score)
        run.wait()
    summary = run.summary() | (score.summary() if score.on else {})
    sentence = score.sentence(ended=True) if score.on else ""
    if as_json:
        report(stderr, summary, sentence)
        typer.echo(json.dumps(summary, ensure_ascii=False))
    else:
        report(stdout, summary, sentence)
    return _exit_code(run, summary, interrupted(), watching=watching)


@contextmanager
def _monitored(port: int | None) -> Iterator[Callable[[LiveRun], None]]:
    """Answer monitors at a port, if one is given, about the run that is attached."""
    if port is None:
        yield lambda _: None
        return
    from dipstream.health import HealthServer  # noqa: PLC0415 - few need it

    with HealthServer(port) as server:
        typer.echo(f"metrics at {server.address}/metrics", err=True)
        yield server.attach


def _exit_code(run: LiveRun, summary: dict[str, Any], signals: int, *, watching: bool) -> int:
    if run.error is not None or not summary["balanced"]:
        return 1
    # Ctrl-C is how a watch ends; a run that is interrupted has not seen all its frames.
    return 130 if signals and not watching else 0


def _follow_live(
    run: LiveRun, interrupted: Callable[[], int], console: Console, score: LiveScore
) -> None:
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for status in _until_end(run, interrupted, 0.12):
            score.update(_SCORE_BUDGET_S)
            live.update(view(run, status, score.sentence() if score.on else None))


def _follow_plain(run: LiveRun, interrupted: Callable[[], int], score: LiveScore) -> None:
    said = time.monotonic()
    typer.echo(f"run {run.run_id} in {run.folder}", err=True)
    seen = 0
    for status in _until_end(run, interrupted, 0.2):
        score.update(_SCORE_BUDGET_S)
        fresh, lost, seen = run.warnings_after(seen)
        for warning in fresh:
            typer.echo(f"warning: {warning}", err=True)
        if lost:
            typer.echo(f"warning: and {lost} more; they are in the run's table", err=True)
        if time.monotonic() - said >= _PLAIN_EVERY_S:
            said = time.monotonic()
            typer.echo(" ".join([plain_line(status), score.plain()]).rstrip(), err=True)


def _until_end(run: LiveRun, interrupted: Callable[[], int], every_s: float) -> Iterator[Status]:
    asked = 0
    ended = False
    while not ended:
        ended = run.poll(every_s)
        if interrupted() > asked:
            asked = interrupted()
            if asked == 1:
                run.stop("interrupted")
            else:
                run.abort("interrupted twice")
        yield run.status()
