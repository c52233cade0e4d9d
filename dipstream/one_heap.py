"""How a process that is there for one run asks its system for memory."""

import ctypes
import platform
import sys

__all__ = ["use_one_heap"]

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
