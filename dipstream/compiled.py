"""How kernels are compiled by numba, and kept on disk until one of their sources changes."""

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

from numba import __version__ as numba_version
from numba import njit
from numba.core.codegen import get_host_cpu_features
from numba.core.sigutils import normalize_signature

__all__ = ["cache_of", "compiled", "forget_stale_kernels", "is_warm", "mark_warm"]

_ONE_AT_A_TIME = Lock()
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def cache_of(kernel: Callable[..., Any]) -> Path | None:
    """Return the folder that numba keeps a kernel in, which is its choice; None for none.

    It is beside the source, if that can be written, and else in the user's own cache, unless
    ``NUMBA_CACHE_DIR`` says otherwise.
    """
    path: str | None = cast("Any", kernel).stats.cache_path
    return None if path is None else Path(path)


def forget_stale_kernels(room: Path, cache: Path | None) -> bool:
    """Delete compiled kernels that an older source made; return whether there were any to doubt.

    numba's cache on disk notices a change in a kernel's own file alone: after an update that
    changes a file which it calls, the old kernel would run on without a word.

    Parameters
    ----------
    room, cache
        The folder of the sources, and that of the compiled kernels (see `cache_of`).
    """
    if cache is None:
        return False
    digest = _digest(room)
    stamp = cache / "kernels.sha256"
    try:
        if stamp.read_text() == digest:
            return False
    except OSError:  # the first time
        pass
    with suppress(OSError):
        for pattern in ("*.nb[ic]", "warm.*"):
            for made in cache.glob(pattern):
                made.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        stamp.write_text(digest)
    return True


def is_warm(room: Path, cache: Path | None) -> bool:
    """Return whether the kernels of a folder were all compiled before, for this processor."""
    try:
        return cache is not None and _warm_mark(cache).read_text() == _digest(room)
    except OSError:
        return False


def mark_warm(room: Path, cache: Path | None) -> None:
    """Remember that the kernels of a folder are compiled, where they are kept."""
    if cache is not None:
        with suppress(OSError):
            _warm_mark(cache).write_text(_digest(room))


def _warm_mark(cache: Path) -> Path:
    # A home may be shared by machines, each of which needs kernels of its own.
    features = cast("Callable[[], str]", get_host_cpu_features)()
    machine = hashlib.sha256(features.encode()).hexdigest()[:8]
    tag = sys.implementation.cache_tag
    return cache / f"warm.{tag}.numba-{numba_version}.{machine}"


def _digest(room: Path) -> str:
    digest = hashlib.sha256()
    for source in sorted((*room.glob("*.py"), Path(__file__))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel when it is first called; it runs without the interpreter's lock.

    Products and sums may be contracted, but nothing is reordered: a result depends neither on how
    many threads made it, nor on where a row begins in memory.
    """
    how: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
    try:
        jit = njit(cache=True, **how)(kernel)
    except RuntimeError:  # no folder can be written: each process compiles for itself
        return cast("Kernel", njit(**how)(kernel))
    _forgive(cast("Any", jit)._cache)  # noqa: SLF001 - numba has no other way to it
    return cast("Kernel", jit)


def _forgive(cache: Any) -> None:
    """Let a kernel that cannot be kept (a full disk) or read again be compiled.

    A file may be torn; and two processes that keep two versions of a kernel at once may give both
    the same file, so that one finds the other's.
    """
    load, save = cache.load_overload, cache.save_overload

    def load_or_compile(signature: Any, target: Any) -> Any:
        _leave_linear_algebra_alone()
        try:
            found = load(signature, target)
            wanted, _ = cast("Callable[..., Any]", normalize_signature)(signature)
            if found is None or tuple(found.signature.args) == tuple(wanted):
                return found
        except Exception:  # noqa: BLE001, S110 - bytes that are not a pickle may raise anything
            pass
        with suppress(OSError):
            cache.flush()
        return None

    def save_if_possible(signature: Any, result: Any) -> None:
        with suppress(OSError):
            save(signature, result)

    cache.load_overload, cache.save_overload = load_or_compile, save_if_possible


def _leave_linear_algebra_alone() -> None:
    """Keep numba from importing all of scipy.linalg, which takes as long as loading all kernels.

    Its module of array functions, which every process that loads a kernel imports, asks that way
    whether there is a BLAS. There is one, since scipy is required; a kernel that multiplies
    matrices still imports it when it is compiled.
    """
    # It only saves time: another version of numba may do without.
    with _ONE_AT_A_TIME, suppress(ImportError, AttributeError):
        if "numba.np.arraymath" in sys.modules:
            return
        linalg: Any = import_module("numba.np.linalg")
        ask = linalg.ensure_blas
        linalg.ensure_blas = lambda: None
        try:
            import_module("numba.np.arraymath")
        finally:
            linalg.ensure_blas = ask
