"""Frames whose rows wait since a crash, and which the source delivers again."""

from collections.abc import Iterable
from pathlib import Path

from dipstream.frame import BadFrame, Frame, FrameInfo, Origin, Segment
from dipstream.store import PendingFrame

__all__ = ["CRASH", "Expected", "lost_reason", "refused_info"]

CRASH = "crash: the run ended before its analysis"


class Expected:
    """Rows that wait for their frames; used by the capture thread alone once the run has begun.

    A frame is known by its file, plane and version, or by the device's counter, and only if it is
    what it was: another content or place makes it a new frame.

    Parameters
    ----------
    rows
        The rows, in order.
    refused
        Frames that were refused as they came and whose image set may still be made: the source does
        not deliver them again, but the assembler has to know that they are missing.
    """

    def __init__(
        self, rows: Iterable[PendingFrame] = (), refused: Iterable[PendingFrame] = ()
    ) -> None:
        self._rows: dict[tuple[object, ...], PendingFrame] = {}
        for row in rows:
            self._rows[_key_of_row(row)] = row
        self._refused = sorted(refused, key=lambda row: row.frame_id, reverse=True)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item: Frame | BadFrame) -> bool:
        return self._find(item) is not None

    def claim(self, item: Frame | BadFrame) -> PendingFrame | None:
        """Return the row of a frame that has come again, once; None for a new one."""
        key = self._find(item)
        return None if key is None else self._rows.pop(key)

    def refused_before(self, frame_id: int) -> list[PendingFrame]:
        """Return, once, the refused frames that came before one with this number, in order."""
        found = []
        while self._refused and self._refused[-1].frame_id < frame_id:
            found.append(self._refused.pop())
        return found

    def rest(self) -> tuple[list[int], list[int]]:
        """Return the numbers of those that have not come, and forget them.

        First those that are lost, then those that were to be tried again after a quarantine.
        """
        gone = [*self._rows.values()]
        self._rows.clear()
        return (
            [row.frame_id for row in gone if not row.retried],
            [row.frame_id for row in gone if row.retried],
        )

    def _find(self, item: Frame | BadFrame) -> tuple[object, ...] | None:
        if not self._rows:
            return None
        info = item.info
        for key in _keys(info):
            row = self._rows.get(key)
            if row is not None and (row.retried or _is_same(row, item)):
                return key
        return None


def lost_reason(row: PendingFrame) -> str:
    """Return why a frame cannot come again although its source is replayable; empty if it can.

    A folder that is away may come back, but a file that is gone from its folder, or another one
    now, will not.
    """
    if row.path is None:
        return CRASH if row.seq is None else ""
    path = Path(row.path)
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"{CRASH}, and its file is gone" if path.parent.is_dir() else ""
    except OSError:
        return ""
    if row.retried or (found.st_size, found.st_mtime_ns) == (row.file_size, row.file_mtime_ns):
        return ""
    return f"{CRASH}, and its file is another one now"


def refused_info(row: PendingFrame) -> FrameInfo:
    """Return what the assembler has to know of a refused frame."""
    return FrameInfo(
        Segment.unread(),
        row.channel,
        seq=row.seq,
        t=row.t,
        position=row.position,
        z=row.z,
        version=row.version,
    )


def _key_of_row(row: PendingFrame) -> tuple[object, ...]:
    if row.path is None:
        return ("seq", row.seq)
    return (row.path, row.plane) if row.retried else (row.path, row.plane, row.version)


def _keys(info: FrameInfo) -> list[tuple[object, ...]]:
    origin: Origin | None = info.origin
    if origin is None:
        return [("seq", info.seq)]
    return [(origin.path, origin.plane, info.version), (origin.path, origin.plane)]


def _is_same(row: PendingFrame, item: Frame | BadFrame) -> bool:
    info = item.info
    if (info.position, info.t) != (row.position, row.t):
        return False
    if isinstance(item, BadFrame):
        return True  # it was good before; now it cannot even be said what it shows
    if (info.z, info.channel) != (row.z, row.channel):
        return False
    known = row.file_hash
    return not known or info.origin is None or info.origin.content_hash in {"", known}
