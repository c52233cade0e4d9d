"""The two channels of the workshop: one image set, measured in both, equal to scikit-image."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.io import imread
from skimage.measure import regionprops_table

import dipstream as ds

INTEGERS = {
    "label": "label",
    "area": "area",
    "area_convex": "area_convex",
    "euler_number": "euler_number",
    "bbox_y0": "bbox-0",
    "bbox_x0": "bbox-1",
    "bbox_y1": "bbox-2",
    "bbox_x1": "bbox-3",
}
FLOATS = {
    "y_px": "centroid-0",
    "x_px": "centroid-1",
    "perimeter": "perimeter",
    "axis_major_length": "axis_major_length",
    "axis_minor_length": "axis_minor_length",
    "eccentricity": "eccentricity",
    "orientation": "orientation",
    "solidity": "solidity",
    "extent": "extent",
    "equivalent_diameter_area": "equivalent_diameter_area",
}
INTENSITIES = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")


def test_the_pair_is_one_image_set_and_equals_scikit_image(data: Path, cli) -> None:
    answer = cli(
        *("run", data / "workshop", "--pattern", "xy040-{channel}.png"),
        *("--channels", "1=nuclei,2=reporter", "--pipeline", "nuclei"),
        *("--json", "--save-labels"),
    )
    assert answer.code == 0, answer.stderr
    summary = answer.json
    assert len(answer.stdout.splitlines()) == 1
    assert summary["image_sets"] == 1
    assert (summary["received"], summary["analysed"]) == (2, 2)

    table = ds.open_run(summary["folder"]).objects("nuclei")
    assert 210 <= (table["area"] >= 300).sum() <= 250
    assert table["intensity_mean_nuclei"].notna().all()
    assert table["intensity_mean_reporter"].notna().all()

    (set_id,) = table["set_id"].unique()
    labels = tifffile.imread(Path(summary["folder"]) / "labels" / f"{set_id}_nuclei.tif")
    for channel, number in (("nuclei", 1), ("reporter", 2)):
        pixels = imread(data / "workshop" / f"xy040-{number}.png")
        _compare(table, labels, pixels, channel)


def _compare(table: pd.DataFrame, labels: np.ndarray, pixels: np.ndarray, channel: str) -> None:
    names = {*INTEGERS.values(), *FLOATS.values()}
    properties = {name.split("-")[0] for name in names} | set(INTENSITIES)
    reference = regionprops_table(labels, pixels, properties=sorted(properties))
    for ours, theirs in INTEGERS.items():
        np.testing.assert_array_equal(table[ours], reference[theirs].astype(np.int64), ours)
    floats = FLOATS | {f"{name}_{channel}": name for name in INTENSITIES}
    for ours, theirs in floats.items():
        np.testing.assert_allclose(table[ours], reference[theirs], rtol=1e-6, err_msg=ours)


@pytest.mark.parametrize("wrong", ["1=nuclei,3=reporter", "1=nuclei,1=reporter", "=x"])
def test_channels_that_are_not_there_are_refused(data: Path, cli, wrong: str) -> None:
    answer = cli(
        *("run", data / "workshop", "--pattern", "xy040-{channel}.png", "--channels", wrong)
    )
    assert answer.code == 2
    assert "channel" in answer.stderr
