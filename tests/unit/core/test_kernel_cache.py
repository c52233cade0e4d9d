"""Kernels that an older source has compiled never run again."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dipstream import kernels
from dipstream.compiled import cache_of, forget_stale_kernels
from dipstream.kernels import near_pairs


def test_kernels_go_with_the_sources_that_made_them(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    (tmp_path / "draws.py").write_text("one")
    (tmp_path / "rows.py").write_text("calls draws")
    kernel = cache / "rows.expose-1.py311.nbi"
    kernel.write_bytes(b"compiled")
    assert forget_stale_kernels(tmp_path, cache), "nobody knows what made it"
    assert not kernel.exists()
    kernel.write_bytes(b"compiled")
    assert not forget_stale_kernels(tmp_path, cache)
    assert kernel.exists()
    (tmp_path / "draws.py").write_text("two")
    assert forget_stale_kernels(tmp_path, cache)
    assert not kernel.exists()
    assert not forget_stale_kernels(tmp_path, cache)


KERNELS = """
import sys
import numba.core.caching as caching
how = sys.argv[1]
if how == "nowhere":
    caching.CacheImpl._locator_classes = []
    caching.CompileResultCacheImpl._locator_classes = []
if how == "full":
    def full(self, name, data):
        raise OSError(28, "No space left on device")
    caching.IndexDataCacheFile._save_data = full
sys.path.insert(0, sys.argv[2])
import some_kernel
from dipstream.compiled import cache_of
print(some_kernel.twice(21), cache_of(some_kernel.twice), *some_kernel.twice.stats.cache_hits)
"""


def twice(folder: Path, how: str = "") -> list[str]:
    """Run a kernel in a process of its own; return its answer, its cache and what was loaded."""
    (folder / "some_kernel.py").write_text(
        "from dipstream.compiled import compiled\n@compiled\ndef twice(x):\n    return 2 * x\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", KERNELS, how, str(folder)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_kernels_are_kept_where_numba_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    answer, cache = twice(tmp_path)
    assert answer == "42"
    assert Path(cache).parent == tmp_path / "elsewhere"
    assert len([*Path(cache).glob("*.nbi"), *Path(cache).glob("*.nbc")]) == 2
    assert len(twice(tmp_path)) > 2, "it was loaded"
    for torn in ("nbc", "nbi"):
        next(Path(cache).glob(f"*.{torn}")).write_bytes(b"")
        assert twice(tmp_path) == [answer, cache], "it was compiled again"
        assert len(twice(tmp_path)) > 2, "and kept"


TWO_AT_ONCE = """
import sys
import numpy as np
from dipstream.compiled import cache_of
sys.path.insert(0, sys.argv[1])
from some_kernel import twice

cache = cache_of(twice)
twice(np.uint16([1]))
(index,), (data,) = cache.glob("*.nbi"), cache.glob("*.nbc")
of_the_first = index.read_bytes()
twice(np.uint8([1]))
(other,) = set(cache.glob("*.nbc")) - {data}
other.replace(data)
index.write_bytes(of_the_first)
"""


def test_a_version_that_another_process_has_put_in_its_place_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    twice(tmp_path)
    shutil.rmtree(tmp_path / "elsewhere")
    subprocess.run([sys.executable, "-c", TWO_AT_ONCE, str(tmp_path)], check=True, timeout=120)
    asked = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np; "
    asked += "from some_kernel import twice; print(twice(np.uint16([1000])))"
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, check=False, timeout=120
        )
        assert done.stdout.split() == [b"[2000]"], done.stderr


@pytest.mark.parametrize("how", ["nowhere", "full"])
def test_kernels_that_cannot_be_kept_run(how: str, tmp_path: Path) -> None:
    for _ in range(2):
        answer, cache = twice(tmp_path, how)
        assert answer == "42"
        assert (cache == "None") == (how == "nowhere")


def test_all_kernels_are_in_one_place() -> None:
    assert kernels.CACHE is not None
    assert cache_of(near_pairs._cell) == kernels.CACHE
    assert (kernels.CACHE / "kernels.sha256").is_file()
