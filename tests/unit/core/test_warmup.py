"""After a warm-up nothing is left to compile."""

import gc
from pathlib import Path

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import dipstream as ds
from benchmarks.scene import make_scene
from dipstream import compiled, warmup


def compiled_versions() -> int:
    """How many versions of all kernels there are in this process."""
    return sum(
        len(one.signatures)
        for one in gc.get_objects()
        if isinstance(one, Dispatcher) and one.py_func.__module__.startswith("dipstream")
    )


@pytest.fixture(scope="module")
def warm() -> int:
    warmup.warm_up()
    return compiled_versions()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("preset", ["nuclei", "cells", "spots"])
def test_no_frame_waits_for_the_compiler(preset: str, dtype: str, warm: int) -> None:
    scene = make_scene(256, 20)
    ds.analyze(np.minimum(scene.raw, 255).astype(dtype), preset)
    assert compiled_versions() == warm > 50


def test_the_mark_goes_with_the_sources(tmp_path: Path) -> None:
    cache = tmp_path / "elsewhere"
    cache.mkdir()
    (tmp_path / "kernel.py").write_text("one")
    assert not compiled.is_warm(tmp_path, cache)
    compiled.mark_warm(tmp_path, cache)
    assert compiled.is_warm(tmp_path, cache)
    assert not compiled.is_warm(tmp_path, tmp_path), "each cache is warmed up by itself"
    (tmp_path / "kernel.py").write_text("two")
    assert not compiled.is_warm(tmp_path, cache)
    compiled.forget_stale_kernels(tmp_path, cache)
    (tmp_path / "kernel.py").write_text("one")
    compiled.forget_stale_kernels(tmp_path, cache)
    assert not compiled.is_warm(tmp_path, cache), "its kernels have gone in the meantime"


def test_a_cold_machine_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(warmup, "warm_up", lambda: 12.3)
    monkeypatch.setattr(warmup, "was_warmed_up", lambda: False)
    warmup.ensure_warm(said.append)
    assert "compiling" in said[0]
    assert "12 s" in said[1]
    said.clear()
    monkeypatch.setattr(warmup, "was_warmed_up", lambda: True)
    warmup.ensure_warm(said.append)
    assert said == []


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    compiled.mark_warm(tmp_path, tmp_path / "not there")
    compiled.mark_warm(tmp_path, None)
    assert not compiled.is_warm(tmp_path, None)
    assert not compiled.forget_stale_kernels(tmp_path, None)


def test_a_run_begins_where_nothing_can_be_compiled_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> float:
        raise OSError(28, "No space left on device")

    said: list[str] = []
    monkeypatch.setattr(warmup, "warm_up", fails)
    monkeypatch.setattr(warmup, "was_warmed_up", lambda: False)
    monkeypatch.setattr(warmup, "CACHE", None)
    warmup.ensure_warm(said.append)
    assert "NUMBA_CACHE_DIR" in said[1]
    assert "the first frames will wait: [Errno 28]" in said[2]
