"""The loops over pixels, compiled: stamping light, finding the deepest object, numbering.

Every array that is stamped is *polyphase*: drawn `oversample` times finer than the pixels, and
stored as (phase y, phase x, block y, block x), so that one phase holds the samples that lie one
pixel apart. Wherever an object stands, a row of pixels then reads contiguous memory.
"""

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled

__all__ = ["deepest", "number", "stamp"]

_Floats = npt.NDArray[np.float32]
_Places = npt.NDArray[np.float64]
_Counts = npt.NDArray[np.int64]


@compiled
def _along(place_px: float, side: int, oversample: int) -> tuple[int, int, int, float]:
    """Return the first block's pixel, phase, next phase's block step, and the weight of the next.

    Pixel i reads block i + shift: the fine sample that lies (i - place_px) pixels from the middle.
    """
    exact = (oversample * side - 1) / 2 - oversample * place_px
    start = int(np.floor(exact))
    shift = start // oversample
    return shift, start - shift * oversample, start, exact - start


@compiled
def stamp(
    image: _Floats,
    buffer: _Floats,
    offset: _Counts,
    side: _Counts,
    oversample: _Counts,
    y_px: _Places,
    x_px: _Places,
    strength: _Floats,
    window: _Counts,
) -> None:
    """Add n polyphase sprites to an image, each at its sub-pixel place times its strength.

    Bilinear between fine samples, which moves the centre of mass by exactly the sub-pixel offset
    and conserves the sum.

    Parameters
    ----------
    image
        (y, x) float32, changed in place.
    buffer, offset, side, oversample
        Where each sprite is, and its blocks along a side (odd) and fine samples along a pixel.
    y_px, x_px
        (n,) float64: where each sprite's middle is; the middle of the first pixel is 0.
    strength
        (n,) float32.
    window
        (n, 4) int64: first and last + 1 row and column that each sprite may touch.
    """
    for k in range(offset.size):
        fine, blocks = oversample[k], side[k]
        area = blocks * blocks
        shift_y, phase_y, _, y_next = _along(y_px[k], blocks, fine)
        shift_x, phase_x, _, x_next = _along(x_px[k], blocks, fine)
        first = max(window[k, 2], -shift_x)
        stop = min(window[k, 3], blocks - 1 - shift_x)
        count = stop - first
        if count <= 0:
            continue
        # The next fine sample is the next phase, or the first phase of the next block.
        over_y = 1 if phase_y + 1 == fine else 0
        over_x = 1 if phase_x + 1 == fine else 0
        next_y, next_x = (phase_y + 1) % fine, (phase_x + 1) % fine
        left = first + shift_x
        start00 = offset[k] + (phase_y * fine + phase_x) * area + left
        start01 = offset[k] + (phase_y * fine + next_x) * area + left + over_x
        start10 = offset[k] + (next_y * fine + phase_x) * area + left
        start11 = offset[k] + (next_y * fine + next_x) * area + left + over_x
        weight00 = np.float32(strength[k] * (1.0 - y_next) * (1.0 - x_next))
        weight01 = np.float32(strength[k] * (1.0 - y_next) * x_next)
        weight10 = np.float32(strength[k] * y_next * (1.0 - x_next))
        weight11 = np.float32(strength[k] * y_next * x_next)
        for row in range(max(window[k, 0], -shift_y), min(window[k, 1], blocks - 1 - shift_y)):
            upper = (row + shift_y) * blocks
            lower = upper + over_y * blocks
            target = image[row, first:stop]
            light00 = buffer[start00 + upper : start00 + upper + count]
            light01 = buffer[start01 + upper : start01 + upper + count]
            light10 = buffer[start10 + lower : start10 + lower + count]
            light11 = buffer[start11 + lower : start11 + lower + count]
            for column in range(count):
                target[column] += (
                    weight00 * light00[column]
                    + weight01 * light01[column]
                    + weight10 * light10[column]
                    + weight11 * light11[column]
                )


@compiled
def deepest(
    owner: npt.NDArray[np.int32],
    depth: _Floats,
    buffer: _Floats,
    offset: _Counts,
    side: _Counts,
    oversample: _Counts,
    y_px: _Places,
    x_px: _Places,
) -> None:
    """Find which object each pixel's middle lies deepest in.

    An object smaller than a pixel may contain no pixel's middle; the pixel in which its centroid
    lies is its own, unless the middle of that pixel lies inside another.

    Parameters
    ----------
    owner
        int32 (y, x), zeros; becomes 1 + the index of the object, changed in place.
    depth
        float32 (y, x), zeros; becomes the depth in that object, changed in place.
    buffer, offset, side, oversample, y_px, x_px
        As in `stamp`, of the objects' depths.
    """
    rows, columns = owner.shape
    for k in range(offset.size):
        fine, blocks = oversample[k], side[k]
        area = blocks * blocks
        shift_y, phase_y, _, y_next = _along(y_px[k], blocks, fine)
        shift_x, phase_x, _, x_next = _along(x_px[k], blocks, fine)
        over_y = 1 if phase_y + 1 == fine else 0
        over_x = 1 if phase_x + 1 == fine else 0
        next_y, next_x = (phase_y + 1) % fine, (phase_x + 1) % fine
        base00 = offset[k] + (phase_y * fine + phase_x) * area
        base01 = offset[k] + (phase_y * fine + next_x) * area + over_x
        base10 = offset[k] + (next_y * fine + phase_x) * area + over_y * blocks
        base11 = offset[k] + (next_y * fine + next_x) * area + over_y * blocks + over_x
        for row in range(max(0, -shift_y), min(rows, blocks - 1 - shift_y)):
            line = (row + shift_y) * blocks + shift_x
            for column in range(max(0, -shift_x), min(columns, blocks - 1 - shift_x)):
                at = line + column
                here = np.float32(
                    (1.0 - y_next)
                    * ((1.0 - x_next) * buffer[base00 + at] + x_next * buffer[base01 + at])
                    + y_next * ((1.0 - x_next) * buffer[base10 + at] + x_next * buffer[base11 + at])
                )
                if here > depth[row, column]:
                    depth[row, column] = here
                    owner[row, column] = k + 1
        row, column = int(np.floor(y_px[k] + 0.5)), int(np.floor(x_px[k] + 0.5))
        if 0 <= row < rows and 0 <= column < columns and owner[row, column] == 0:
            owner[row, column] = k + 1


@compiled
def number(owner: npt.NDArray[np.int32], count: int) -> _Counts:
    """Renumber labels 1..count to 1, 2, … without holes, in the same order, in place.

    Returns
    -------
    ndarray
        (n,) int64: index of the object behind each label that is left, from 0 on.
    """
    seen = np.zeros(count + 1, dtype=np.int32)
    rows, columns = owner.shape
    for row in range(rows):
        for column in range(columns):
            seen[owner[row, column]] = 1
    seen[0] = 0
    kept = np.empty(np.sum(seen), dtype=np.int64)
    label = 0
    for k in range(1, count + 1):
        if seen[k]:
            kept[label] = k - 1
            label += 1
            seen[k] = label
    if label < count:
        for row in range(rows):
            for column in range(columns):
                owner[row, column] = seen[owner[row, column]]
    return kept
