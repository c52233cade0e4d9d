"""Sixteen float32 numbers at once; see `vectors`."""

from typing import Any

from dipstream.kernels.vectors import (
    COUNT_BITS,
    INT,
    LANE,
    LANES,
    all_lanes,
    arrays_of,
    call,
    cgutils,
    count_bits,
    first_bit,
    ir,
    types,
    written_out,
)

__all__ = [
    "LANES",
    "OUTPUTS",
    "above",
    "bins",
    "copy_and_extremes",
    "count_bits",
    "first_bit",
    "sum_above",
    "transpose",
    "weighted_sums",
]

OUTPUTS = 4
"""Sums that `weighted_sums` makes at once."""

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_CHUNK = 16
_FUSED = ("contract",)


@written_out
def weighted_sums(
    _: Any, source: Any, where: Any, n: Any, weights: Any, target: Any, at: Any, step: Any
) -> Any:
    """target[at + step·q + x] = Σᵢ weights[i + 3 − q] · source[where[i] + x], x < 32, q < 4.

    float32 arrays of one dimension, `where` int64. The sums run over i < n, 16 by 16: rounding
    errors grow with the length of a sum.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, where, n, weights, target, at, step = arrays_of(context, builder, signature, values)
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        chunk = ir.Constant(INT, _CHUNK)
        places = [(q, k) for q in range(OUTPUTS) for k in range(2)]
        sums = {place: cgutils.alloca_once(builder, _VECTOR) for place in places}
        totals = {place: cgutils.alloca_once(builder, _VECTOR) for place in places}
        for place in places:
            builder.store(zero, totals[place])
        begin = ir.Constant(INT, 0)
        with cgutils.for_range_slice(builder, begin, n, chunk, intp=INT) as (first, _):
            for place in places:
                builder.store(zero, sums[place])
            end = builder.add(first, chunk)
            end = builder.select(builder.icmp_signed("<", end, n), end, n)
            with cgutils.for_range(builder, end, start=first, intp=INT) as loop:
                at_row = where.load(loop.index)
                parts = [
                    source.load(builder.add(at_row, ir.Constant(INT, LANES * k)), _VECTOR)
                    for k in range(2)
                ]
                for q in range(OUTPUTS):
                    i = builder.add(loop.index, ir.Constant(INT, OUTPUTS - 1 - q))
                    weight = all_lanes(builder, weights.load(i))
                    for k in range(2):
                        product = builder.fmul(weight, parts[k], flags=_FUSED)
                        total = builder.fadd(product, builder.load(sums[q, k]), flags=_FUSED)
                        builder.store(total, sums[q, k])
            for place in places:
                total = builder.fadd(builder.load(totals[place]), builder.load(sums[place]))
                builder.store(total, totals[place])
        for q, k in places:
            to = builder.add(at, builder.mul(step, ir.Constant(INT, q)))
            total = builder.load(totals[q, k])
            target.store(total, builder.add(to, ir.Constant(INT, LANES * k)))
        return context.get_dummy_value()

    return types.void(source, where, n, weights, target, at, step), generate


@written_out
def transpose(
    _: Any, source: Any, first: Any, step: Any, target: Any, at: Any, to_step: Any
) -> Any:
    """target[at + to_step·i + k] = source[first + step·k + i] for i, k < 16."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, first, step, target, at, to_step = arrays_of(context, builder, signature, values)
        rows = []
        for k in range(LANES):
            i = builder.add(first, builder.mul(step, ir.Constant(INT, k)))
            rows.append(source.load(i, _VECTOR))
        half = LANES // 2
        # Four times: interleave row k with row k + 8 (a perfect shuffle of rows and lanes).
        low = [x for k in range(half) for x in (k, k + LANES)]
        high = [x for k in range(half, LANES) for x in (k, k + LANES)]
        masks = [ir.Constant(ir.VectorType(LANE, LANES), m) for m in (low, high)]
        for _ in range(4):
            rows = [
                builder.shuffle_vector(rows[k], rows[k + half], mask)
                for k in range(half)
                for mask in masks
            ]
        for k in range(LANES):
            i = builder.add(at, builder.mul(to_step, ir.Constant(INT, k)))
            target.store(rows[k], i)
        return context.get_dummy_value()

    return types.void(source, first, step, target, at, to_step), generate


@written_out
def copy_and_extremes(
    _: Any, source: Any, first: Any, n: Any, target: Any, at: Any, seen: Any
) -> Any:
    """Copy 16 · n float32 numbers; keep lane by lane, in the 48 numbers `seen`, what they were.

    The least, the greatest, and the sum of x − x: 0, or NaN once a number was not finite.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, first, n, target, at, seen = arrays_of(context, builder, signature, values)
        places = [ir.Constant(INT, LANES * k) for k in range(3)]
        kept = [cgutils.alloca_once(builder, _VECTOR) for _ in places]
        for one, place in zip(kept, places, strict=True):
            builder.store(seen.load(place, _VECTOR), one)
        with cgutils.for_range(builder, n, intp=INT) as loop:
            i = builder.mul(loop.index, ir.Constant(INT, LANES))
            found = source.load(builder.add(first, i), _VECTOR)
            target.store(found, builder.add(at, i))
            for one, order in zip(kept[:2], "<>", strict=True):
                best = builder.load(one)
                is_better = builder.fcmp_ordered(order, found, best)
                builder.store(builder.select(is_better, found, best), one)
            nothing = builder.fsub(found, found)
            builder.store(builder.fadd(builder.load(kept[2]), nothing), kept[2])
        for one, place in zip(kept, places, strict=True):
            seen.store(builder.load(one), place)
        return context.get_dummy_value()

    return types.void(source, first, n, target, at, seen), generate


@written_out
def sum_above(_: Any, source: Any, first: Any, n: Any, base: Any, level: Any, sums: Any) -> Any:
    """Add up x − base where that is above `level`, lane by lane, over 16 · n float32 numbers.

    Adds to the 16 float64 `sums`; returns how many there were.
    """
    result = types.int64(source, first, n, base, level, sums)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, first, n, base, level, sums = arrays_of(context, builder, signature, values)
        wide = ir.VectorType(ir.DoubleType(), LANES)
        place = ir.Constant(INT, 0)
        total, count = cgutils.alloca_once(builder, wide), cgutils.alloca_once(builder, INT)
        builder.store(sums.load(place, wide), total)
        builder.store(place, count)
        bases, levels = all_lanes(builder, base), all_lanes(builder, level)
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        with cgutils.for_range(builder, n, intp=INT) as loop:
            i = builder.add(first, builder.mul(loop.index, ir.Constant(INT, LANES)))
            height = builder.fsub(source.load(i, _VECTOR), bases)
            is_above = builder.fcmp_ordered(">", height, levels)
            bits = builder.zext(builder.bitcast(is_above, ir.IntType(LANES)), INT)
            builder.store(builder.add(builder.load(count), call(builder, COUNT_BITS, bits)), count)
            part = builder.fpext(builder.select(is_above, height, zero), wide)
            builder.store(builder.fadd(builder.load(total), part), total)
        sums.store(builder.load(total), place)
        return builder.load(count)

    return result, generate


def _as_floats(builder: Any, array: Any, kind: Any, at: Any) -> Any:
    """Load sixteen pixels of any dtype as float32."""
    if isinstance(kind.dtype, types.Float):
        return array.load(at, _VECTOR)
    found = array.load(at, ir.VectorType(ir.IntType(kind.dtype.bitwidth), LANES))
    wide = builder.zext(found, ir.VectorType(LANE, LANES))
    return builder.sitofp(wide, _VECTOR)


@written_out
def above(_: Any, pixels: Any, at: Any, levels: Any, level_at: Any) -> Any:
    """Return 64 bits: whether pixels[at + k] > levels[level_at + k], or > levels, a number."""
    result = types.uint64(pixels, at, levels, level_at)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pixels, at, levels, level_at = arrays_of(context, builder, signature, values)
        bits = ir.Constant(INT, 0)
        number = not isinstance(signature.args[2], types.Array)
        if number:
            level = all_lanes(builder, levels)
        for k in range(4):
            shift = ir.Constant(INT, LANES * k)
            found = _as_floats(builder, pixels, signature.args[0], builder.add(at, shift))
            if not number:
                level = levels.load(builder.add(level_at, shift), _VECTOR)
            more = builder.bitcast(builder.fcmp_ordered(">", found, level), ir.IntType(LANES))
            bits = builder.or_(bits, builder.shl(builder.zext(more, INT), shift))
        return bits

    return result, generate


@written_out
def bins(
    _: Any, pixels: Any, at: Any, low: Any, scale: Any, doubt: Any, index: Any, index_at: Any
) -> Any:
    """index[index_at + k] = min((pixels[at + k] − low) · scale, 255), rounded down, k < 64.

    float32 and uint8. Returns 64 bits: whether what was cut off is within `doubt` of 0 or of 1.
    """
    result = types.uint64(pixels, at, low, scale, doubt, index, index_at)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pixels, at, low, scale, doubt, index, index_at = arrays_of(
            context, builder, signature, values
        )
        lanes = ir.VectorType(LANE, LANES)
        greatest = ir.Constant(lanes, [255] * LANES)
        most = builder.fsub(ir.Constant(_FLOAT, 1.0), doubt)
        low, scale, least, most = (all_lanes(builder, x) for x in (low, scale, doubt, most))
        bits = ir.Constant(INT, 0)
        for k in range(4):
            shift = ir.Constant(INT, LANES * k)
            found = pixels.load(builder.add(at, shift), _VECTOR)
            place = builder.fmul(builder.fsub(found, low), scale)
            whole = builder.fptosi(place, lanes)
            part = builder.fsub(place, builder.sitofp(whole, _VECTOR))
            is_above = builder.icmp_signed(">", whole, greatest)
            whole = builder.select(is_above, greatest, whole)
            small = builder.trunc(whole, ir.VectorType(ir.IntType(8), LANES))
            index.store(small, builder.add(index_at, shift))
            below, beyond = (
                builder.fcmp_ordered(order, part, limit)
                for order, limit in (("<", least), (">", most))
            )
            unsure = builder.bitcast(builder.or_(below, beyond), ir.IntType(LANES))
            bits = builder.or_(bits, builder.shl(builder.zext(unsure, INT), shift))
        return bits

    return result, generate
