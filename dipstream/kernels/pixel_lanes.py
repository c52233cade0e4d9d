"""Thirty-two integers at once: pixels of a patch; see `vectors`."""

from typing import Any

from dipstream.kernels.vectors import (
    INT,
    LANE,
    all_lanes,
    arrays_of,
    cgutils,
    ir,
    types,
    written_out,
)

__all__ = ["PIXELS", "borders", "farther", "least_sums", "lower_by_farther", "rounded_sums"]

PIXELS = 32
"""Integers of a vector."""


def _pixels(kind: Any, bits: int | None = None) -> Any:
    """Return the vector that holds pixels of an array, or integers of so many bits."""
    return ir.VectorType(ir.IntType(bits or kind.dtype.bitwidth), PIXELS)


def _lower(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.icmp_unsigned("<", one, other), one, other)


def _plus(builder: Any, pixels: Any, number: int) -> Any:
    return builder.add(pixels, ir.Constant(pixels.type, [number] * PIXELS))


@written_out
def farther(_: Any, field: Any, source: Any, most: Any, at: Any) -> Any:
    """field[at + x] = min(field[source + x] + 1, most), x < 32; unsigned integers."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = signature.args[0]
        field, source, most, at = arrays_of(context, builder, signature, values)
        most = all_lanes(builder, builder.trunc(most, _pixels(kind).element), PIXELS)
        beside = _plus(builder, field.load(source, _pixels(kind)), 1)
        field.store(_lower(builder, beside, most), at)
        return context.get_dummy_value()

    return types.void(field, source, most, at), generate


@written_out
def lower_by_farther(_: Any, field: Any, source: Any, at: Any) -> Any:
    """field[at + x] = min(field[at + x], field[source + x] + 1), x < 32; unsigned integers."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = _pixels(signature.args[0])
        field, source, at = arrays_of(context, builder, signature, values)
        beside = _plus(builder, field.load(source, kind), 1)
        field.store(_lower(builder, field.load(at, kind), beside), at)
        return context.get_dummy_value()

    return types.void(field, source, at), generate


@written_out
def least_sums(_: Any, squares: Any, first: Any, target: Any, at: Any) -> Any:
    """target[at + x] = min over k of squares[first + x + k] + k², x < 32, of uint16.

    The window around all of them widens until no farther number can lower any.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = _pixels(signature.args[0])
        squares, first, target, at = arrays_of(context, builder, signature, values)
        best, reach = cgutils.alloca_once(builder, kind), cgutils.alloca_once(builder, INT)
        builder.store(squares.load(first, kind), best)
        builder.store(ir.Constant(INT, 1), reach)
        test, widen, done = (builder.append_basic_block(name) for name in ("test", "widen", "done"))
        builder.branch(test)
        builder.position_at_end(test)
        k = builder.load(reach)
        square = _square(builder, k, kind)
        more = builder.icmp_unsigned(">", builder.load(best), square)
        builder.cbranch(_any(builder, more), widen, done)
        builder.position_at_end(widen)
        for _ in range(2):  # two steps a test, which costs more than a step
            square = _square(builder, k, kind)
            before = squares.load(builder.sub(first, k), kind)
            after = squares.load(builder.add(first, k), kind)
            total = builder.add(_lower(builder, before, after), square)
            builder.store(_lower(builder, builder.load(best), total), best)
            k = builder.add(k, ir.Constant(INT, 1))
        builder.store(k, reach)
        builder.branch(test)
        builder.position_at_end(done)
        target.store(builder.load(best), at)
        return context.get_dummy_value()

    return types.void(squares, first, target, at), generate


def _square(builder: Any, number: Any, kind: Any) -> Any:
    return all_lanes(builder, builder.trunc(builder.mul(number, number), kind.element), PIXELS)


def _any(builder: Any, lanes: Any) -> Any:
    bits = builder.bitcast(lanes, ir.IntType(PIXELS))
    return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))


@written_out
def rounded_sums(
    _: Any, source: Any, first: Any, step: Any, weights: Any, bits: Any, target: Any, at: Any
) -> Any:
    """target[at + x] = Σₖ weights[|k|] · source[first + step·k + x] / 2^bits, rounded, x < 32.

    Signed integers; the sum of any two pixels fits into their type, all of it into twice the bits,
    64 at most. Weights are int32, at least 0 and below 2¹⁵.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind, n = _pixels(signature.args[0]), signature.args[0].dtype.bitwidth
        reach = context.make_array(signature.args[3])(context, builder, values[3]).shape
        reach = builder.extract_value(reach, 0)
        source, first, step, weights, bits, target, at = arrays_of(
            context, builder, signature, values
        )
        wide, wide_int = _pixels(None, min(2 * n, 64)), ir.IntType(min(2 * n, 64))
        one = ir.Constant(wide_int, 1)
        bits = builder.trunc(bits, wide_int) if wide_int.width < 64 else bits
        half = builder.lshr(builder.shl(one, bits), one)
        total = cgutils.alloca_once(builder, wide)

        def add(pixels: Any, weight: Any) -> None:
            # That a weight is not negative and fits into 15 bits makes the product a quick one.
            weight = builder.and_(weight, ir.Constant(LANE, (1 << 15) - 1))
            weight = builder.zext(weight, wide_int) if wide_int.width > 32 else weight
            weight = all_lanes(builder, weight, PIXELS)
            pixels = pixels if kind == wide else builder.sext(pixels, wide)
            product = builder.mul(pixels, weight)
            builder.store(builder.add(builder.load(total), product), total)

        builder.store(all_lanes(builder, half, PIXELS), total)
        add(source.load(first, kind), weights.load(ir.Constant(INT, 0)))
        with cgutils.for_range(builder, reach, start=ir.Constant(INT, 1), intp=INT) as loop:
            way = builder.mul(step, loop.index)
            before = source.load(builder.sub(first, way), kind)
            after = source.load(builder.add(first, way), kind)
            add(builder.add(before, after), weights.load(loop.index))
        shift = all_lanes(builder, bits, PIXELS)
        rounded = builder.lshr(builder.load(total), shift)
        target.store(rounded if kind == wide else builder.trunc(rounded, kind), at)
        return context.get_dummy_value()

    return types.void(source, first, step, weights, bits, target, at), generate


@written_out
def borders(_: Any, basin: Any, at: Any, stride: Any) -> Any:
    """Return 32 bits: whether basin[at + x] meets another one in E, S, SW or SE; 0 is none."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = _pixels(signature.args[0])
        basin, at, stride = arrays_of(context, builder, signature, values)
        nothing = ir.Constant(kind, [0] * PIXELS)
        here, below = basin.load(at, kind), builder.add(at, stride)
        one = ir.Constant(INT, 1)
        found = ir.Constant(ir.VectorType(ir.IntType(1), PIXELS), [0] * PIXELS)
        others = (builder.add(at, one), below, builder.sub(below, one), builder.add(below, one))
        for other in others:
            there = basin.load(other, kind)
            unlike = builder.icmp_unsigned("!=", there, here)
            inside = builder.icmp_unsigned("!=", there, nothing)
            found = builder.or_(found, builder.and_(unlike, inside))
        found = builder.and_(found, builder.icmp_unsigned("!=", here, nothing))
        return builder.zext(builder.bitcast(found, ir.IntType(PIXELS)), INT)

    return types.uint64(basin, at, stride), generate
