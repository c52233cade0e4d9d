from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import expand_labels

from dipstream.errors import ConfigError, StepError
from dipstream.frame import Frame, ImageSet, Segment
from dipstream.pipeline import Plan

Make = Callable[[str], Plan]

TEXT = """\
dipstream: 1
objects:
  nuclei:
    channel: DAPI
    steps:
      [{gaussian: {sigma_px: 1}}, {threshold: {method: manual, value: 60}}, {split: {method: none}}]
  ring: {around: nuclei, inner_px: 1, outer_px: 4}
measure: [{intensity: {}}, {shape: {}}]
"""
CHANNELS = ("DAPI", "GFP")


@pytest.fixture
def two(
    make_set: Callable[..., ImageSet], make_frame: Callable[..., Frame], squares: np.ndarray
) -> Callable[..., ImageSet]:
    """DAPI shows squares; GFP counts its pixels."""

    def made(*channels: str, **info: Any) -> ImageSet:
        pixels = {"DAPI": squares, "GFP": np.arange(squares.size, dtype="uint16").reshape(40, 50)}
        segment = Segment((40, 50), "uint16", **info.pop("segment", {}))
        frames = [
            make_frame(0, name, pixels[name], segment=segment, **info)
            for name in channels or CHANNELS
        ]
        return make_set(*frames, channels=CHANNELS)

    return made


def columns(rows: Any) -> dict[str, np.ndarray]:
    return {name: rows.column(name) for name in rows.schema.names}


def test_measured_are_corrected_and_not_filtered_pixels(
    plan: Make, two: Callable[..., ImageSet], squares: np.ndarray
) -> None:
    image_set = two()
    done = plan(TEXT).compile(CHANNELS).analyse(image_set)
    labels = done.labels["nuclei"].dense
    smooth = ndimage.gaussian_filter(squares.astype("float32"), 1)
    np.testing.assert_array_equal(labels > 0, smooth > 60)
    found = columns(done.tables["nuclei"])
    assert found["label"].tolist() == [1, 2, 3]
    for channel in CHANNELS:
        raw = image_set.pixels(channel)
        for name, function in [("mean", ndimage.mean), ("max", ndimage.maximum)]:
            np.testing.assert_allclose(
                found[f"intensity_{name}_{channel}"], function(raw, labels, [1, 2, 3]), rtol=1e-12
            )


def test_a_correction_changes_what_is_measured(plan: Make, two: Callable[..., ImageSet]) -> None:
    text = TEXT + "correct: [{gaussian: {sigma_px: 2, channels: [GFP]}}]\n"
    image_set = two()
    plain = plan(TEXT).compile(CHANNELS).analyse(image_set).tables["nuclei"]
    done = plan(text).compile(CHANNELS).analyse(image_set)
    labels, found = done.labels["nuclei"].dense, done.tables["nuclei"]
    smooth = ndimage.gaussian_filter(image_set.pixels("GFP").astype("float32"), 2)  # type: ignore[union-attr]
    np.testing.assert_allclose(
        found.column("intensity_std_GFP"),
        ndimage.standard_deviation(smooth, labels, [1, 2, 3]),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(
        found.column("intensity_std_DAPI"), plain.column("intensity_std_DAPI")
    )


def test_corrections_come_in_the_order_of_the_file(
    plan: Make, two: Callable[..., ImageSet]
) -> None:
    orders = [
        "[{gaussian: {}}, {median: {size_px: 5}}]",
        "[{median: {size_px: 5}}, {gaussian: {}}]",
    ]
    means = [
        plan(TEXT + f"correct: {order}\n").compile(CHANNELS).analyse(two()).tables["nuclei"]
        for order in orders
    ]
    assert not np.array_equal(
        means[0].column("intensity_std_DAPI"), means[1].column("intensity_std_DAPI")
    )


def test_rings_lie_around_their_objects_under_the_same_label(
    plan: Make, two: Callable[..., ImageSet]
) -> None:
    done = plan(TEXT).compile(CHANNELS).analyse(two())
    nuclei, ring = done.labels["nuclei"].dense, done.labels["ring"].dense
    inner, outer = expand_labels(nuclei, 1), expand_labels(nuclei, 4)
    np.testing.assert_array_equal(ring, np.where(inner > 0, 0, outer))
    assert not (ring * nuclei).any()
    rows = done.tables["ring"]
    assert rows.column("label").tolist() == [1, 2, 3]
    np.testing.assert_allclose(
        rows.column("intensity_mean_GFP"), ndimage.mean(two().pixels("GFP"), ring, [1, 2, 3])
    )


def test_the_first_channel_is_segmented_if_none_is_named(
    plan: Make, two: Callable[..., ImageSet]
) -> None:
    text = TEXT.replace("    channel: DAPI\n", "")
    first = plan(text).compile(("DAPI", "GFP"))
    assert first.channel_of("nuclei") == first.channel_of("ring") == "DAPI"
    assert plan(text).compile(("GFP", "DAPI")).channel_of("ring") == "GFP"


def test_without_the_channel_nothing_can_be_segmented(
    plan: Make, two: Callable[..., ImageSet]
) -> None:
    with pytest.raises(StepError, match=r"'DAPI', in which nuclei are segmented, is missing.*GFP"):
        plan(TEXT).compile(CHANNELS).analyse(two("GFP"))


def test_a_partial_set_has_empty_columns_for_what_is_missing(
    plan: Make, two: Callable[..., ImageSet]
) -> None:
    whole = columns(plan(TEXT).compile(CHANNELS).analyse(two()).tables["nuclei"])
    part = columns(plan(TEXT).compile(CHANNELS).analyse(two("DAPI")).tables["nuclei"])
    assert list(part) == list(whole), "the table stays as it is"
    for name, values in part.items():
        if name.endswith("GFP"):
            assert np.isnan(values).all()
            assert len(values) == 3
        else:
            np.testing.assert_array_equal(values, whole[name])


def test_the_table_is_known_before_the_first_frame(plan: Make) -> None:
    line = plan(TEXT).compile(CHANNELS)
    assert line.kinds == ("nuclei", "ring")
    names = line.schemas["nuclei"].names
    assert names[:7] == (*("label", "y_px", "x_px", "y_um", "x_um", "world_y_um", "world_x_um"),)
    assert line.schemas["ring"].names == names
    assert {"intensity_mean_DAPI", "intensity_sum_GFP", "area"} <= set(names)
    steps = {column.name: column.step for column in line.schemas["nuclei"]}
    assert (steps["area"], steps["intensity_mean_GFP"]) == ("shape", "intensity")
    assert all(steps.values())


def test_estimates_say_what_was_found_out(plan: Make, two: Callable[..., ImageSet]) -> None:
    done = plan(TEXT).compile(CHANNELS).analyse(two())
    assert done.estimates["nuclei_threshold"] == 60
    drift = plan(TEXT + "correct: [{align: {}}]\n").compile(CHANNELS).analyse(two())
    assert drift.estimates["drift_y_px"] == drift.estimates["drift_x_px"] == 0
    assert "nuclei_drift_y_px" not in drift.estimates


def test_centroids_in_px_and_um(plan: Make, two: Callable[..., ImageSet]) -> None:
    line = plan(TEXT).compile(CHANNELS)
    done = line.analyse(two(segment={"pixel_um": 0.5}))
    rows = done.tables["nuclei"]
    centres = np.array(
        ndimage.center_of_mass(
            done.labels["nuclei"].dense > 0, done.labels["nuclei"].dense, [1, 2, 3]
        )
    )
    np.testing.assert_allclose(rows.column("y_px"), centres[:, 0])
    np.testing.assert_allclose(rows.column("x_px"), centres[:, 1])
    np.testing.assert_allclose(rows.column("y_um"), centres[:, 0] * 0.5)
    np.testing.assert_allclose(rows.column("x_um"), centres[:, 1] * 0.5)
    assert np.isnan(rows.column("world_y_um")).all()
    unknown = line.analyse(two()).tables["nuclei"]
    assert np.isnan(unknown.column("y_um")).all()


def test_world_coordinates_need_camera_and_stage(plan: Make, two: Callable[..., ImageSet]) -> None:
    line = plan(TEXT).compile(CHANNELS)
    affine = (0.0, -1.0, 7.0, 2.0, 0.0, 9.0)  # turned by 90°, stretched and moved
    segment = {"pixel_um": 0.5, "camera_to_stage": affine}
    rows = line.analyse(two(segment=segment, stage_um=(1000.0, 2000.0, 5.0))).tables["nuclei"]
    y, x = rows.column("y_um"), rows.column("x_um")
    np.testing.assert_allclose(rows.column("world_x_um"), 1000 - y + 7)
    np.testing.assert_allclose(rows.column("world_y_um"), 2000 + 2 * x + 9)
    for missing in [{"segment": segment}, {"stage_um": (1.0, 2.0, 3.0)}]:
        rows = line.analyse(two(**missing)).tables["nuclei"]
        assert np.isnan(rows.column("world_x_um")).all()


def test_quality_and_content_of_every_frame(plan: Make, two: Callable[..., ImageSet]) -> None:
    line = plan(TEXT).compile(CHANNELS)
    done, again = line.analyse(two()), line.analyse(two())
    assert len(done.quality) == 2
    assert done.content_hashes == again.content_hashes
    assert len(set(done.content_hashes)) == 2
    assert done.segmented_ns is not None


def test_a_stack_is_projected(
    plan: Make, make_set: Callable[..., ImageSet], make_frame: Callable[..., Frame], squares: Any
) -> None:
    planes = [np.where(np.arange(50) % 3 == k, squares, 0).astype("uint16") for k in range(3)]
    frames = [make_frame(0, "DAPI", plane, z=z) for z, plane in enumerate(planes)]
    text = TEXT.replace("[{gaussian: {sigma_px: 1}}, ", "[")
    flat = plan(text).compile(["DAPI"]).analyse(make_set(make_frame(0, "DAPI", squares)))
    for more in ("assemble: {z: project}\n", "assemble: {z: stack}\ncorrect: [{project: {}}]\n"):
        found = plan(text + more).compile(["DAPI"]).analyse(make_set(*frames))
        np.testing.assert_array_equal(found.labels["nuclei"].dense, flat.labels["nuclei"].dense)


def test_a_mask_at_the_end_becomes_objects(plan: Make, two: Callable[..., ImageSet]) -> None:
    text = TEXT.replace(", {split: {method: none}}]", "]")
    one, other = (plan(t).compile(CHANNELS).analyse(two()) for t in (text, TEXT))
    np.testing.assert_array_equal(one.labels["nuclei"].dense, other.labels["nuclei"].dense)


def test_corrections_are_rehearsed(plan: Make, tmp_path: Any) -> None:
    import tifffile  # noqa: PLC0415

    tifffile.imwrite(tmp_path / "dark.tif", np.full((8, 8), 3, "uint16"))
    line = plan(TEXT + "correct: [{dark_flat: {dark: dark.tif}}]\n").compile(CHANNELS)
    line.rehearse(Segment((8, 8), "uint16"))
    with pytest.raises((ConfigError, StepError), match="dark_flat"):
        line.rehearse(Segment((8, 9), "uint16"))


def test_nothing_is_changed_by_an_analysis(plan: Make, two: Callable[..., ImageSet]) -> None:
    image_set = two()
    before = [frame.data.copy() for frame in image_set.frames]
    line = plan(TEXT + "correct: [{align: {}}, {gaussian: {}}]\n").compile(CHANNELS)
    line.analyse(image_set)
    line.analyse(replace(image_set, set_id=1))
    for frame, copy in zip(image_set.frames, before, strict=True):
        np.testing.assert_array_equal(frame.data, copy)
