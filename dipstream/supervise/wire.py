"""How a parent and its child talk: short records in pipes; JSON and arrays in shared memory.

Nothing is pickled. What comes from a child is checked before it is used: it may have been taken
over by the file it was reading.
"""

import json
import math
import mmap
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["RECORD", "Array", "Message", "WireError", "unpack"]

Array: TypeAlias = npt.NDArray[Any]

RECORD = struct.Struct("<4sQQ")
"""Kind, length of the JSON text or bytes wanted, size of the shared memory."""

_ALIGN = 64
_DTYPE = re.compile(r"[<>|=]?(b1|[uif][1248]|c8|c16)")
_MAX_AXES = 8


class WireError(Exception):
    """A message that makes no sense."""


class Message:
    """A header and arrays, ready to be written."""

    def __init__(self, header: Mapping[str, Any], arrays: Sequence[Array] = ()) -> None:
        self._arrays = [np.ascontiguousarray(array) for array in arrays]
        about, at = [], 0
        for given, array in zip(arrays, self._arrays, strict=True):
            if not _DTYPE.fullmatch(array.dtype.str):
                raise WireError(f"an array of {array.dtype} cannot be sent; numbers only")
            about.append([array.dtype.str, list(given.shape), at])
            at += -(-array.nbytes // _ALIGN) * _ALIGN
        self.text = json.dumps({"header": header, "arrays": about}).encode()
        self._start = -(-len(self.text) // _ALIGN) * _ALIGN
        self.nbytes = self._start + at

    def write(self, memory: mmap.mmap) -> None:
        """Write it all into shared memory, which is large enough."""
        memory[: len(self.text)] = self.text
        at = self._start
        for array in self._arrays:
            if array.nbytes:
                target = np.frombuffer(memory, np.uint8, array.nbytes, at)
                target[:] = array.reshape(-1).view(np.uint8)
            at += -(-array.nbytes // _ALIGN) * _ALIGN


def unpack(memory: mmap.mmap, length: int, size: int) -> tuple[dict[str, Any], list[Array]]:
    """Return header and arrays (copies); raises `WireError` for anything that is not so."""
    if length > size:
        raise WireError(f"a header of {length} bytes in {size}")
    try:
        whole = json.loads(memory[:length])
        header, about = whole["header"], whole["arrays"]
        if not isinstance(header, dict):
            raise WireError("the header is no mapping")
        start = -(-length // _ALIGN) * _ALIGN
        return header, [_array(memory, start, size, one) for one in about]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise WireError(f"{type(error).__name__}: {error}") from error


def _array(memory: mmap.mmap, start: int, size: int, about: Any) -> Array:
    name, shape, at = about
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise WireError(f"an array of type {name!r}")
    sides = [int(side) for side in shape]
    if len(sides) > _MAX_AXES or min(sides, default=0) < 0 or int(at) < 0:
        raise WireError(f"an array of shape {sides}")
    dtype = np.dtype(name)
    count = math.prod(sides)
    if start + int(at) + count * dtype.itemsize > size:
        raise WireError("an array beyond the end of the memory")
    if not count:
        return np.empty(sides, dtype)
    return np.frombuffer(memory, dtype, count, start + int(at)).reshape(sides).copy()
