"""What a run looks like on a terminal, and its report at the end."""

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from dipstream.run import Status
    from dipstream.service import LiveRun

__all__ = ["counted", "plain_line", "report", "view"]

_FAR_BEHIND = 50
_STATES = ("received", "analysed", "dropped", "quarantined", "late", "pending")


def view(run: "LiveRun", status: "Status", score: str | None) -> RenderableType:
    """Return the live view: counters, speed, lag, objects, queue, warnings."""
    parts: list[RenderableType] = [_counters(status), _speed(status)]
    if status.expected_frames:
        done = status.accounting.received - status.accounting.pending
        parts.append(_progress(done, status.expected_frames))
    if status.last:
        parts.append(Text("newest  " + _pairs(status.last)))
    if score:
        parts.append(Text("truth   " + score, style="cyan"))
    if status.truth_behind > _FAR_BEHIND:
        parts.append(Text(f"truth   still to be written: {status.truth_behind:,} frames"))
    if status.warnings:
        parts += [Text(f"⚠ {text}", style="yellow") for text in status.warnings]
    else:
        parts.append(Text("focus and saturation: no warning", style="green"))
    title = f"dipstream ● LIVE  {run.run_id}  {run.plan.name}@{run.plan.sha256[:4]}"
    return Panel(Group(*parts), title=title, subtitle="Ctrl-C stops", title_align="left")


def _counters(status: "Status") -> Table:
    grid = Table.grid(padding=(0, 3))
    counts = status.accounting.frames()
    for _ in _STATES:
        grid.add_column(justify="right")
    grid.add_row(*[Text(name, style="dim") for name in _STATES])
    bad = {"dropped", "quarantined", "late"}
    grid.add_row(
        *[
            Text(f"{counts[name]:,}", style="bold red" if name in bad and counts[name] else "bold")
            for name in _STATES
        ]
    )
    return grid


def _progress(done: int, expected: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        ProgressBar(total=expected, completed=done, width=60), Text(f"{done:,} of {expected:,}")
    )
    return grid


def _speed(status: "Status") -> Text:
    lag = "–" if status.lag_ms_p50 is None else f"{status.lag_ms_p50:.0f}/{status.lag_ms_p99:.0f}"
    missing = "" if status.accounting.gap is None else f"  missing {status.accounting.gap}"
    if status.spill_fill:
        missing = f"  on disk {100 * status.spill_fill:.0f} %{missing}"
    if status.deadline_misses:
        missing += f"  later than {status.deadline_ms:,.0f} ms {status.deadline_misses:,}"
    return Text(
        f"{status.frames_per_s:.1f} fps  lag {lag} ms (p50/p99)  "
        f"{status.image_sets:,} image sets  {status.objects:,} objects  "
        f"queue {100 * status.queue_fill:.0f} %{missing}"
    )


def counted(n: int, noun: str) -> str:
    """Return a number and its noun, in the plural where that is right."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def plain_line(status: "Status") -> str:
    """Return the same in one line, for logs."""
    lag = "" if status.lag_ms_p50 is None else f" lag_ms={status.lag_ms_p50:.0f}"
    counts = " ".join(f"{name}={n}" for name, n in status.accounting.frames().items())
    lag += f" deadline_misses={status.deadline_misses}" if status.deadline_misses else ""
    behind = f" truth_behind={status.truth_behind}" if status.truth_behind > _FAR_BEHIND else ""
    behind = (f" spill={100 * status.spill_fill:.0f}%" if status.spill_fill else "") + behind
    return (
        f"{status.seconds:.0f}s {counts} fps={status.frames_per_s:.1f}{lag} "
        f"objects={status.objects} queue={100 * status.queue_fill:.0f}%{behind}"
    )


def report(console: Console, summary: dict[str, Any], score: str = "") -> None:
    """Print how a run ended: the accounting, the speed, the score, where the table is."""
    counts = {name: summary[name] for name in _STATES}
    terms = " + ".join(f"{name} {n:,}" for name, n in counts.items() if name != "received")
    say = _Say(console)
    say("state", summary["state"] + (f": {summary['reason']}" if summary["reason"] else ""))
    # Without a word before it, so that it fits into 80 columns.
    say("", f"received {counts['received']:,} = {terms}  {_mark(summary['balanced'])}")
    if summary["gap"] is not None:
        say("counter", f"{summary['gap']:,} missing between the first number and the last")
    if counts["quarantined"]:
        run = summary["run_id"]
        say(
            "reasons",
            f"dipstream table {run} --type frames --where \"state = 'quarantined'\"",
            "yellow",
        )
    _report_problems(say, summary)
    objects = ", ".join(f"{n:,} {kind}" for kind, n in summary["objects_by_type"].items())
    say("objects", f"{objects or 'none'} in {counted(summary['image_sets'], 'image set')}")
    if summary["flags"]:
        say("flags", ", ".join(f"{n} {flag}" for flag, n in summary["flags"].items()), "yellow")
    if summary["ignored_files"]:
        files = counted(summary["ignored_files"], "file")
        say("ignored", f"{files}: no image, or not matching the pattern or channels")
    if summary["lag_ms_p50"] is not None:
        say(
            "speed",
            f"{summary['frames_per_s']:.1f} frames/s over {summary['seconds']:.1f} s, lag "
            f"{summary['lag_ms_p50']:.0f} ms (p50) {summary['lag_ms_p99']:.0f} ms (p99)",
        )
    if summary["deadline_ms"] is not None:
        missed = summary["deadline_misses"]
        say(
            "deadline",
            f"{counted(missed, 'frame')} in the table later than {summary['deadline_ms']:,.0f} ms",
            "yellow" if missed else "",
        )
    if score:
        say("truth", score, "cyan")
    say("run", str(summary["folder"]))


def _report_problems(say: "_Say", summary: dict[str, Any]) -> None:
    for problem in summary["problems"]:
        say("problem", problem, "bold red")
    for mirror in summary.get("mirrors", ()):
        if not mirror["complete"]:
            why = f": {mirror['error']}" if mirror["error"] else ""
            say("mirror", f"{mirror['target']} lacks {mirror['behind']:,} commits{why}", "yellow")
            say("", f"to catch up: {mirror['catch_up']}", "yellow")


class _Say:
    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, name: str, text: str, style: str = "") -> None:
        line = Text(f"{name:9}" if name else "", style="dim").append(Text(text, style=style))
        self._console.print(line, soft_wrap=True)


def _mark(balanced: bool) -> str:
    return "✓" if balanced else "✗ DOES NOT ADD UP"


def _pairs(values: Any) -> str:
    return "  ".join(f"{name} {value}" for name, value in values.items())
