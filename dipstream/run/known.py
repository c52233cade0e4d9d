"""What becomes of an image set whose key the table has already: commits are idempotent."""

from collections.abc import Collection
from dataclasses import dataclass

from dipstream.run.messages import LATE, RESTORED, Done, Dropped
from dipstream.store import KnownSet

__all__ = ["Aside", "aside"]

_PART = "only a part of its image set came again: what was measured of it stays"


@dataclass(frozen=True, slots=True)
class Aside:
    """The image set in the table stays as it is; the frames of the new one end like this.

    Attributes
    ----------
    state
        Of each frame; `RESTORED` if each goes back to the one it had before it was tried again.
    reason
        Why; of frames that are restored, for those that were not analysed.
    set_id
        The image set whose pixels theirs are, or None.
    """

    state: str
    reason: str | None
    set_id: int | None = None


def aside(
    done: Done, known: KnownSet | None, content_hash: str | None, retried: Collection[int]
) -> Aside | None:
    """Return how the frames end if the table keeps what it has; None if the set supersedes it.

    - Frames that are tried again after a quarantine supersede a set without result unless they
      are dropped; one that was analysed only if they make up all of it and are analysed too.
    - A set of a version that is there already came too late, whatever it shows: the assembler has
      forgotten that it closed that set long ago, the table has not.
    - A file that was rewritten with the same pixels changes nothing: its frames count as analysed,
      because the rows that they would give are in the table, under the set they belong to.
    - Other pixels of a rewritten file supersede what the file showed before even if they cannot be
      measured: numbers of pixels that are no longer anywhere would only mislead.

    Parameters
    ----------
    done
        The new set.
    known
        The one in the table, if there is one.
    content_hash
        Of the new set; None if it was not analysed.
    retried
        The numbers of all frames that are tried again.
    """
    image_set = done.image_set
    again = [frame_id in retried for frame_id in image_set.frame_ids]
    if all(again) if known is None else any(again):
        return _restored(done, known)
    if known is None:
        return None
    if image_set.version <= known.version:
        return Aside("late", LATE)
    if isinstance(done, Dropped):
        return Aside("dropped", done.reason)
    if content_hash is not None and (known.state, known.content_hash) == ("analysed", content_hash):
        return Aside("analysed", None, known.set_id)
    return None


def _restored(done: Done, known: KnownSet | None) -> Aside | None:
    """Return why frames that are tried again leave everything as it is; None if they do not."""
    if isinstance(done, Dropped):
        return Aside(RESTORED, done.reason)  # still in the quarantine, for yet another try
    if known is None or known.state != "analysed":
        return None
    if done.failure is not None:
        return Aside(RESTORED, done.failure.reason)
    return Aside(RESTORED, _PART) if len(done.image_set.frames) < known.n_frames else None
