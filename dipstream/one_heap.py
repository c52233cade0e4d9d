"""How a process that is there for one run deals with memory."""

import ctypes
import gc
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["use_one_heap", "without_collecting"]

_M_ARENA_MAX = -8  # malloc.h of glibc


def use_one_heap() -> None:
    """Take all memory from one heap; to be called before numpy is imported and a thread begins.

    By default glibc gives each thread a heap of its own, and Arrow brings another allocator. Each
    keeps the most that it ever needed, and with many threads it takes thousands of frames until
    each has seen its most. One heap is given out again at once. Elsewhere only Arrow changes.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    import pyarrow as pa  # noqa: PLC0415 - with numpy, which begins threads

    pa.set_memory_pool(pa.system_memory_pool())


@contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage while there is none: while a program is imported, or a run is opened.

    Looking again and again through all that grows there takes a fifth of the time. What is there
    at the end stays, and is not looked through later on either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
