"""The rows of image sets: measured, lost, late, tried again; in the committer's transactions."""

import time
import traceback
from collections.abc import Collection, Mapping

import numpy as np

from dipstream.errors import StepError
from dipstream.frame import Frame, ImageSet
from dipstream.pipeline import Analysis, Failure, Pipeline
from dipstream.run.known import Aside, aside
from dipstream.run.labels import save_labels
from dipstream.run.linking import Linked, Linker
from dipstream.run.log import RunLog
from dipstream.run.messages import RESTORED, Done, Dropped
from dipstream.run.result import LabelImages, Result
from dipstream.run.tally import Tally
from dipstream.steps.quality import FocusWatch, Quality
from dipstream.steps.step import State
from dipstream.store import FrameOutcome, KnownSet, RunFolder, RunWriter, SetRow, set_hash

__all__ = ["SetRows"]


class SetRows:
    """Writes an image set with all that belongs to it, in its turn; tracks its objects.

    Parameters
    ----------
    folder, writer
        The run and its table.
    linker
        Links objects to tracks.
    first_set_id
        The image set that is committed first.
    retried
        The numbers of frames that were in the quarantine and are analysed again.
    save_label_images
        Keep them beside the table.
    tally, log
        Live counters and the run's log.

    Attributes
    ----------
    pipeline
        The compiled one, once the channels are known.
    """

    def __init__(
        self,
        folder: RunFolder,
        writer: RunWriter,
        linker: Linker,
        *,
        first_set_id: int,
        retried: Collection[int],
        save_label_images: bool,
        tally: Tally,
        log: RunLog,
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._linker = linker
        self._noted = first_set_id - 1
        self._retried = retried
        self._save_label_images = save_label_images
        self._tally = tally
        self._log = log
        self.pipeline: Pipeline | None = None
        self._focus = FocusWatch()
        for (place, channel), scores in writer.load_focus().items():
            self._focus.remember(place, channel, scores)

    def write(self, done: Done, in_turn: bool) -> Result:
        """Write what became of an image set; return what is published after the commit.

        Parameters
        ----------
        done
            The set with its analysis, or dropped.
        in_turn
            All sets before it are written: its objects can be tracked.
        """
        known = self._writer.find_set(done.image_set.key)
        content = _content_hash(done)
        other = aside(done, known, content, self._retried)
        if known is not None or other is not None:
            self._note_number(done.image_set.set_id)
        if other is not None:
            return self._write_aside(done, other)
        if isinstance(done, Dropped):
            return self._write_lost(done, known, "dropped", Failure(done.reason))
        if done.failure is not None:
            return self._write_lost(done, known, "quarantined", done.failure)
        linked = Linked()
        if in_turn and known is None and self.pipeline is not None:
            try:
                linked = self._linker.link(self.pipeline, done)
            except Exception as error:  # noqa: BLE001 - a plug-in's tracker may raise anything
                failure = Failure(_reason(error), traceback.format_exc())
                return self._write_lost(done, known, "quarantined", failure)
        return self._write_analysis(done, known, linked, content)

    def _note_number(self, set_id: int) -> None:
        """Have it known that a set which is not kept under its own number has used it up."""
        if set_id > self._noted:
            self._noted = set_id
            self._writer.note_set(set_id)

    def _write_analysis(
        self, done: Analysis, known: KnownSet | None, linked: Linked, content: str | None
    ) -> Result:
        image_set = done.image_set
        set_id, version = self._writer.claim_set(image_set.set_id, known)
        for kind, rows in done.tables.items():
            self._writer.add_rows(kind, set_id, rows, linked.track_ids.get(kind))
        self._save_states(done, {**done.states, **linked.states})
        # What takes longest is written: the time below is that of the row but for the commit.
        now = time.time_ns()
        flags: dict[str, tuple[str, ...]] = {}
        outcomes = []
        for i, frame in enumerate(image_set.frames):
            quality = self._judge(frame, done.quality[i], image_set.key.segment)
            channel = frame.info.channel
            flags[channel] = tuple(dict.fromkeys((*flags.get(channel, ()), *quality.flags)))
            outcomes.append(_analysed(done, i, quality, set_id, now))
        self._save_focus(image_set)
        self._writer.finish_frames(outcomes)
        self._writer.add_set(
            set_id,
            version,
            SetRow(
                key=image_set.key,
                state="analysed",
                partial=image_set.partial,
                n_frames=len(image_set.frames),
                committed_ns=now,
                content_hash=content,
                n_objects=sum(len(rows) for rows in done.tables.values()),
                estimates=done.estimates,
                events=linked.events,
            ),
        )
        if self._save_label_images:
            save_labels(self._folder.labels, set_id, done.labels)
        self._tally.finish("analysed", len(image_set.frames))
        return Result(
            set_id=set_id,
            image_set=image_set,
            tables=done.tables,
            track_ids=linked.track_ids,
            label_images=LabelImages(done.labels),
            estimates=done.estimates,
            flags=flags,
        )

    def _write_lost(
        self, done: Done, known: KnownSet | None, state: str, failure: Failure
    ) -> Result:
        image_set = done.image_set
        if isinstance(done, Analysis):
            self._save_states(done, done.states)
        set_id, version = self._writer.claim_set(image_set.set_id, known)
        now = time.time_ns()
        self._writer.add_set(
            set_id,
            version,
            SetRow(
                key=image_set.key,
                state=state,
                partial=image_set.partial,
                n_frames=len(image_set.frames),
                committed_ns=now,
                reason=failure.reason,
            ),
        )
        self._writer.finish_frames(
            [
                FrameOutcome(
                    frame_id, state, set_id, now, reason=failure.reason, detail=failure.detail
                )
                for frame_id in image_set.frame_ids
            ]
        )
        self._tally.finish(state, len(image_set.frames), failure.reason)
        self._tally.commit([], {})
        if state == "quarantined":
            self._tally.warn(f"quarantined: t={image_set.key.t}: {failure.reason}")
        ids = list(image_set.frame_ids)
        self._log.write(state, failure.reason, set_id=set_id, frame_ids=ids, detail=failure.detail)
        return Result(set_id=set_id, image_set=image_set, failure=failure.reason)

    def _write_aside(self, done: Done, other: Aside) -> Result:
        """Answer for frames without touching the image set that the table has."""
        image_set, now, state, reason = done.image_set, time.time_ns(), other.state, other.reason
        if isinstance(done, Analysis):
            self._save_states(done, done.states)
        if state == RESTORED:
            return self._restore(done, reason or "")
        if isinstance(done, Analysis) and state == "analysed":
            outcomes = [
                _analysed(done, i, quality, other.set_id, now)
                for i, quality in enumerate(done.quality)
            ]
        else:
            outcomes = [
                FrameOutcome(i, state, None, now, reason=reason) for i in image_set.frame_ids
            ]
        self._writer.finish_frames(outcomes, alone=True)
        self._tally.finish(state, len(image_set.frames), reason or "")
        ids = list(image_set.frame_ids)
        self._log.write(state, reason, set_id=image_set.set_id, frame_ids=ids)
        said = reason or "the same pixels are in the table already"
        return Result(set_id=image_set.set_id, image_set=image_set, failure=said)

    def _restore(self, done: Done, reason: str) -> Result:
        """Leave frames that were tried again, and the image set they are of, as they were."""
        image_set = done.image_set
        failure = done.failure if isinstance(done, Analysis) else None
        detail = None if failure is None else failure.detail
        states = self._writer.restore_frames(image_set.frame_ids, reason, detail)
        for state in states:
            self._tally.finish(state)
        ids = list(image_set.frame_ids)
        self._log.write("quarantined", reason, set_id=image_set.set_id, frame_ids=ids)
        return Result(set_id=image_set.set_id, image_set=image_set, failure=reason)

    def _save_states(self, done: Done, states: Mapping[tuple[str, str], State]) -> None:
        """Keep what ordered steps remember now, whatever becomes of the set that made them."""
        image_set = done.image_set
        for (step, place), state in states.items():
            key = image_set.key
            self._writer.save_state(step, place, key.segment, image_set.set_id, state)

    def _save_focus(self, image_set: ImageSet) -> None:
        places = {
            (_focus_place(image_set.key.segment, frame), frame.info.channel): ()
            for frame in image_set.frames
        }
        scores = {place: self._focus.recent(*place) for place in places}
        self._writer.save_focus(scores, image_set.set_id)

    def _judge(self, frame: Frame, quality: Quality, segment: int) -> Quality:
        info = frame.info
        judged = self._focus.judge(_focus_place(segment, frame), info.channel, quality)
        for flag in judged.flags:
            kind = f"{flag.replace('_', ' ')}: {info.channel}, position {info.position}"
            self._tally.warn(f"{kind}, t={info.t}", kind)
        return judged


def _focus_place(segment: int, frame: Frame) -> str:
    # Only like is compared with like: the same camera settings, position, plane and channel.
    return f"{segment} {frame.info.z} {frame.info.position}"


def _content_hash(done: Done) -> str | None:
    if not isinstance(done, Analysis) or done.failure is not None:
        return None
    return set_hash([frame.info for frame in done.image_set.frames], done.content_hashes)


def _analysed(
    done: Analysis, i: int, quality: Quality, set_id: int | None, now: int
) -> FrameOutcome:
    return FrameOutcome(
        frame_id=done.image_set.frame_ids[i],
        state="analysed",
        set_id=set_id,
        committed_ns=now,
        flags=",".join(quality.flags),
        focus_score=_or_none(quality.focus_score),
        saturated_fraction=_or_none(quality.saturated_fraction),
        background_dn=_or_none(quality.background),
        snr=_or_none(quality.snr),
        segmented_ns=done.segmented_ns,
        content_hash=done.content_hashes[i],
    )


def _or_none(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StepError) else f"{type(error).__name__}: {error}"
