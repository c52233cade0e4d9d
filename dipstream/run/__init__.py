"""The loop of a run: threads, order of commits, accounting."""

from dipstream.run.engine import Engine
from dipstream.run.result import Accounting, Result, Status

__all__ = ["Accounting", "Engine", "Result", "Status"]
