"""Writes label images next to the table, where they were asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tifffile

from dipstream.steps.image import Labels

__all__ = ["save_labels"]


def save_labels(folder: Path, set_id: int, labels: Mapping[str, Labels]) -> None:
    """Write ``SET_TYPE.tif`` (int32, lossless) for each type of object of a set."""
    folder.mkdir(exist_ok=True)
    for kind, one in labels.items():
        path = folder / f"{set_id}_{kind}.tif"
        fresh = path.with_suffix(".tif.new")
        resolution: dict[str, Any] = {}
        if one.pixel_um is not None:
            resolution = {
                "resolution": (1e4 / one.pixel_um, 1e4 / one.pixel_um),
                "resolutionunit": "CENTIMETER",
            }
        tifffile.imwrite(fresh, one.dense, compression="zlib", **resolution)
        fresh.replace(path)
