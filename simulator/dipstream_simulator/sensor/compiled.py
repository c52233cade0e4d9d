"""How this room's kernels are compiled by numba, and the two bit casts that numba lacks."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["bits_of", "compiled", "float_of", "forget_stale_kernels"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_ROOM = Path(__file__).parent
_CACHE = _ROOM / "__pycache__"


def forget_stale_kernels(room: Path, cache: Path) -> bool:
    """Delete compiled kernels that an older source made; return whether there were any to doubt.

    numba's cache on disk notices a change in a kernel's own file alone: after an update that
    changes a file which it calls, the old kernel would run on without a word.

    Parameters
    ----------
    room, cache
        The folder of the sources, and that of the compiled kernels.
    """
    digest = hashlib.sha256()
    for source in sorted(room.glob("*.py")):
        digest.update(source.read_bytes())
    stamp = cache / "kernels.sha256"
    try:
        if stamp.read_text() == digest.hexdigest():
            return False
    except OSError:  # the first time
        pass
    # A folder that cannot be written is not where numba keeps its cache either.
    with suppress(OSError):
        for index in cache.glob("*.nb[ic]"):
            index.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
    return True


forget_stale_kernels(_ROOM, _CACHE)


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel when it is first called; it runs without the interpreter's lock.

    Products and sums may be contracted, but nothing is reordered, so that a frame does not depend
    on how many threads made it.
    """
    jit = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
    return cast("Kernel", jit(kernel))


def _cast(source: types.Type, target: types.Type) -> Callable[..., Any]:
    def typing(_context: Any, value: Any) -> Any:
        del value

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(source), generate

    return cast("Callable[..., Any]", intrinsic(typing))


bits_of: Callable[[np.float32], np.int32] = _cast(types.float32, types.int32)
"""The 32 bits of a float32, as an int32; in compiled code only."""

float_of: Callable[[np.int32], np.float32] = _cast(types.int32, types.float32)
"""The float32 that has these 32 bits; in compiled code only."""
