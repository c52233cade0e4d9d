"""Limits of a child on Windows: a job object. Written after the documentation, not run by CI."""

import ctypes
import sys
from typing import Any

from dipstream.supervise.limits import Limits

__all__ = ["Job"]

_EXTENDED_LIMITS = 9
_PROCESS_MEMORY, _KILL_ON_CLOSE, _DIE_ON_UNHANDLED = 0x100, 0x2000, 0x400


class _Basic(ctypes.Structure):
    _fields_ = (
        ("per_process_time", ctypes.c_int64),
        ("per_job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
    )


class _Extended(ctypes.Structure):
    _fields_ = (
        ("basic", _Basic),
        ("io", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


class Job:
    """A job object that holds one child: limits its memory, and kills it when the parent ends.

    Parameters
    ----------
    handle
        The child's process handle (`subprocess.Popen._handle`).
    """

    def __init__(self, handle: int, limits: Limits) -> None:
        self._handle: int | None = None
        self._kernel: Any = None
        if sys.platform == "win32":
            self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            self._kernel.CreateJobObjectW.restype = ctypes.c_void_p
            self._handle = self._kernel.CreateJobObjectW(None, None)
            self._hold(handle, limits)

    def _hold(self, handle: int, limits: Limits) -> None:
        wanted = _Extended()
        wanted.basic.flags = _KILL_ON_CLOSE | _DIE_ON_UNHANDLED
        if limits.memory is not None:
            wanted.basic.flags |= _PROCESS_MEMORY
            wanted.process_memory = limits.memory
        job = ctypes.c_void_p(self._handle)
        size, at = ctypes.sizeof(wanted), ctypes.byref(wanted)
        if not (
            self._kernel.SetInformationJobObject(job, _EXTENDED_LIMITS, at, size)
            and self._kernel.AssignProcessToJobObject(job, ctypes.c_void_p(handle))
        ):
            raise OSError("Windows refused to put a child process under limits")

    def close(self) -> None:
        """Let go of the job, which ends the child if it still runs; may be called twice."""
        if self._handle is not None:
            self._kernel.CloseHandle(ctypes.c_void_p(self._handle))
            self._handle = None
