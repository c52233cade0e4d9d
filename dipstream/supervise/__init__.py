"""Work that may crash, hang or eat the memory is done in child processes, under limits."""

from dipstream.supervise.breaker import Breaker
from dipstream.supervise.limits import Limits, allow, half_of_memory
from dipstream.supervise.pool import POOL, Pool
from dipstream.supervise.process import Child, ChildDiedError, ChildTask, RemoteError
from dipstream.supervise.supervisor import Report, Supervisor

__all__ = [
    "POOL",
    "Breaker",
    "Child",
    "ChildDiedError",
    "ChildTask",
    "Limits",
    "Pool",
    "RemoteError",
    "Report",
    "Supervisor",
    "allow",
    "half_of_memory",
]
