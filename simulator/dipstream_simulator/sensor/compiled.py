"""How this room's kernels are compiled by numba, and the two bit casts that numba lacks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic

from dipstream.compiled import cache_of, compiled, forget_stale_kernels

__all__ = ["bits_of", "compiled", "float_of"]


@compiled
def _any_kernel() -> None:
    """Be where the others are."""


forget_stale_kernels(Path(__file__).parent, cache_of(_any_kernel))


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
