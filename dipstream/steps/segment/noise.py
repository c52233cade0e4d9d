"""How noisy an image is, judged from the image itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LAG_PX", "noise_sd", "robust_sd"]

LAG_PX = 4
_QUARTILE_OF_ABS_NORMAL = 0.31863936396437514  # 25th percentile of |N(0, 1)|


def noise_sd(pixels: npt.NDArray[np.floating[Any]]) -> float:
    """Return the standard deviation of the noise of an image, in grey levels.

    Differences between pixels 4 px apart, along rows and columns, cancel an uneven background
    and are all but independent even after a Gaussian of 1.5 px. An image of 4 px or less has
    no such differences: 0.
    """
    along_y = np.abs(pixels[LAG_PX:] - pixels[:-LAG_PX]).ravel()
    along_x = np.abs(pixels[:, LAG_PX:] - pixels[:, :-LAG_PX]).ravel()
    return robust_sd(np.concatenate([along_y, along_x])) / 2**0.5


def robust_sd(deviations: npt.NDArray[np.floating[Any]]) -> float:
    """Return the standard deviation of normal noise around 0 with something else mixed in.

    Judged from the lower quartile of the absolute values, so that it holds even where half of
    them belong to objects and their edges (the median, as in the MAD, does not).
    """
    if deviations.size == 0:
        return 0.0
    return float(np.percentile(np.abs(deviations), 25)) / _QUARTILE_OF_ABS_NORMAL
