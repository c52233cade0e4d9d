"""Buffers that a thread keeps from frame to frame."""

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Workspace", "workspace"]

_PAGE_BYTES = 4096


class Workspace:
    """Named buffers. Each grows to the largest frame it has seen and stays.

    What is taken from a workspace must not leave the function that took it: the next frame writes
    over it.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[np.uint8]] = {}

    def take(self, name: str, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """Return an array of this shape and dtype; what it holds is not defined."""
        kind = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else shape
        wanted = max(math.prod(shape), 1) * kind.itemsize
        held = self._buffers.get(name)
        if held is None or held.nbytes < wanted:
            # An eighth more, so that frames which grow a little do not allocate each time.
            held = np.empty((wanted + wanted // 8) // _PAGE_BYTES * _PAGE_BYTES + _PAGE_BYTES, "u1")
            self._buffers[name] = held
        return held[: math.prod(shape) * kind.itemsize].view(kind).reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(buffer.nbytes for buffer in self._buffers.values())


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.workspace = Workspace()


_OF_THREAD = _OfThread()


def workspace() -> Workspace:
    """Return the workspace of the calling thread."""
    return _OF_THREAD.workspace
