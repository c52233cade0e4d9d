"""Whether a run lives, whether it can take frames, and where its frames are."""

import shutil
from dataclasses import dataclass
from typing import Any

from dipstream.service import LiveRun

__all__ = ["Health", "accounting", "live", "ready"]

_STUCK_S = 60.0
"""A commit that takes longer is stuck: no disk that works is so slow."""

_SLOW_S = 10.0
"""While a commit takes longer, the table counts as not writable."""


@dataclass(frozen=True, slots=True)
class Health:
    """An answer to a probe; the reasons say why it is no, or what else ought to be known."""

    ok: bool
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"ok": self.ok, "reasons": list(self.reasons)}


def live(run: LiveRun) -> Health:
    """Return whether the run moves; if it does not, only a new process can help.

    A run that has ended, well or not, lives: to start it again would be no cure.
    """
    if run.poll(0.0):
        return Health(ok=True, reasons=("the run has ended",))
    idle_s = run.status().idle_s
    if idle_s > _STUCK_S:
        reason = f"nothing could be written for {idle_s:.0f} s: the disk of {run.folder} hangs"
        return Health(ok=False, reasons=(reason,))
    return Health(ok=True)


def ready(run: LiveRun) -> Health:
    """Return whether the run takes frames: table writable, disk above the reserve, source up."""
    status = run.status()
    reasons = []
    if run.error is not None:
        reasons.append(f"the run has failed: {run.error}")
    elif run.poll(0.0):
        reasons.append("the run has ended")
    elif status.idle_s > _SLOW_S:
        reasons.append(f"the table could not be written for {status.idle_s:.0f} s")
    reserve_mb = float(run.reader.record.settings.get("reserve_mb") or 0)
    free_mb = shutil.disk_usage(run.folder).free / 1e6
    if free_mb < reserve_mb:
        reasons.append(
            f"{free_mb:.0f} MB are free on the disk of {run.folder}, less than the reserve of "
            f"{reserve_mb:.0f} MB: make room"
        )
    if status.source_trouble:
        reasons.append(f"the source is degraded: {status.source_trouble}")
    return Health(ok=not reasons, reasons=tuple(reasons))


def accounting(run: LiveRun) -> dict[str, Any]:
    """Return where every frame is, counted now in the table, and what does not add up.

    ``received = analysed + dropped + quarantined + late + pending``, over all sessions of the run;
    ``drops`` and ``gap`` are of this one.
    """
    status = run.status()
    book = run.reader.accounting()
    names = ("analysed", "dropped", "quarantined", "late", "pending")
    return {
        "run_id": run.run_id,
        "received": sum(book.values()),
        **{name: book.get(name, 0) for name in names},
        "drops": dict(status.drops),
        "gap": status.accounting.gap,
        "balanced": status.accounting.balanced,
        "problems": list(status.accounting.problems),
    }
