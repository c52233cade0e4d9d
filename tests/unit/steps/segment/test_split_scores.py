"""Against truth, the split is at least as good as the usual recipe with local maxima."""

import csv

import imagecodecs
import numpy as np
import pytest
import tifffile
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.segmentation import watershed

from benchmarks.scene import make_scene
from dipstream.steps.fast.split import split
from dipstream.steps.image import Mask
from dipstream.truth import f1_score


def foreground(pixels):
    smooth = gaussian(pixels, 1.5, preserve_range=True)
    filled = ndi.binary_fill_holes(smooth > threshold_otsu(smooth))
    regions, _ = ndi.label(filled)
    return filled & (np.bincount(regions.ravel()) >= 50)[regions]


def recipe(mask):
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(mask), 1.0)
    regions, _ = ndi.label(mask)
    tops = peak_local_max(distance, min_distance=7, labels=regions, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(tops.T)] = np.arange(1, len(tops) + 1)
    return watershed(-distance, seeds, mask=mask)


def scores(truth, pixels):
    """F1 at two IoUs, of the split and of the recipe on the same mask."""
    mask = foreground(pixels)
    found = (split(Mask(mask)).dense, recipe(mask))
    return [[f1_score(truth, labels, iou) for iou in (0.5, 0.7)] for labels in found]


@pytest.mark.parametrize("n", [800, 3000])
def test_scenes_are_split_as_well_as_by_the_recipe(n):
    scene = make_scene(2048, n)
    ours, theirs = np.array(scores(scene.truth, (scene.raw - np.float32(100)) / scene.flat))
    assert (ours >= theirs).all(), (ours, theirs)


def fields(data):
    with (data / "MANIFEST.csv").open() as file:
        for row in csv.DictReader(file):
            if "modality=fluo" in row["note"] and row["ground_truth"]:
                yield data / row["file"], data / row["ground_truth"]


def read(path):
    if path.suffix == ".png":
        return imagecodecs.imread(path)[..., 0].astype(np.float32)
    return tifffile.imread(path)


def test_real_nuclei_are_split_as_well_as_by_the_recipe(data):
    each = [
        scores(read(labels).astype(np.int32), read(image).astype(np.float32))
        for image, labels in fields(data)
    ]
    assert len(each) == 12
    ours, theirs = np.mean(each, axis=0)
    assert (ours >= theirs).all(), (ours, theirs)
