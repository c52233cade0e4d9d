"""Vectors of LLVM in compiled kernels: what their instructions are built from.

A compiler vectorises a loop or does not; the few inner loops on which the speed of a frame hangs
are therefore written as vectors (`lanes`, `pixel_lanes`). LLVM cuts them to what a machine has: one
register of AVX-512, two of AVX, four of SSE or NEON. Arrays are given with the index of an element;
nothing is checked, so the caller keeps the whole reach inside.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

__all__ = [
    "COUNT_BITS",
    "FIRST_BIT",
    "INT",
    "LANE",
    "LANES",
    "VectorArray",
    "all_lanes",
    "arrays_of",
    "call",
    "cgutils",
    "count_bits",
    "first_bit",
    "ir",
    "types",
    "written_out",
]

LANES = 16
"""Numbers of a vector."""

cgutils: Any = _cgutils
INT = ir.IntType(64)
LANE = ir.IntType(32)


def written_out(function: Any) -> Any:
    """Let compiled kernels call what `function` says how to build."""
    return intrinsic(function)


class VectorArray:
    """Elements of a numba array, from inside an intrinsic."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        self._builder = builder
        self._data = context.make_array(kind)(context, builder, value).data
        self._bytes = kind.dtype.bitwidth // 8

    def load(self, at: Any, kind: Any = None) -> Any:
        """Load one element, or a vector that begins there."""
        where = self._builder.gep(self._data, [at])
        if kind is not None:
            where = self._builder.bitcast(where, kind.as_pointer())
        return self._builder.load(where, align=self._bytes)

    def store(self, value: Any, at: Any) -> None:
        """Store a vector that begins there."""
        where = self._builder.gep(self._data, [at])
        where = self._builder.bitcast(where, value.type.as_pointer())
        self._builder.store(value, where, align=self._bytes)


def arrays_of(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    """Return the arguments: arrays as `VectorArray`, integers as 64 bits, the rest as it is."""
    return [
        VectorArray(context, builder, kind, value)
        if isinstance(kind, types.Array)
        else context.cast(builder, value, kind, types.int64)
        if isinstance(kind, types.Integer)
        else value
        for kind, value in zip(signature.args, values, strict=True)
    ]


def all_lanes(builder: Any, number: Any, lanes: int = LANES) -> Any:
    """Return a vector of one number."""
    empty = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(LANE, 0))
    return builder.shuffle_vector(
        first, empty, ir.Constant(ir.VectorType(LANE, lanes), [0] * lanes)
    )


COUNT_BITS, FIRST_BIT = "llvm.ctpop.i64", "llvm.cttz.i64"


def call(builder: Any, name: str, *values: Any) -> Any:
    """Call an instruction of LLVM that takes and gives 64 bits."""
    kind = ir.FunctionType(INT, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


@written_out
def first_bit(_: Any, bits: Any) -> Any:  # noqa: ARG001  (numba wants its name)
    """Return the place of the lowest bit that is set; there must be one."""

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        return call(builder, FIRST_BIT, values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@written_out
def count_bits(_: Any, bits: Any) -> Any:  # noqa: ARG001
    """Return how many bits are set."""

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        return call(builder, COUNT_BITS, values[0])

    return types.int64(types.uint64), generate
