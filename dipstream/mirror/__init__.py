"""Copies of a run's table elsewhere: PostgreSQL, or Parquet files. SQLite stays primary."""

from dipstream.mirror.address import check_address, is_database, resolved
from dipstream.mirror.compare import Comparison, Difference, catch_up, compare
from dipstream.mirror.manifest import parts_of
from dipstream.mirror.mirrors import Mirrors, check_mirrors, mirrors_for, open_target
from dipstream.mirror.progress import Progress, Target
from dipstream.mirror.shipper import MirrorStatus
from dipstream.mirror.tail import RunTail

__all__ = [
    "Comparison",
    "Difference",
    "MirrorStatus",
    "Mirrors",
    "Progress",
    "RunTail",
    "Target",
    "catch_up",
    "check_address",
    "check_mirrors",
    "compare",
    "is_database",
    "mirrors_for",
    "open_target",
    "parts_of",
    "resolved",
]
