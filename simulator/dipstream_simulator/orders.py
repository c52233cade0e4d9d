"""Orders from outside: useq events become shots, and are remembered for the truth."""

import threading
from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING

from dipstream.errors import SourceError
from dipstream_simulator.acquisition import ExposureChannel, Sequence, Shot
from dipstream_simulator.limits import require_between

if TYPE_CHECKING:
    from useq import MDAEvent

__all__ = ["Orders"]

_REMEMBERED = 200_000


class Orders:
    """Turns events into shots, one by one.

    What an event leaves out (channel, exposure, a stage axis) stays as it was before. Time points
    are those of its index, or else one for each event.

    Parameters
    ----------
    events
        The events; the iterable may block.
    exposures
        Name and emission channels of each exposure channel.
    sequence
        Where everything stands before the first event.
    """

    def __init__(
        self,
        events: Iterable["MDAEvent"],
        exposures: tuple[tuple[str, ExposureChannel], ...],
        sequence: Sequence,
    ) -> None:
        self._events = events
        self._names = [name for name, _ in exposures]
        self._before = sequence.shot(0)
        self._dose_ms: dict[tuple[str, int], float] = {}
        self._taken: dict[int, Shot] = {}
        self._lock = threading.Lock()

    def shots(self) -> Iterator[Shot]:
        """Yield a shot for each event, as they come.

        Raises
        ------
        SourceError
            If an event asks for a channel or an exposure that there is not.
        """
        for number, event in enumerate(self._events):
            shot = self._shot(number, event)
            with self._lock:
                self._taken[number] = shot
                self._taken.pop(number - _REMEMBERED, None)
            self._before = shot
            yield shot

    def shot(self, number: int) -> Shot:
        """Return the shot with this device number; from any thread.

        Raises
        ------
        SourceError
            If there was none, or it is too long ago.
        """
        with self._lock:
            known = self._taken.get(number)
        if known is None:
            raise SourceError(
                f"The simulated camera received seq={number}; allowed is a frame that an event has "
                f"ordered, one of the last {_REMEMBERED}. Ask for the truth of frames that came"
            )
        return known

    def _shot(self, number: int, event: "MDAEvent") -> Shot:
        before = self._before
        given = zip((event.x_pos, event.y_pos, event.z_pos), before.stage_um, strict=True)
        x_um, y_um, z_um = (old if new is None else float(new) for new, old in given)
        for axis, value in (("x_pos", x_um), ("y_pos", y_um), ("z_pos", z_um)):
            require_between(axis, value, -1e6, 1e6, example=0)
        channel = before.channel if event.channel is None else self._channel(event.channel.config)
        exposure_ms = before.exposure_ms if event.exposure is None else float(event.exposure)
        require_between("exposure_ms", exposure_ms, 0.0, 1e6, example=10)
        index = {str(axis): int(value) for axis, value in event.index.items()}
        position = event.pos_name or str(index.get("p", 0))
        require_between("t", index.get("t", 0), 0, 10**7, example=0)
        place = (position, channel)
        dose_ms = self._dose_ms.get(place, 0.0)
        self._dose_ms[place] = dose_ms + exposure_ms
        return Shot(
            number=number,
            t=index.get("t", number),
            channel=channel,
            position=position,
            stage_um=(x_um, y_um, z_um),
            exposure_ms=exposure_ms,
            dose_ms=dose_ms,
            index=MappingProxyType(index),
        )

    def _channel(self, name: str) -> int:
        if name in self._names:
            return self._names.index(name)
        raise SourceError(
            f"The simulated camera received an event for the channel {name!r}; allowed are "
            f"{', '.join(self._names)}. Name another one in the event, or add it with channels="
        )
