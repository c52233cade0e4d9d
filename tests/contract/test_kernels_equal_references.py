"""Kernels and fused passes give what the references of the steps give, on real and drawn images."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import dipstream as ds
from benchmarks.scene import make_scene
from dipstream.one_image import _image_set
from dipstream.pipeline import Plan, open_plan
from dipstream.steps.fast import fast
from dipstream.steps.image import Image
from dipstream.steps.segment.threshold import Rules, threshold

EXACT = {
    "label", "area", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1", "solidity", "extent",
    "area_convex", "euler_number",
}  # fmt: skip
GEOMETRY = {"perimeter", "axis_major_length"}
SMALL = {"axis_minor_length", "eccentricity"}

RECIPE = """dipstream: 1
correct: [CORRECTION]
objects:
  nuclei:
    steps:
      - gaussian: {sigma_px: 1.5}
      - threshold: {method: METHOD}
      - fill_holes: {}
      - clean: {min_area_px: 50}
      - split: {method: distance}
      - clear_border: {}
  ring: {around: nuclei, inner_px: 1, outer_px: 4}
measure:
  - shape: {}
  - intensity: {}
"""

REAL = (
    "nuclei/*.png", "nuclei/stardist*.tif", "nuclei/neubias*.tif", "workshop/*.png",
    "tracks/mitocheck/01/t00[0-2].tif", "timelapse/drosophila/*.tif", "formats/tiff/*.tif",
    "formats/flatfield/*.TIF", "formats/png/*.png",
)  # fmt: skip


def recipe(folder: Path, method: str, correction: str = "") -> Plan:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.replace("METHOD", method).replace("CORRECTION", correction))
    return open_plan(path)


def real_images(data: Path) -> list[Path]:
    found = dict.fromkeys(path for pattern in REAL for path in sorted(data.glob(pattern)))
    return [path for path in found if "_labels" not in path.name]


def planes(path: Path) -> list[np.ndarray]:
    with ds.open_source(path) as source:
        frames = [item for item in islice(source.frames(), 3) if hasattr(item, "data")]
    return [frame.data for frame in frames if frame.data.ndim == 2]


def compare(image: np.ndarray, plan: Plan) -> bool:
    """Analyse with kernels and with references; return whether all labels are the same.

    Kernels add up in another order: where a smoothed pixel lies on the threshold but for rounding,
    either may call it foreground. Only then labels may differ, and each step is compared by itself.
    """
    image_set = _image_set({"ch0": image}, 0.3, None)
    found = plan.compile(["ch0"]).analyse(image_set)
    wanted = plan.compile(["ch0"], reference=True).analyse(image_set)
    assert found.estimates == pytest.approx(wanted.estimates, rel=1e-6)
    assert found.quality[0].flags == wanted.quality[0].flags
    kinds = list(wanted.labels)
    if any((found.labels[k].dense != wanted.labels[k].dense).any() for k in kinds):
        step_by_step(image, plan)
        return False
    for kind in kinds:
        assert found.labels[kind].dense.dtype == np.int32
        compare_tables(found.tables[kind].values, wanted.tables[kind].values)
    return True


def compare_tables(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        agree(name, found[name], values, wanted["eccentricity"])


def step_by_step(image: np.ndarray, plan: Plan) -> None:
    """Give each step what the reference made before, and compare what it makes of it."""
    value: Any = Image(image, pixel_um=0.3)
    for kind in plan.compile(["ch0"]).kinds[:1]:
        for bound in plan.objects[kind].steps:
            wanted = bound(value)
            found = fast(bound.step.function)(value, **bound.parameters)
            if bound.step.name == "threshold":
                same_but_for_rounding(value, bound.parameters, found.dense, wanted.dense)
            elif isinstance(wanted, Image):
                limit = 4e-7 * np.abs(wanted.pixels).max()
                np.testing.assert_allclose(found.pixels, wanted.pixels, rtol=0, atol=limit)
            else:
                np.testing.assert_array_equal(found.dense, wanted.dense)
            value = wanted
        for bound in plan.measure:
            channels = {"ch0": Image(image, pixel_um=0.3)}
            wanted = bound(value, channels)
            found = fast(bound.step.function)(value, channels, **bound.parameters)
            shaped = wanted if "eccentricity" in wanted else {"eccentricity": None, **wanted}
            for name, values in wanted.items():
                agree(name, found[name], values, shaped["eccentricity"])


def same_but_for_rounding(
    image: Image, parameters: Mapping[str, Any], found: np.ndarray, wanted: np.ndarray
) -> None:
    assert (found != wanted).mean() < 1e-3
    plain = {**parameters, "min_contrast_sd": None, "rim_fraction": None}
    rules = Rules(**{name: plain[name] for name in Rules.__dataclass_fields__})
    level = np.broadcast_to(rules.level(image.pixels), image.pixels.shape)
    differs = fast(threshold)(image, **plain).dense != threshold(image, **plain).dense
    np.testing.assert_allclose(image.pixels[differs], level[differs], rtol=4e-6)


def agree(name: str, found: np.ndarray, wanted: np.ndarray, eccentricity: np.ndarray) -> None:
    assert found.dtype == wanted.dtype, name
    if name in EXACT:
        np.testing.assert_array_equal(found, wanted, err_msg=name)
    elif name.removesuffix("_um") in GEOMETRY:
        np.testing.assert_allclose(found, wanted, rtol=1e-9, err_msg=name)
    elif name.removesuffix("_um") in SMALL:
        # The width of a line is 0; the reference takes the root of a rounding error.
        np.testing.assert_allclose(found**2, wanted**2, rtol=1e-9, atol=1e-9, err_msg=name)
    elif name == "orientation":
        # Of what lies along x, +π/2 and −π/2 are the same; of what is round, any is right.
        turned = np.abs(found - wanted)[eccentricity > 1e-3]
        np.testing.assert_allclose(np.minimum(turned, np.pi - turned), 0, atol=1e-9, err_msg=name)
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("preset", ["nuclei", "cells", "recipe"])
@pytest.mark.filterwarnings("ignore")  # what a reader has to say of a file is no matter here
def test_on_all_shared_images(preset: str, data: Path, tmp_path: Path) -> None:
    plan = recipe(tmp_path, "otsu") if preset == "recipe" else open_plan(preset)
    images = real_images(data)
    assert len(images) > 30, images
    same = []
    for path in images:
        for plane in planes(path):
            try:
                same.append(compare(plane, plan))
            except AssertionError as error:
                raise AssertionError(f"{path.name}: {error}") from error
    assert same.count(False) <= 4, "pixels that lie on the threshold but for rounding are rare"


@pytest.mark.parametrize(
    ("size", "n", "method", "correction"),
    [
        (512, 100, "otsu", ""),
        (512, 60, "triangle", "dark_flat: {dark_dn: 100}"),
        (512, 60, "isodata", "dark_flat: {dark_dn: 100, flat: flat.tif}"),
        (512, 60, "li", "electrons: {offset_dn: 100, gain_e_per_dn: 0.46}"),
        (512, 60, "yen", ""),
        (512, 60, "mean", "dark_flat: {dark_dn: 100, flat: flat.tif}"),
        (1024, 800, "otsu", "dark_flat: {dark_dn: 100, flat: flat.tif}"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint16", "float32", "uint8"])
def test_on_generated_frames(
    size: int, n: int, method: str, correction: str, dtype: str, tmp_path: Path
) -> None:
    scene = make_scene(size, n)
    tifffile.imwrite(tmp_path / "flat.tif", scene.flat * 1000 + 100)
    scale, top = (8, 255) if dtype == "uint8" else (1, 65535)
    pixels = np.clip(scene.raw / scale, 0, top).astype(dtype)
    assert compare(pixels, recipe(tmp_path, method, correction))


def test_both_are_told_apart(tmp_path: Path) -> None:
    """The switch reaches the steps: without it kernels run, with it none does."""
    plan = recipe(tmp_path, "otsu")
    fast, slow = plan.compile(["a"]), plan.compile(["a"], reference=True)
    assert len(fast._chains["nuclei"]) < len(slow._chains["nuclei"])
    assert {step.func for step in fast._measures}.isdisjoint(step.func for step in slow._measures)
