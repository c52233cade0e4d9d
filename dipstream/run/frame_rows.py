"""The rows of frames and events, as messages tell of them; in the committer's transactions."""

import time
from collections.abc import Collection, Sequence

from dipstream.run.log import RunLog
from dipstream.run.messages import RESTORED, Event, NewFrame, Outcome
from dipstream.run.tally import Tally
from dipstream.store import FrameOutcome, RunWriter

__all__ = ["FrameRows"]


class FrameRows:
    """Writes what becomes of single frames, and counts it.

    Parameters
    ----------
    writer
        Of the run's table.
    retried
        The numbers of frames that were in the quarantine and are analysed again.
    tally, log
        Live counters and the run's log.
    """

    def __init__(
        self, writer: RunWriter, retried: Collection[int], tally: Tally, log: RunLog
    ) -> None:
        self._writer = writer
        self._retried = retried
        self._tally = tally
        self._log = log

    def add(self, frames: Sequence[NewFrame]) -> int:
        """Write the rows of frames that have come or come again; return how many rows are new."""
        fresh = [frame.row for frame in frames if not frame.again]
        again = [frame for frame in frames if frame.again]
        if fresh:
            self._writer.add_frames(fresh)
        told = {frame.row["frame_id"]: self._write_again(frame) for frame in again}
        for frame in frames:
            row = frame.row
            if frame.gap is not None:
                self.tell(frame.gap)
            state = told.get(row["frame_id"], row["state"])
            if state != "pending":
                self._tally.finish(state, reason=row["reason"])
                about = {name: row.get(name) for name in ("frame_id", "seq", "path", "detail")}
                self._log.write(row["state"], row["reason"], **about)
        return len(fresh)

    def end(self, ended: Sequence[Outcome]) -> None:
        """Write how frames have ended that came into no image set."""
        if not ended:
            return
        now = time.time_ns()
        self._writer.finish_frames(
            [
                FrameOutcome(one.frame_id, one.state, None, now, reason=one.reason)
                for one in ended
                if one.state != RESTORED
            ]
        )
        for one in ended:
            state = one.state
            if state == RESTORED:
                (state,) = self._writer.restore_frames([one.frame_id])
            self._tally.finish(state, reason=one.reason)
            self._log.write(state, one.reason, frame_id=one.frame_id)

    def tell(self, event: Event) -> None:
        """Write what has happened, into table and log."""
        gap = event.gap
        self._writer.add_event(
            time.time_ns(),
            event.kind,
            event.message,
            segment=gap.segment if gap else None,
            first_seq=gap.first_seq if gap else None,
            n=gap.n if gap else None,
        )
        about = {} if gap is None else {"segment": gap.segment, "first_seq": gap.first_seq}
        self._log.write(event.kind, event.message, **about, n=gap.n if gap else None)

    def _write_again(self, frame: NewFrame) -> str:
        """Write the row of a frame that has one; return the state it is in."""
        row = frame.row
        frame_id, state = row["frame_id"], str(row["state"])
        if state == "pending":
            self._writer.describe_frames([row])
        elif frame_id in self._retried and self._writer.is_in_a_set(frame_id):
            # Its set stands as it is, and counts it.
            (state,) = self._writer.restore_frames([frame_id], row["reason"], row["detail"])
        else:
            self._writer.add_frames([row], replace=True)
        return state
