"""Copies of a run's table elsewhere: PostgreSQL, or Parquet files. SQLite stays primary."""

from typing import TYPE_CHECKING

from dipstream.mirror.address import check_address, is_database, resolved
from dipstream.mirror.mirrors import Mirrors, check_mirrors, mirrors_for, open_target
from dipstream.mirror.status import MirrorStatus
from dipstream.on_use import on_use

if TYPE_CHECKING:
    from dipstream.mirror.comparing import Comparison, Difference, catch_up, compare
    from dipstream.mirror.manifest import parts_of
    from dipstream.mirror.progress import Progress, Target
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

__getattr__ = on_use(
    __name__,
    {
        **dict.fromkeys(
            ("Comparison", "Difference", "catch_up", "compare"), "dipstream.mirror.comparing"
        ),
        "parts_of": "dipstream.mirror.manifest",
        **dict.fromkeys(("Progress", "Target"), "dipstream.mirror.progress"),
        "RunTail": "dipstream.mirror.tail",
    },
)
