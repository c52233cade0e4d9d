"""The benchmarks measure what they say: the same recipe everywhere, every block in the JSON."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import feature, filters, measure, morphology, segmentation

from benchmarks import opencv_script, user_script
from benchmarks.blocks import BLOCKS, measured
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.fields import Field, generated_field, moving
from benchmarks.goals import GOALS, Goal, judged
from benchmarks.long_line import growth_mb_per_10000
from benchmarks.optional import optional
from benchmarks.pipelines import image_set, plan_for, threads_rate
from benchmarks.player import Player
from benchmarks.report import NOT_INSTALLED, Block, show
from benchmarks.scene import DARK_DN, make_scene
from benchmarks.step_times import step_times
from dipstream.errors import StepError
from dipstream.truth import f1_score

EXTRAS = {
    "chain": {"opencv_ms": "cv2"},
    "linking": {"laptrack_ms": "laptrack"},
    "features": {"SimpleITK": "SimpleITK", "nyxus": "nyxus", "cp_measure": "cp_measure.bulk"},
}
TINY: Effort = replace(
    QUICK,
    chain=((128, 8),),
    stages=((128, 8),),
    field=(128, 8),
    small=(128, 8),
    linked=((128, 8),),
    simulated=((128, 6),),
    rounds=1,
    seconds=0.2,
    memory_frames=30,
    pair=False,
)


@pytest.fixture(scope="module")
def field() -> Field:
    return generated_field(256, 25)


def script(field: Field, of=user_script) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    return of.nuclei_of(list(field.planes.values()), DARK_DN, field.flat)


@pytest.fixture(scope="module")
def crowded() -> Field:
    """Nuclei side by side, one with a hole, and a speck of 6 × 6 px."""
    field = generated_field(384, 160)
    raw, truth = field.planes["ch0"].copy(), make_scene(384, 160).truth
    y, x = (int(np.median(at)) for at in np.nonzero(truth == 1))
    raw[y - 2 : y + 3, x - 2 : x + 3] = DARK_DN
    empty = ndi.distance_transform_edt(truth == 0)
    y, x = np.unravel_index(np.argmax(empty), empty.shape)
    raw[y - 3 : y + 3, x - 3 : x + 3] = 1000
    return replace(field, planes={"ch0": raw})


def test_the_users_script_is_the_recipe(crowded: Field) -> None:
    field = crowded
    raw = field.planes["ch0"]
    pixels = (raw.astype(np.float32) - np.float32(100)) / field.flat
    smooth = filters.gaussian(pixels, 1.5, preserve_range=True)
    mask = ndi.binary_fill_holes(smooth > filters.threshold_otsu(smooth))
    mask = morphology.remove_small_objects(mask, max_size=49)
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(mask), 1.0)
    regions, _ = ndi.label(mask)
    peaks = feature.peak_local_max(distance, min_distance=7, labels=regions, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    for number, (y, x) in enumerate(peaks, 1):
        markers[y, x] = number
    expected = segmentation.watershed(-distance, markers, mask=mask)

    labels, table = script(field)
    np.testing.assert_array_equal(labels, expected)
    assert 120 < labels.max() < 170
    for one in measure.regionprops(labels, intensity_image=pixels):
        row = one.label - 1
        assert table["area"][row] == one.area
        assert table["solidity"][row] == one.solidity
        assert table["intensity_std"][row] == pytest.approx(one.intensity_std, rel=1e-6)
        assert table["centroid_weighted-1"][row] == pytest.approx(one.centroid_weighted[1])


def test_both_channels_are_measured(field: Field) -> None:
    raw = field.planes["ch0"]
    _, table = user_script.nuclei_of([raw, raw * 2], DARK_DN, None)
    first, second = table["intensity_mean-0"], table["intensity_mean-1"]
    np.testing.assert_allclose(second, 2 * first + DARK_DN, rtol=1e-5)


def test_dipstream_has_the_same_recipe(field: Field, tmp_path: Path) -> None:
    """Same pixels, same mask; objects differ only where the splits of the two differ."""
    labels, table = script(field)
    analysis = plan_for(field, tmp_path).compile(["ch0"]).analyse(image_set(field))
    found = analysis.labels["nuclei"].dense
    assert np.mean((found > 0) != (labels > 0)) < 5e-4
    assert f1_score(labels, found, 0.7) > 0.9
    rows = analysis.tables["nuclei"]
    for ours, theirs in (("area", "area"), ("intensity_mean_ch0", "intensity_mean")):
        assert np.median(rows.column(ours)) == pytest.approx(np.median(table[theirs]), rel=0.02)


@pytest.mark.skipif(optional("cv2") is None, reason="needs the extra bench")
def test_opencv_has_the_same_recipe(crowded: Field) -> None:
    assert opencv_script.available()
    labels, _ = script(crowded)
    found, table = script(crowded, opencv_script)
    assert np.mean((found > 0) != (labels > 0)) < 5e-3  # Otsu's bins are finer
    np.testing.assert_array_equal(found > 0, ndi.binary_fill_holes(found > 0))
    assert table["area"].min() > 25
    assert f1_score(labels, found, 0.7) > 0.9
    assert len(table["area"]) == found.max()


def test_frames_of_a_moving_field_differ_a_little(field: Field) -> None:
    shown = [one.planes["ch0"] for one in moving(field)]
    for one, other in zip(shown, [*shown[1:], shown[0]], strict=True):
        assert not np.array_equal(one, other)
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))


@pytest.mark.parametrize("fresh", [False, True])
def test_the_player_counts_and_ends(field: Field, fresh: bool) -> None:
    pair = Field("pair", {"a": field.planes["ch0"], "b": field.planes["ch0"] + 1})
    with Player([pair], frames=3, fresh=fresh) as player:
        frames = list(player.frames())
    assert [(f.info.t, f.info.channel) for f in frames] == [(t, c) for t in range(3) for c in "ab"]
    assert [f.info.seq for f in frames] == list(range(6))
    assert np.shares_memory(frames[0].data, frames[2].data) != fresh
    np.testing.assert_array_equal(frames[4].data, pair.planes["a"])


@pytest.mark.parametrize("stop", [False, True])
def test_the_player_rests_until_told_to_go_on(field: Field, stop: bool) -> None:
    with Player([field], frames=5, rest_every=2) as player:
        shown = []
        thread = Thread(target=lambda: shown.extend(player.frames()))
        thread.start()
        for rest in (2, 4):
            wait_until(lambda: player.rests)
            assert len(shown) == player.shown == rest
            if stop:
                player.stop()
                break
            player.go_on()
        thread.join(timeout=5)
    assert len(shown) == (2 if stop else 5)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_player_keeps_its_pace(field: Field) -> None:
    with Player([field], frames=5, fps=50) as player:
        at = [frame.info.received_monotonic_ns for frame in player.frames()]
    assert at[-1] - at[0] >= 4 / 50 * 1e9 - 1e6


def test_the_steps_of_a_frame_are_told_apart(field: Field, tmp_path: Path) -> None:
    line = plan_for(field, tmp_path).compile(["ch0"])
    times = step_times(line, [image_set(field)], frames=3)
    names = " ".join(times)
    for step in ("dark_flat", "threshold", "fill_holes", "clean", "split", "shape", "intensity"):
        assert step in names
    assert {"content hash", "centroids", "steps/quality: frame_quality", "the rest"} <= set(times)
    assert "steps/image: moments" not in times, "the centroids, which have a line, call for them"
    assert min(times.values()) >= 0
    assert times["the rest"] < sum(times.values()) / 2


def test_an_error_in_a_thread_is_raised(field: Field, tmp_path: Path) -> None:
    line = plan_for(field, tmp_path).compile(["ch0"])
    small = Field("small", {"ch0": field.planes["ch0"][:64, :64]})
    with pytest.raises(StepError, match="64 × 64 px"):
        threads_rate(line, [image_set(small)], 2, 0.0)


@pytest.mark.parametrize(("slope", "jitter"), [(0.0, 0.0), (52.4, 3.0), (-2.0, 0.0)])
def test_growth_is_the_slope_after_the_first_tenth(slope: float, jitter: float) -> None:
    committed = np.arange(0, 2000, 7)
    resident = 300 + slope * committed / 1e4 + 80 * (committed < 150)
    resident = resident + jitter * (np.arange(len(committed)) % 9 == 0)
    growth = growth_mb_per_10000(committed.tolist(), resident.tolist())
    assert growth == pytest.approx(slope, abs=1.0 if jitter else 1e-6)


def test_growth_of_a_moment_is_not_known() -> None:
    assert growth_mb_per_10000([0], [300.0]) is None
    assert growth_mb_per_10000([0, 40, 40], [300.0, 310.0, 320.0]) is None


@pytest.mark.parametrize(
    ("smaller", "values"),
    [(False, {85.0: "goal", 60.0: "floor", 59.0: "MISSED"}), (True, {2.0: "goal", 4.0: "MISSED"})],
)
def test_verdicts(smaller: bool, values: dict[float, str]) -> None:
    floor, goal = (3, 2) if smaller else (60, 85)
    judge = Goal("x", lambda _: None, floor, goal, "", smaller=smaller)
    assert {value: judge.verdict(value) for value in values} == values


def test_goals_find_their_figures() -> None:
    """Names of blocks, rows and figures are those that the blocks have."""
    blocks = {
        "chain": [{"field": f"2048² / {n}", "ratio": 50.0} for n in (100, 800, 3000)]
        + [{"field": "pair 1392 × 940", "ratio": 30.0}],
        "linking": [{"side_px": 2048, "share": 1.0}, {"side_px": 2048, "share": 5.0}],
        "end_to_end": [
            {"key": "alone", "what": "2048² / 800, analysis alone"},
            {"key": "line", "what": "2048² / 800, from memory", "share": 70.0},
            {"key": "paced", "what": "2048² / 800, 30 frames/s", "p99_ms": 70.0},
        ],
        "memory": [{"what": "512² / 60", "growth_mb_per_10000": 0.5}],
        "simulator": [{"side_px": s, "frames_per_s": 20.0} for s in (2048, 512)],
        "folder": [{"polls": 0.5}],
    }
    rows = judged({name: Block(name, {}, rows) for name, rows in blocks.items()}).rows
    assert [row["verdict"] for row in rows] == [
        *("floor", "floor", "floor", "floor", "goal missed", "floor", "MISSED"),
        *("floor", "MISSED", "goal"),
    ]
    assert len(rows) == len(GOALS)
    assert judged({}).rows == []


def figures_of_goals(found: dict[str, Block]) -> None:
    """What the goals look for is in the rows."""
    assert {"field", "ratio"} <= set(found["chain"].rows[0])
    assert {"side_px", "share"} <= set(found["linking"].rows[0])
    assert {"what", "key", "share"} <= set(found["end_to_end"].rows[1])
    assert {"what", "key", "p99_ms"} <= set(found["end_to_end"].rows[2])
    assert {"what", "growth_mb_per_10000"} <= set(found["memory"].rows[0])
    assert {"side_px", "frames_per_s"} <= set(found["simulator"].rows[0])
    assert {"polls"} <= set(found["folder"].rows[0])


def test_every_full_size_is_one_that_a_goal_names() -> None:
    assert {(2048, 800), (2048, 3000)} <= set(FULL.chain)
    assert FULL.field == (2048, 800)
    assert FULL.small[0] == 512


def test_plain_text_is_aligned() -> None:
    stream = io.StringIO()
    show(
        Block("T", {"a": "name", "b": "ms"}, [{"a": "x", "b": 1234.5}, {"a": "y"}], ["n."]), stream
    )
    assert stream.getvalue() == "T\n  name    ms\n  x     1234\n  y        –\n  n.\n\n"


def test_every_block_is_measured_and_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.commit.SIZES", (20,))
    monkeypatch.setattr("benchmarks.commit.FRAMES_PER_S", 500)
    found = dict(measured(BLOCKS, TINY))
    assert list(found) == list(BLOCKS)
    for name, block in found.items():
        assert block.rows, name
        for row in block.rows:
            assert set(block.columns) & set(row)
        json.dumps(block.as_json(), allow_nan=False)
    figures_of_goals(found)
    for name in ("chain", "linking"):
        for figure, library in EXTRAS[name].items():
            for row in found[name].rows:
                assert (row[figure] == NOT_INSTALLED) == (optional(library) is None)
    for row in found["features"].rows:
        library = EXTRAS["features"].get(row["library"])
        assert (row["ms"] == NOT_INSTALLED) == (library is not None and optional(library) is None)
    assert [row["key"] for row in found["end_to_end"].rows] == ["alone", "line", "paced", "sim"]
    for row in found["end_to_end"].rows[1:]:
        assert row["balanced"]
        assert row["frames"] > 0


def test_the_command_writes_json_alone_to_standard_output(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", "simulator", "--json", "-"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"DIPSTREAM_HOME": str(home)},
    )
    found = json.loads(done.stdout)
    assert found["quick"] is True
    assert found["machine"]["dipstream"]
    assert list(found["blocks"]) == ["simulator", "goals"]
    assert "Simulator" in done.stderr
