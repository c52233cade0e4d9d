"""From frames to image sets, by the acquisition's index and never by the order of arrival."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from dipstream.config import AssembleConfig
from dipstream.frame import Frame, FrameInfo, ImageSet, SetKey

__all__ = ["REMEMBERED", "Assembled", "Assembler", "Verdict"]

Verdict: TypeAlias = Literal["taken", "late", "unexpected"]
REMEMBERED = 100
"""Closed sets that the assembler knows of; the table knows about all of them."""


@dataclass(slots=True)
class _OpenSet:
    opened: float
    version: int
    frames: dict[tuple[str, int], tuple[int, Frame]] = field(default_factory=dict)
    missing: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """What became of a frame, the image sets that it closed and the frame whose place it took."""

    verdict: Verdict
    closed: tuple[ImageSet, ...] = ()
    superseded: tuple[int, ...] = ()


class Assembler:
    """Collects frames until their image set is complete; safe to use from several threads.

    Parameters
    ----------
    config
        The part `assemble` of the pipeline.
    channels
        The channels of a complete set, in order.
    grouped
        The source delivers sets one after the other: the first frame of another set closes the
        one before, and no clock is needed.
    first_set_id
        Number of the first image set.
    clock
        Monotonic seconds.
    closed
        The content versions of the sets that an earlier session of the run closed last, the newest
        last: a frame of theirs is late as it would have been then.
    """

    def __init__(
        self,
        config: AssembleConfig,
        channels: tuple[str, ...],
        *,
        grouped: bool,
        first_set_id: int,
        clock: Callable[[], float],
        closed: Mapping[SetKey, int] = MappingProxyType({}),
    ) -> None:
        self._config = config
        self._channels = channels
        self._grouped = grouped
        self._next_set_id = first_set_id
        self._clock = clock
        self._open: dict[SetKey, _OpenSet] = {}
        # Only the newest closed sets are remembered: a run may have millions.
        self._closed = OrderedDict(closed)
        # Counted along: the queue asks for it at every set.
        self._open_bytes = 0
        self._lock = threading.Lock()

    @property
    def open_bytes(self) -> int:
        """Bytes held in sets that are not complete."""
        return self._open_bytes

    def add(self, segment: int, frame_id: int, frame: Frame) -> Assembled:
        """Take a frame; return what became of it and the sets that are closed now."""
        if frame.info.channel not in self._channels:
            return Assembled("unexpected")
        with self._lock:
            key = self._key(segment, frame.info)
            if self._is_late(key, frame.info.version):
                return Assembled("late")
            closed = self._close_others(key)
            one = self._open_set(key, frame.info.version)
            place = (frame.info.channel, frame.info.z)
            earlier = one.frames.pop(place, None)
            one.missing.discard(place)
            one.frames[place] = (frame_id, frame)
            self._open_bytes += frame.nbytes
            superseded: tuple[int, ...] = ()
            if earlier is not None:
                superseded = (earlier[0],)
                self._open_bytes -= earlier[1].nbytes
            return Assembled("taken", (*closed, *self._close_if_complete(key)), superseded)

    def skip(self, segment: int, info: FrameInfo) -> tuple[ImageSet, ...]:
        """Note a frame that will not come, because it could not be read."""
        with self._lock:
            key = self._key(segment, info)
            if key not in self._open and self._is_late(key, info.version):
                return ()
            closed = self._close_others(key)
            place = (info.channel, info.z)
            if info.channel in self._channels and not self._has(key, place):
                self._open_set(key, info.version).missing.add(place)
            return (*closed, *self._close_if_complete(key))

    def expired(self) -> tuple[ImageSet, ...]:
        """Close the sets that have waited long enough."""
        if self._grouped:
            return ()
        with self._lock:
            before = self._clock() - self._config.wait_s
            keys = [key for key, one in self._open.items() if one.opened <= before]
            return tuple(s for key in keys for s in self._close(key))

    def flush(self) -> tuple[ImageSet, ...]:
        """Close every set, in order, because no more frames come."""
        with self._lock:
            return tuple(s for key in list(self._open) for s in self._close(key))

    def _key(self, segment: int, info: FrameInfo) -> SetKey:
        z = info.z if self._config.z == "each" else None
        return SetKey(segment, info.position, info.t, z)

    def _has(self, key: SetKey, place: tuple[str, int]) -> bool:
        return key in self._open and place in self._open[key].frames

    def _is_late(self, key: SetKey, version: int) -> bool:
        return key not in self._open and self._closed.get(key, 0) >= version

    def _open_set(self, key: SetKey, version: int) -> _OpenSet:
        one = self._open.get(key)
        if one is None:
            one = self._open[key] = _OpenSet(self._clock(), version)
        one.version = max(one.version, version)
        return one

    def _close_others(self, key: SetKey) -> tuple[ImageSet, ...]:
        if not self._grouped:
            return ()
        others = [other for other in self._open if other != key]
        return tuple(s for other in others for s in self._close(other))

    def _close_if_complete(self, key: SetKey) -> tuple[ImageSet, ...]:
        one = self._open.get(key)
        if one is None:
            return ()
        if self._config.z == "each":
            wanted = len(self._channels)
        elif self._config.planes is not None:
            wanted = len(self._channels) * self._config.planes
        else:
            return ()
        return self._close(key) if len(one.frames) + len(one.missing) >= wanted else ()

    def _close(self, key: SetKey) -> tuple[ImageSet, ...]:
        one = self._open.pop(key)
        self._open_bytes -= sum(frame.nbytes for _, frame in one.frames.values())
        self._closed[key] = one.version
        self._closed.move_to_end(key)
        while len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)
        if not one.frames:
            return ()
        order = sorted(one.frames, key=lambda at: (self._channels.index(at[0]), at[1]))
        frame_ids, frames = zip(*[one.frames[at] for at in order], strict=True)
        image_set = ImageSet(
            set_id=self._next_set_id,
            key=key,
            frames=frames,
            frame_ids=frame_ids,
            channels=self._channels,
            partial=self._is_partial(one),
            version=one.version,
        )
        self._next_set_id += 1
        return (image_set,)

    def _is_partial(self, one: _OpenSet) -> bool:
        planes = self._config.planes if self._config.z != "each" else 1
        present = dict.fromkeys(self._channels, 0)
        for channel, _ in one.frames:
            present[channel] += 1
        wanted = planes or max(present.values())
        return bool(one.missing) or any(count < wanted for count in present.values())
