"""Ctrl-C, counted."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["interrupts"]


@contextmanager
def interrupts() -> Iterator[Callable[[], int]]:
    """Count Ctrl-C and the polite kill instead of dying of them; the third one is obeyed."""
    count = 0
    before: dict[int, Any] = {}

    def count_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        nonlocal count
        count += 1
        if count == 2:  # whatever happens now, a third one of any kind ends the process
            for kind in before:
                signal.signal(kind, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: count
        return
    names = ["SIGINT", "SIGTERM", "SIGBREAK" if sys.platform == "win32" else "SIGHUP"]
    for name in names:
        number = getattr(signal, name)
        if name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
            continue  # `nohup dipstream watch` outlives its terminal
        before[number] = signal.signal(number, count_up)
    try:
        yield lambda: count
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
