"""The frames in a run's quarantine: what they are, and how they are sent for another try."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dipstream.store.connection import Connection, quoted
from dipstream.store.folder import RunFolder
from dipstream.store.writer import RunWriter

__all__ = ["QuarantineWriter", "Quarantined", "frames_to_retry", "quarantined_frames", "why_not"]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A frame that could not be read or analysed.

    Attributes
    ----------
    frame_id, set_id
        Its number, and that of its image set; None if it was refused as it came.
    position, t, z, channel, seq
        As in `dipstream.frame.FrameInfo`.
    reason, detail
        Why, in a sentence, and the traceback if there was one.
    path, plane, version, file_hash
        The file it came from, which version of it, and the XXH3-64 of that file's bytes; no path
        for a camera's.
    received_ns, committed_ns
        When it came, and when it was given up, UTC since the epoch.
    """

    frame_id: int
    set_id: int | None
    position: str
    t: int
    z: int | None
    channel: str
    seq: int | None
    reason: str
    detail: str | None
    path: str | None
    plane: int | None
    version: int
    file_hash: str | None
    received_ns: int
    committed_ns: int | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


_COLUMNS = ", ".join(quoted(field.name) for field in fields(Quarantined))


def quarantined_frames(folder: RunFolder) -> list[Quarantined]:
    """Return the frames in the quarantine, in order of arrival."""
    with Connection(folder.table, read_only=True) as connection:
        return _select(connection, "state = 'quarantined'")


def why_not(frame: Quarantined, *, counter_comes_again: bool) -> str:
    """Return why a frame's pixels cannot come again; empty if they can."""
    if frame.path is None:
        if frame.seq is not None and counter_comes_again:
            return ""
        return "the camera cannot deliver it again"
    return "" if Path(frame.path).is_file() else f"{frame.path} is gone"


def frames_to_retry(
    folder: RunFolder, wanted: Collection[int] | None, *, counter_comes_again: bool
) -> tuple[list[int], dict[int, str]]:
    """Return which frames to try again, and why others of the wanted ones are not.

    An image set is analysed as a whole: the other frames of it come with those that were wanted. A
    frame that was refused as it came may belong to a set that was analysed without it: the frames
    of that come too. Of a file that was rewritten only what it holds now can come again.

    Parameters
    ----------
    folder
        The run's folder.
    wanted
        Numbers of frames; None for the whole quarantine.
    counter_comes_again
        Whether the source delivers the frames of its counter again.
    """
    with Connection(folder.table, read_only=True) as connection:
        ill = {frame.frame_id: frame for frame in _select(connection, "state = 'quarantined'")}
        reasons = dict.fromkeys(set(wanted or ()) - ill.keys(), "it is not in the quarantine")
        versions = _newest_versions(connection)
        chosen: set[int] = set()
        for frame_id in sorted(ill if wanted is None else set(wanted) & ill.keys()):
            family = _family(connection, ill[frame_id])
            why = [
                _rewritten(one, versions) or why_not(one, counter_comes_again=counter_comes_again)
                for one in family
            ]
            if problem := next(filter(None, why), ""):
                reasons[frame_id] = problem
            else:
                chosen |= {one.frame_id for one in family}
    return sorted(chosen), dict(sorted(reasons.items()))


class QuarantineWriter(RunWriter):
    """Moves rows out of the quarantine and back; hold the run's lock."""

    def send_back(self, frame_ids: Sequence[int]) -> dict[int, str]:
        """Set frames back to pending, as one; return the states they had.

        Reason and image set stay in the row: they tell a frame that is tried again from a new one,
        and the set stays as it is until another one supersedes it.
        """
        with self.transaction():
            before = {
                frame_id: str(self._ask("SELECT state FROM frames WHERE frame_id = ?", frame_id))
                for frame_id in frame_ids
            }
            self._set(dict.fromkeys(before, "pending"), "'pending', 'analysed', 'quarantined'")
            n = len(before)
            self.add_event(time.time_ns(), "info", f"{n} frames of the quarantine are tried again")
        return before

    def put_back(self, states: Mapping[int, str]) -> None:
        """Set those that are still pending to the states they had, as one."""
        with self.transaction():
            self._set(states, "'pending'")

    def _set(self, states: Mapping[int, str], among: str) -> None:
        for frame_id, state in states.items():
            self._connection.execute(
                f"UPDATE frames SET state = ? WHERE frame_id = ? AND state IN ({among})",
                (state, frame_id),
            )

    def _ask(self, sql: str, value: int) -> Any:
        return self._connection.execute(sql, (value,))[0][0]


def _family(connection: Connection, frame: Quarantined) -> list[Quarantined]:
    """Return a frame and those that are analysed together with it."""
    set_id = frame.set_id
    if set_id is None:
        rows = connection.execute(
            "SELECT max(set_id) FROM image_sets WHERE position = ? AND t = ? "
            "AND coalesce(z, ?) = ?",
            (frame.position, frame.t, frame.z or 0, frame.z or 0),
        )
        set_id = None if not rows or rows[0][0] is None else int(rows[0][0])
    if set_id is None:
        return [frame]
    # Frames of an earlier content of the set have another time of commit.
    others = _select(
        connection,
        "set_id = ? AND state IN ('analysed', 'quarantined') AND committed_ns = "
        "(SELECT committed_ns FROM image_sets s WHERE s.set_id = frames.set_id)",
        (set_id,),
    )
    return [frame, *(one for one in others if one.frame_id != frame.frame_id)]


def _newest_versions(connection: Connection) -> dict[str, int]:
    """Return the newest version of each file that is or was in the quarantine."""
    rows = connection.all_rows(
        "SELECT path, max(version) FROM frames WHERE path IN "
        "(SELECT path FROM frames WHERE state = 'quarantined') GROUP BY path"
    )
    return {str(path): int(version) for path, version in rows}


def _rewritten(frame: Quarantined, versions: Mapping[str, int]) -> str:
    if frame.path is None or versions.get(frame.path, 0) <= frame.version:
        return ""
    return f"{frame.path} was rewritten since: what it holds now has a row of its own"


def _select(
    connection: Connection, condition: str, parameters: Sequence[Any] = ()
) -> list[Quarantined]:
    rows = connection.all_rows(
        f"SELECT {_COLUMNS} FROM frames WHERE {condition} ORDER BY frame_id", parameters
    )
    return [Quarantined(*row) for row in rows]
