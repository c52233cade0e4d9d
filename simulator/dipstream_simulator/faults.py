"""Faults on order: at which frame the camera drops, hangs, fails, changes shape or is blinded."""

import re
from dataclasses import dataclass

from dipstream.errors import SourceError

__all__ = ["Faults"]

_KINDS = ("drop", "hang", "raise", "shape", "saturate")
_FAULT = re.compile(
    r"(?P<kind>[a-z]+)@(?P<first>\d+)(?:-(?P<last>\d+))?(?::(?P<seconds>\d+(?:\.\d+)?)s?)?"
)
_HANG_S = 2.0


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: str
    first: int
    last: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Faults:
    """A script of what goes wrong, by device number.

    ``drop@10-14`` loses frames (the counter goes on), ``hang@20:1.5`` stalls for so many seconds,
    ``raise@30`` ends in an error, ``shape@40`` delivers half a frame, ``saturate@50`` blinds the
    camera.
    """

    script: tuple[_Fault, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read faults separated by commas.

        Raises
        ------
        SourceError
            If one cannot be read.
        """
        found = []
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            match = _FAULT.fullmatch(part.lower())
            if match is None or match["kind"] not in _KINDS:
                raise SourceError(
                    f"The simulated camera received the fault {part!r}; allowed are "
                    f"{', '.join(_KINDS)} with @ and the frame's number. "
                    "Write for instance faults=drop@10-14,hang@20:1.5,raise@30"
                )
            first = int(match["first"])
            last = int(match["last"] or first)
            if last < first or (match["seconds"] and match["kind"] != "hang"):
                raise SourceError(
                    f"The simulated camera received the fault {part!r}; allowed are rising "
                    "numbers, and seconds for hang alone. "
                    "Write for instance faults=drop@10-14,hang@20:1.5"
                )
            found.append(_Fault(match["kind"], first, last, float(match["seconds"] or _HANG_S)))
        return cls(tuple(found))

    def at(self, kind: str, number: int) -> bool:
        """Whether this fault is due at this frame."""
        return any(
            fault.kind == kind and fault.first <= number <= fault.last for fault in self.script
        )

    def hang_s(self, number: int) -> float:
        """How long the camera stalls before this frame, in s."""
        return sum(
            fault.seconds
            for fault in self.script
            if fault.kind == "hang" and fault.first <= number <= fault.last
        )
