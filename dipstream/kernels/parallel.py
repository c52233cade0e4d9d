"""Several threads inside one frame: for latency, where a frame must be through sooner."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

__all__ = ["share", "threads_inside_a_frame"]


class _OfThread(threading.local):
    threads = 1


_OF_THREAD = _OfThread()


@contextmanager
def threads_inside_a_frame(threads: int) -> Iterator[None]:
    """Let the kernels that the calling thread starts use this many threads."""
    before, _OF_THREAD.threads = _OF_THREAD.threads, threads
    try:
        yield
    finally:
        _OF_THREAD.threads = before


def share(n: int, work: Callable[[int, int], None], least: int = 1) -> None:
    """Call ``work(first, last)`` on parts of range(n) that cover it, side by side where allowed.

    Parameters
    ----------
    n
        How many rows, objects, … there are.
    work
        Must not depend on how the range is cut.
    least
        No part is smaller than this.
    """
    parts = max(1, min(_OF_THREAD.threads, n // max(least, 1)))
    if parts == 1:
        work(0, n)
        return
    edges = [n * i // parts for i in range(parts + 1)]
    others: list[Future[None]] = []
    try:
        others += (_pool().submit(work, a, b) for a, b in pairwise(edges[1:]))
        work(edges[0], edges[1])
    finally:
        # Not one may go on writing to the caller's buffers while the caller takes its next frame.
        wait(others)
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    # Never more than wait for one frame each; threads are made as they are needed.
    return ThreadPoolExecutor(max_workers=64, thread_name_prefix="inside-a-frame")
