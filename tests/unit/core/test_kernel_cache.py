"""Kernels that an older source has compiled never run again."""

from pathlib import Path

from dipstream.compiled import forget_stale_kernels


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
