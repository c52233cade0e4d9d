"""Frames and a pipeline for tests in which the analysis does not matter."""

import numpy as np
import numpy.typing as npt

from dipstream.frame import bytes_held

__all__ = ["SET_MB", "SHAPE", "SIMPLE", "two_squares"]

SIMPLE = """\
dipstream: 1
objects:
  nuclei:
    channel: DAPI
    steps: [{threshold: {method: manual, value: 50}}, {split: {method: none}}]
measure: [{intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 10}}}
"""
SHAPE = (24, 30)
SET_MB = bytes_held(2 * SHAPE[0] * SHAPE[1]) / 1e6
"""What an image set of one frame takes in the queue."""


def two_squares(t: int) -> npt.NDArray[np.uint16]:
    """Return the pixels of a frame with two bright squares that move with t."""
    pixels = np.full(SHAPE, 10, "uint16")
    for y, x in [(3, 2 + t % 5), (14, 12 + t % 7)]:
        pixels[y : y + 5, x : x + 5] = 100 + t % 100
    return pixels
