"""What an earlier session of a run has left in its table, for the next one to go on from."""

import io
import json
from collections.abc import Collection, Iterator
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from dipstream.frame import Origin, Segment, SetKey
from dipstream.source import SeenFrame
from dipstream.steps.step import State
from dipstream.store.connection import Connection, quoted
from dipstream.store.rows import PendingFrame

__all__ = ["FOCUS", "NUMBERS", "Earlier"]

NUMBERS, FOCUS = "numbers", "focus"
"""Rows of `ordered_state` that belong to no step of the pipeline."""


class Earlier:
    """Asks a run's table how its last session stood.

    Parameters
    ----------
    connection
        The writer's.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def load_states(self) -> dict[tuple[str, str], tuple[State, int]]:
        """Return the states of all ordered steps and their segments, by (step, place)."""
        found: dict[tuple[str, str], tuple[State, int]] = {}
        for step, place, segment, blob in self._connection.execute(
            "SELECT step, place, segment, state FROM ordered_state WHERE step NOT IN (?, ?)",
            (NUMBERS, FOCUS),
        ):
            with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
                state = {name: arrays[name] for name in arrays.files}
            found[step, place] = state, int(segment)
        return found

    def load_focus(self) -> dict[tuple[str, str], list[float]]:
        """Return the newest focus scores by place and channel."""
        rows = self._connection.execute(
            "SELECT place, state FROM ordered_state WHERE step = ? ORDER BY rowid", (FOCUS,)
        )
        found = {}
        for key, values in rows:
            place, channel = json.loads(key)
            found[place, channel] = np.frombuffer(values, "<f8").tolist()
        return found

    def tracked_until(self) -> dict[str, int]:
        """Return the last time point that was analysed at each place."""
        found: dict[str, int] = {}
        rows = self._connection.execute(
            "SELECT position, z, max(t) FROM image_sets WHERE state = 'analysed' "
            "GROUP BY position, z"
        )
        for position, z, t in rows:
            found[SetKey(0, position, 0, z).place] = int(t)
        return found

    def live_tracks(self) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
        """Return the tracks that have not ended, in order, by (object type, place)."""
        found: dict[tuple[str, str], list[int]] = {}
        rows = self._connection.execute(
            "SELECT e.object_type, s.position, s.z, e.track_id FROM track_events e "
            "JOIN image_sets s USING (set_id) WHERE e.kind IN ('start', 'division', 'end') "
            "GROUP BY e.object_type, e.track_id "
            "HAVING max(e.kind = 'end') = 0 ORDER BY e.object_type, e.track_id"
        )
        for kind, position, z, track_id in rows:
            place = SetKey(0, position, 0, z).place
            found.setdefault((kind, place), []).append(int(track_id))
        return {at: np.array(track_ids, np.int64) for at, track_ids in found.items()}

    def pending_frames(self) -> dict[int, int]:
        """Return the frames that wait for their analysis, with the time of their arrival."""
        rows = self._connection.execute(
            "SELECT frame_id, received_ns FROM frames WHERE state = 'pending'"
        )
        return {int(frame_id): int(received_ns) for frame_id, received_ns in rows}

    def newest_arrival(self) -> int:
        """Return when the newest frame of the book came, UTC ns since the epoch; 0 without one."""
        rows = self._connection.execute(
            "SELECT received_ns FROM frames ORDER BY frame_id DESC LIMIT 1"
        )
        return int(rows[0][0] or 0) if rows else 0

    def unfinished_frames(self) -> list[PendingFrame]:
        """Return the rows whose frames are still to be analysed, in order."""
        names = [quoted(f.name) for f in fields(PendingFrame) if f.name != "retried"]
        # Nothing else leaves a mark in a row before its frame has ended.
        retried = "reason IS NOT NULL OR set_id IS NOT NULL OR segment IS NULL"
        rows = self._connection.all_rows(
            f"SELECT {', '.join(names)}, {retried} FROM frames WHERE state = 'pending' "
            "ORDER BY frame_id"
        )
        return [PendingFrame(*row) for row in rows]

    def refused_frames(self) -> list[PendingFrame]:
        """Return the frames that were refused as they came and whose place has no image set yet."""
        names = [f"f.{quoted(f.name)}" for f in fields(PendingFrame) if f.name != "retried"]
        rows = self._connection.all_rows(
            f"SELECT {', '.join(names)} FROM frames f "
            "WHERE f.state = 'quarantined' AND f.set_id IS NULL AND NOT EXISTS ("
            # Naming the segments lets the index of the key be used.
            "SELECT 1 FROM image_sets s WHERE s.segment IN (SELECT segment FROM segments) "
            "AND s.position = f.position AND s.t = f.t AND coalesce(s.z, f.z) = f.z) "
            "ORDER BY f.frame_id"
        )
        return [PendingFrame(*row) for row in rows]

    def seen_frames(self, due: Collection[int] = frozenset()) -> Iterator[SeenFrame]:
        """Yield the frames that can be named again, in order, for a source to pass over.

        Parameters
        ----------
        due
            The numbers of those whose analysis is still due: they are to come again.
        """
        table = self._connection.query(
            "SELECT frame_id, path, plane, file_planes, file_size, file_mtime_ns, file_inode, "
            "coalesce(file_hash, '') AS file_hash, position, t, version, seq FROM frames "
            "WHERE (path IS NOT NULL OR seq IS NOT NULL) "
            "AND NOT (state = 'dropped' AND reason LIKE 'crash%') ORDER BY frame_id"
        )
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            frame_id, path, plane, planes, size, mtime_ns, inode, file_hash = row[:8]
            position, t, version, seq = row[8:]
            origin = None
            if path is not None:
                origin = Origin(path, plane, size, mtime_ns, inode, file_hash, planes)
            yield SeenFrame(origin, position, t, version, seq, finished=frame_id not in due)

    def sequence(self, segment: int) -> tuple[int, int, int] | None:
        """Return first and last number of a segment's device counter, and the frames received.

        The frames of a counter follow each other in the book, refused ones included, which have no
        segment of their own. None if no frame of the segment has a number.
        """
        first = self._connection.execute(
            "SELECT frame_id, seq FROM frames WHERE segment = ? AND seq IS NOT NULL "
            "ORDER BY frame_id LIMIT 1",
            (segment,),
        )
        if not first:
            return None
        last = self._connection.execute(
            "SELECT frame_id, seq FROM frames WHERE seq IS NOT NULL ORDER BY frame_id DESC LIMIT 1"
        )
        (first_id, first_seq), (last_id, last_seq) = first[0], last[0]
        return int(first_seq), int(last_seq), int(last_id) - int(first_id) + 1

    def segments(self) -> dict[int, Segment]:
        """Return the segments of the run by number."""
        found = {}
        for row in self._connection.query("SELECT * FROM segments").to_pylist():
            roi, affine = row["roi"], row["camera_to_stage"]
            found[int(row["segment"])] = Segment(
                shape=(row["height_px"], row["width_px"]),
                dtype=row["dtype"],
                camera=row["camera"],
                roi=None if roi is None else _four([int(v) for v in roi.split(",")]),
                binning=row["binning"],
                pixel_um=row["pixel_um"],
                bit_depth=row["bit_depth"],
                offset_dn=row["offset_dn"],
                gain_e_per_dn=row["gain_e_per_dn"],
                em_gain=row["em_gain"],
                camera_to_stage=(
                    None if affine is None else _six([float(v) for v in affine.split(",")])
                ),
            )
        return found

    def places(self) -> dict[str, int]:
        """Return the segment of the newest image set of each position."""
        # SQLite takes the other columns of a max() from the row that has it.
        rows = self._connection.execute(
            "SELECT position, segment, max(set_id) FROM image_sets GROUP BY position"
        )
        return {str(position): int(segment) for position, segment, _ in rows}

    def newest_sets(self, n: int) -> dict[SetKey, int]:
        """Return the content version of each of the newest `n` image sets, the newest last."""
        rows = self._connection.execute(
            "SELECT segment, position, t, z, content_version FROM image_sets "
            "ORDER BY set_id DESC LIMIT ?",
            (n,),
        )
        return {
            SetKey(int(segment), position, int(t), z): int(version)
            for segment, position, t, z, version in reversed(rows)
        }

    def next_numbers(self) -> tuple[int, int, int]:
        """Return the next free frame, image set and track number."""
        noted = dict(
            self._connection.execute(
                "SELECT place, set_id FROM ordered_state WHERE step = ?", (NUMBERS,)
            )
        )
        sets = [self._max("frames", "set_id"), self._max("image_sets", "set_id")]
        return (
            self._max("frames", "frame_id") + 1,
            max(*sets, int(noted.get("set_id", -1))) + 1,
            # Tracks have no index: it would make every commit slower.
            max(int(noted.get("track_id", -1)) + 1, 1),
        )

    def state_counts(self) -> dict[str, int]:
        """Return how many frames are in each state: the book itself."""
        rows = self._connection.execute("SELECT state, count(*) FROM frames GROUP BY state")
        return {state: int(n) for state, n in rows}

    def _max(self, table: str, column: str) -> int:
        (found,) = self._connection.execute(f"SELECT max({column}) FROM {table}")[0]
        return -1 if found is None else int(found)


def _four(v: list[int]) -> tuple[int, int, int, int]:
    return v[0], v[1], v[2], v[3]


def _six(v: list[float]) -> tuple[float, float, float, float, float, float]:
    return v[0], v[1], v[2], v[3], v[4], v[5]
