"""One heap for all threads of a process that runs a line."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
# Threads that ask for memory at the same time. A heap of glibc's reserves 64 MB at once.
PROGRAM = """\
import sys, threading, pathlib
from dipstream.one_heap import use_one_heap
if sys.argv[1] == "one":
    use_one_heap()
import pyarrow as pa
kept, together = [], threading.Barrier(6)
def work():
    together.wait()
    kept.append([bytearray(5000) for _ in range(2000)])
    together.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
reserved = 0
for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
    first, last = (int(one, 16) for one in line.split()[0].split("-"))
    reserved += line.split()[1] == "---p" and 32 << 20 < last - first <= 64 << 20
print(reserved, pa.default_memory_pool().backend_name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps of glibc")
@pytest.mark.parametrize("heaps", ["one", "many"])
def test_threads_share_a_heap(heaps: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, heaps],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=REPOSITORY,
    )
    reserved, pool = done.stdout.split()
    if heaps == "one":
        assert (int(reserved), pool) == (0, "system")
    else:
        assert int(reserved) > 0, "else the test above says nothing"
