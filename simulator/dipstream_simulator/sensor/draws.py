"""Random numbers for the fast chain, compiled: words, normals, Poisson and gamma variates.

Every row of a frame has a stream of its own, and a word of a stream is a function of its number
alone. So rows can be drawn in any order, on any number of threads, and loops over words vectorise.
Loops are kept plain, one thing each, because that is what the compiler turns into SIMD.
"""

import math

import numpy as np
import numpy.typing as npt

from dipstream_simulator.sensor.compiled import bits_of, compiled, float_of

__all__ = ["LOW_MEAN", "gamma_chunk", "normal_chunk", "poisson_chunk", "stream_of_row"]

Word = np.uint64
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

LOW_MEAN = np.float32(16.0)
"""Means below it are drawn by exact inversion, from it on by the asymptotic expansion."""

_U = np.uint64
_F = np.float32
_GOLDEN = _U(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)
_MIX_3, _MIX_4 = _U(0xFF51AFD7ED558CCD), _U(0xC4CEB9FE1A85EC53)
_ALTERNATING = _U(0xAAAAAAAAAAAAAAAA)
_S1, _S27, _S30, _S31, _S33 = _U(1), _U(27), _U(30), _U(31), _U(33)
_S11, _S32 = _U(11), _U(32)

# Where a row's stream keeps which numbers; rows are far shorter than these distances.
_INVERSION = _U(1 << 40)
_GAMMA = _U(1 << 41)
_PER_PIXEL = _U(1 << 16)

_HALF_WORD = _F(2.0**-31)
_TO_ANGLE = _F(2.0**-32 * math.pi)
_LN2 = _F(math.log(2.0))
_MANTISSA = np.int32(0x3F3504F3)  # bits of √½: mantissas are taken between √½ and √2
_EXPONENT_SHIFT = np.int32(23)
_BEYOND_WELLS = np.float32(2.0e9)
_MOST = 200  # of a Poisson variate below LOW_MEAN: its probability is below 1e-140


@compiled
def _mixed(word: Word) -> Word:
    """Scramble 64 bits (Stafford's mix 13, as in SplitMix64)."""
    word = (word ^ (word >> _S30)) * _MIX_1
    word = (word ^ (word >> _S27)) * _MIX_2
    return word ^ (word >> _S31)


@compiled
def _bits_set(word: Word) -> int:
    count = 0
    while word != _U(0):
        word &= word - _U(1)
        count += 1
    return count


@compiled
def stream_of_row(seed: Word, number: Word, row: Word) -> tuple[Word, Word]:
    """Return a row's stream: its start and its odd increment.

    Both are scrambled from seed, frame number and row, so that two streams do not meet: they
    would need the same increment as well (Steele, Lea & Flood 2014, OOPSLA, "Fast splittable
    pseudorandom number generators"; increments with too few changes of bits are mended).
    """
    start = _mixed(seed + _GOLDEN)
    start = _mixed((start ^ number) + _GOLDEN)
    start = _mixed((start ^ row) + _GOLDEN)
    word = start + _GOLDEN
    word = (word ^ (word >> _S33)) * _MIX_3
    word = (word ^ (word >> _S33)) * _MIX_4
    step = (word ^ (word >> _S33)) | _S1
    if _bits_set(step ^ (step >> _S1)) < 24:
        step ^= _ALTERNATING
    return start, step


@compiled
def normal_chunk(start: Word, step: Word, first: int, n: int, z_1: Floats, z_2: Floats) -> None:
    """Fill two arrays with n independent standard normal variates each.

    One 64-bit word gives a pair (Box & Muller 1958, Ann. Math. Stat. 29:610): z = √(−2 ln u) times
    cosine and sine of an angle. The logarithm is the series of 2·artanh((m − 1)/(m + 1)), cosine
    and sine are Taylor series of the half angle; all to float32's precision, tails to 6.6 σ.
    """
    for i in range(n):
        word = _mixed(start + step * _U(first + i))
        u = (_F(np.int32(word >> _S33)) + _F(0.5)) * _HALF_WORD
        bits = bits_of(u)
        exponent = (bits - _MANTISSA) >> _EXPONENT_SHIFT
        m = float_of(bits - (exponent << _EXPONENT_SHIFT))
        s = (m - _F(1)) / (m + _F(1))
        q = s * s
        series = _F(1 / 3) + q * (_F(1 / 5) + q * (_F(1 / 7) + q * _F(1 / 9)))
        ln_u = _F(exponent) * _LN2 + _F(2) * s * (_F(1) + q * series)
        radius = math.sqrt(max(_F(-2) * ln_u, _F(0)))
        half = _F(np.int32(np.uint32(word & _U(0xFFFFFFFF)))) * _TO_ANGLE
        h = half * half
        sine = half * (
            _F(1) + h * (_F(-1 / 6) + h * (_F(1 / 120) + h * (_F(-1 / 5040) + h * _F(1 / 362880))))
        )
        cosine = _F(1) + h * (
            _F(-1 / 2)
            + h * (_F(1 / 24) + h * (_F(-1 / 720) + h * (_F(1 / 40320) + h * _F(-1 / 3628800))))
        )
        z_1[i] = radius * (_F(1) - _F(2) * sine * sine)
        z_2[i] = radius * _F(2) * sine * cosine


@compiled
def poisson_chunk(
    start: Word,
    step: Word,
    first: int,
    n: int,
    mean: Floats,
    z: Floats,
    counts: Floats,
    work: Doubles,
) -> None:
    """Draw n Poisson variates.

    Means from `LOW_MEAN` on take their normal variate z through the asymptotic inverse of the
    Poisson law, whose error is of order mean^(−3/2) (Giles 2016, ACM TOMS 42:7, Algorithm 955,
    the expansion Q̃ in one normal variate). Smaller means are inverted exactly.

    Parameters
    ----------
    mean, z
        float32 (≥ n): expected numbers ≥ 0, standard normal variates.
    counts
        float32 (≥ n): the result, whole numbers.
    work
        float64 (5, ≥ n).
    """
    low = 0
    for i in range(n):
        low += 1 if mean[i] < LOW_MEAN else 0
    if low < n:
        for i in range(n):
            expected = max(mean[i], _F(1))
            w = z[i]
            root = math.sqrt(expected)
            over = _F(1) / root
            square = w * w
            term_0 = _F(1 / 3) + square * _F(1 / 6)
            term_1 = w * (_F(-1 / 36) + square * _F(-1 / 72))
            term_2 = _F(-8 / 405) + square * (_F(7 / 810) + square * _F(1 / 270))
            value = expected + (root * w + (term_0 + over * (term_1 + over * term_2)))
            # Far beyond every well, and within int32.
            counts[i] = _F(np.int32(min(max(value, _F(0)), _BEYOND_WELLS)))
    if low > 0:
        _invert_low(start, step, first, n, mean, counts, work)


@compiled
def _invert_low(
    start: Word, step: Word, first: int, n: int, mean: Floats, counts: Floats, work: Doubles
) -> None:
    """Draw the variates of small means by inversion: N = how many k have u ≥ P(≤ k)."""
    where, u, expected, term, below = work[0], work[1], work[2], work[3], work[4]
    m = 0
    for i in range(n):
        where[m] = i
        m += 1 if mean[i] < LOW_MEAN else 0
    if m == n:
        for j in range(m):
            word = _mixed(start + step * (_INVERSION + _U(first + j)))
            u[j] = np.float64(np.int64(word >> _S11)) * 2.0**-53
            expected[j] = mean[j]
    else:
        for j in range(m):
            at = np.int64(where[j])
            word = _mixed(start + step * (_INVERSION + _U(first + at)))
            u[j] = np.float64(np.int64(word >> _S11)) * 2.0**-53
            expected[j] = mean[at]
    for j in range(m):
        term[j] = _exp_minus(max(expected[j], 0.0))
        below[j] = term[j]
    _count_up(m, u, expected, term, below, where, counts, m == n)


@compiled
def _count_up(
    m: int,
    u: Doubles,
    expected: Doubles,
    term: Doubles,
    below: Doubles,
    where: Doubles,
    counts: Floats,
    dense: bool,
) -> None:
    found = np.zeros(m, dtype=np.int64)
    for k in range(1, _MOST):
        left = 0
        over = 1.0 / k
        for j in range(m):
            hit = 1 if u[j] >= below[j] else 0
            left += hit
            found[j] += hit
        for j in range(m):
            term[j] *= expected[j] * over
            below[j] += term[j]
        if left == 0:
            break
    if dense:
        for j in range(m):
            counts[j] = _F(found[j])
    else:
        for j in range(m):
            counts[np.int64(where[j])] = _F(found[j])


@compiled
def _exp_minus(x: float) -> float:
    """exp(−x) for 0 ≤ x ≤ 16: Taylor's series of exp(−x/16), to the power of 16."""
    y = x * (-1.0 / 16.0)
    series = 1.0 + y * (1 / 14) * (1.0 + y * (1 / 15) * (1.0 + y * (1 / 16)))
    series = 1.0 + y * (1 / 11) * (1.0 + y * (1 / 12) * (1.0 + y * (1 / 13) * series))
    series = 1.0 + y * (1 / 8) * (1.0 + y * (1 / 9) * (1.0 + y * (1 / 10) * series))
    series = 1.0 + y * (1 / 5) * (1.0 + y * (1 / 6) * (1.0 + y * (1 / 7) * series))
    series = 1.0 + y * (1 / 2) * (1.0 + y * (1 / 3) * (1.0 + y * (1 / 4) * series))
    series = 1.0 + y * series
    squared = series * series
    squared *= squared
    squared *= squared
    return squared * squared


@compiled
def gamma_chunk(start: Word, step: Word, n: int, shape: Doubles, scale: float, out: Floats) -> None:
    """Draw gamma variates, one by one; 0 where the shape is 0.

    Marsaglia & Tsang 2000, ACM TOMS 26:363, with their u^(1/a) for shapes below 1.
    """
    for i in range(n):
        a = np.float64(shape[i])
        if a <= 0.0:
            out[i] = _F(0)
            continue
        number = _GAMMA + _U(i) * _PER_PIXEL
        boost = 1.0
        if a < 1.0:
            boost = _uniform(start, step, number) ** (1.0 / a)
            a += 1.0
        d = a - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        while True:
            u = _uniform(start, step, number + _U(1))
            angle = 2.0 * math.pi * _uniform(start, step, number + _U(2))
            x = math.sqrt(-2.0 * math.log(u)) * math.cos(angle)
            v = 1.0 + c * x
            number += _U(3)
            if v <= 0.0:
                continue
            v = v * v * v
            if math.log(_uniform(start, step, number)) < 0.5 * x * x + d * (1.0 - v + math.log(v)):
                break
        out[i] = _F(boost * d * v * scale)


@compiled
def _uniform(start: Word, step: Word, number: Word) -> float:
    """Return a float64 above 0 and up to 1."""
    word = _mixed(start + step * number)
    return (np.float64(np.int64(word >> _S11)) + 1.0) * 2.0**-53
