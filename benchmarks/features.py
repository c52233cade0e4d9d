"""Features alone, on the same labels: what libraries need for the shape and intensity of nuclei."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import user_script
from benchmarks.effort import Effort
from benchmarks.fields import Field, generated_field
from benchmarks.optional import optional
from benchmarks.pipelines import image_set, plan_for, scratch
from benchmarks.report import NOT_INSTALLED, Block
from benchmarks.scene import DARK_DN
from benchmarks.stage import median_ms
from dipstream.kernels import Linear
from dipstream.steps.fast import fast
from dipstream.steps.image import Image, Labels
from dipstream.steps.measure.intensity import intensity
from dipstream.steps.measure.shape import shape

__all__ = ["features"]

Plane = npt.NDArray[Any]
Work = Callable[[], Any]

_COLUMNS = {"library": "library", "ms": "ms", "ratio": "times dipstream", "objects": "objects"}

_NYXUS = (
    *("AREA_PIXELS_COUNT", "CENTROID_Y", "CENTROID_X", "BBOX_YMIN", "BBOX_XMIN", "BBOX_HEIGHT"),
    *("BBOX_WIDTH", "PERIMETER", "MAJOR_AXIS_LENGTH", "MINOR_AXIS_LENGTH", "ECCENTRICITY"),
    *("SOLIDITY", "ORIENTATION", "MEAN", "MAX", "MIN", "STANDARD_DEVIATION"),
    *("WEIGHTED_CENTROID_Y", "WEIGHTED_CENTROID_X"),
)


def features(effort: Effort) -> Block:
    """Time each library on the labels that dipstream finds."""
    field = generated_field(*effort.field)
    with scratch() as folder:
        line = plan_for(field, folder).compile(tuple(field.planes))
        labels = line.analyse(image_set(field)).labels["nuclei"]
    dense = np.ascontiguousarray(labels.dense)
    pixels = user_script.correct(next(iter(field.planes.values())), DARK_DN, field.flat)
    ways: Mapping[str, Work | None] = {
        "dipstream": _dipstream(labels, field),
        "scikit-image": lambda: user_script.measure(dense, [pixels]),
        "SimpleITK": _simpleitk(dense, pixels),
        "nyxus": _nyxus(dense, pixels),
        "cp_measure": _cp_measure(dense, pixels),
    }
    least_s = 0.05 if effort.quick else 0.5
    rows: list[dict[str, Any]] = []
    for name, work in ways.items():
        ms = NOT_INSTALLED if work is None else median_ms(work, least_s)
        ratio = ms / rows[0]["ms"] if rows and not isinstance(ms, str) else None
        rows.append({"library": name, "ms": ms, "ratio": ratio, "objects": labels.count})
    notes = ["Area, box, centroid, perimeter, ellipse, solidity; mean, extremes, spread, centroid."]
    return Block(f"Features alone, {field.name}, one thread", _COLUMNS, rows, notes)


def _dipstream(labels: Labels, field: Field) -> Work:
    raw = next(iter(field.planes.values()))
    gain = np.float32(1) if field.flat is None else np.float32(1) / field.flat
    pixels = Linear(raw, np.array(DARK_DN, np.float32), np.asarray(gain, np.float32))
    measures = fast(shape), fast(intensity)

    def work() -> None:
        fresh = Labels(labels.data)  # without the views that an earlier call has left
        images = {"ch0": Image(pixels)}
        for measure in measures:
            measure(fresh, images)

    return work


def _simpleitk(labels: Plane, pixels: Plane) -> Work | None:
    itk = optional("SimpleITK")
    if itk is None:
        return None
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def work() -> None:
        objects, image = itk.GetImageFromArray(labels), itk.GetImageFromArray(pixels)
        outlines = itk.LabelShapeStatisticsImageFilter()
        outlines.Execute(objects)
        brightness = itk.LabelIntensityStatisticsImageFilter()
        brightness.Execute(objects, image)
        for label in outlines.GetLabels():
            outlines.GetPerimeter(label)
            brightness.GetMean(label)

    return work


def _nyxus(labels: Plane, pixels: Plane) -> Work | None:
    nyxus = optional("nyxus")
    if nyxus is None:
        return None
    measure = nyxus.Nyxus(list(_NYXUS), n_feature_calc_threads=1)
    image, objects = np.clip(pixels, 0, None).astype(np.uint32), labels.astype(np.uint32)
    return lambda: measure.featurize(image, objects)


def _cp_measure(labels: Plane, pixels: Plane) -> Work | None:
    bulk = optional("cp_measure.bulk")
    if bulk is None:
        return None
    measures = bulk.get_core_measurements()

    def work() -> None:
        measures["sizeshape"](labels, pixels, calculate_advanced=False)
        measures["intensity"](labels, pixels, edge_measurements=False)

    return work
