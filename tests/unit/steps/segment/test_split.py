"""Objects out of foreground."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage.measure import label

from dipstream.errors import ConfigError
from dipstream.steps.image import Mask
from dipstream.steps.segment.split import _levels, smoothing_weights, split

EIGHT = np.ones((3, 3), bool)
MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def disks(shape, *circles):
    y, x = np.ogrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, bool)
    for cy, cx, radius in circles:
        mask |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    return mask


def crowd(seed=0, n=40, size=160):
    rng = np.random.default_rng(seed)
    return disks(
        (size, size), *zip(*rng.uniform(0, size, (2, n)), rng.uniform(5, 11, n), strict=True)
    )


@given(mask=MASKS)
@settings(deadline=None)
def test_none_labels_regions(mask):
    found = split(Mask(mask), method="none").dense
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, label(mask, connectivity=2))


@given(mask=MASKS, h=st.floats(0.01, 5), smooth=st.sampled_from([0.0, 0.7, 2.0]))
@settings(deadline=None)
def test_every_foreground_pixel_gets_into_one_whole_object(mask, h, smooth):
    found = split(Mask(mask), h_px=h, smooth_px=smooth).dense
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found > 0, mask)
    firsts = list(dict.fromkeys(found[found > 0].tolist()))
    assert firsts == list(range(1, found.max(initial=0) + 1))
    for number in firsts:
        assert ndi.label(found == number, EIGHT)[1] == 1


def test_touching_disks_are_cut_at_the_neck():
    mask = disks((60, 80), (30, 25, 14), (30, 50, 14))
    found = split(Mask(mask)).dense
    assert found.max() == 2
    assert (found[30, 25], found[30, 50]) == (1, 2)
    ys, xs = np.nonzero((found[:, :-1] == 1) & (found[:, 1:] == 2))
    assert len(ys)
    np.testing.assert_allclose(xs, 37, atol=1)


@pytest.mark.parametrize(("h", "objects"), [(0.75, 2), (3.0, 2), (9.0, 1)])
def test_h_is_the_depth_of_the_neck(h, objects):
    # radius 14, neck of half-width sqrt(14² - 12²) = 7.2: depth 6.8
    mask = disks((60, 80), (30, 25, 14), (30, 49, 14))
    assert split(Mask(mask), h_px=h, smooth_px=0).count == objects


def test_an_ellipse_with_a_rough_outline_is_one_object():
    y, x = np.mgrid[:80, :120]
    angle = np.arctan2(y - 40, x - 60)
    edge = 1 + 0.03 * np.sin(17 * angle)
    mask = ((y - 40) / 20) ** 2 + ((x - 60) / 40) ** 2 <= edge**2
    assert split(Mask(mask)).count == 1


def test_thin_and_small_regions_keep_an_object():
    mask = np.zeros((20, 20), bool)
    mask[2, 2] = mask[5, 3:18] = True
    mask[9:16, 9:16] = True
    assert split(Mask(mask), h_px=5).count == 3


def test_regions_that_meet_at_a_corner_are_one():
    mask = np.zeros((6, 6), bool)
    mask[2, 2] = mask[3, 3] = True
    assert split(Mask(mask), h_px=3).count == 1


def test_the_border_is_no_background():
    mask = disks((40, 60), (0, 30, 14))
    assert split(Mask(mask)).count == 1
    assert split(Mask(np.ones((30, 40), bool))).count == 1


def test_nothing_gives_nothing():
    assert split(Mask(np.zeros((5, 6), bool))).count == 0


def test_a_region_does_not_depend_on_others_far_away():
    alone = disks((200, 200), (40, 40, 12), (40, 60, 11))
    more = alone | disks((200, 200), (150, 150, 30), (150, 120, 12))
    np.testing.assert_array_equal(
        split(Mask(alone)).dense[:90, :90] > 1, split(Mask(more)).dense[:90, :90] > 1
    )


def test_the_seeds_are_the_maxima_that_rise_by_h():
    """Counted the slow way: flood the levels one by one and see which peaks merge when."""
    mask = crowd()
    found = split(Mask(mask), h_px=0.5, smooth_px=1.0).count
    assert found == _peaks_rising_by(_levels_by_pixel(mask, 1.0), 32)


def _levels_by_pixel(mask, sigma):
    """Take each step of the definition as it stands, for whole planes of one region each."""
    reach = int(4 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    gaussian = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights = np.rint(4096 * gaussian / gaussian.sum()).astype(int)
    weights[reach] += 4096 - weights.sum()
    regions, n = ndi.label(mask, EIGHT)
    distance = np.rint(64 * ndi.distance_transform_edt(mask)).astype(int)
    levels = np.full(mask.shape, -1)
    for number in range(1, n + 1):
        smooth = np.where(regions == number, distance, 0)
        for axis in (0, 1):
            pads = [(reach, reach) if other == axis else (0, 0) for other in (0, 1)]
            padded = np.pad(smooth, pads, "symmetric")
            length = mask.shape[axis]
            shifted = [padded.take(range(k, k + length), axis) for k in range(2 * reach + 1)]
            smooth = (np.tensordot(weights, np.array(shifted), 1) + 2048) >> 12
        levels[regions == number] = smooth[regions == number]
    return levels


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_levels_are_those_of_the_definition(sigma):
    mask = crowd(seed=5)
    levels = _levels(mask, smoothing_weights(sigma))
    np.testing.assert_array_equal(levels, np.maximum(_levels_by_pixel(mask, sigma), 0))


@pytest.mark.parametrize("h", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_objects_are_the_peaks_that_rise_by_h(seed, h):
    """Of crowds that differ: basins may merge in another order, but as many are left."""
    mask = crowd(seed, n=60)
    found = split(Mask(mask), h_px=h).count
    assert found == _peaks_rising_by(_levels_by_pixel(mask, 1.0), round(64 * h))


def test_a_neighbour_lends_no_distance():
    alone = disks((60, 80), (30, 22, 12), (30, 40, 9))
    beside = alone | disks((60, 80), (35, 63, 12))
    np.testing.assert_array_equal(
        split(Mask(alone), smooth_px=4).dense, split(Mask(beside), smooth_px=4).dense * alone
    )


def test_paths_climb_to_the_highest_neighbour_and_along_level_ground_to_the_first():
    # Levels 64 at all pixels: a single line leads from each to the one before it.
    line = np.zeros((3, 9), bool)
    line[1] = True
    assert split(Mask(line), smooth_px=0, h_px=1e-9).count == 1
    # Two blocks that share a waist of depth 1.
    waist = np.zeros((7, 11), bool)
    waist[1:6, 1:6] = waist[1:6, 6:] = True
    waist[[1, 2, 4, 5], 5] = False
    found = split(Mask(waist), smooth_px=0, h_px=0.4).dense
    assert found.max() == 2
    assert found[3, 5] == 1
    # The lower top, of depth √5 px or 143 levels, rises 79 above it: exactly `h` is enough.
    assert split(Mask(waist), smooth_px=0, h_px=79 / 64).count == 2
    assert split(Mask(waist), smooth_px=0, h_px=80 / 64).count == 1


NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
EARLIER = ((-1, 0), (0, -1), (-1, -1), (-1, 1))
LATER = ((0, 1), (1, 0), (1, -1), (1, 1))


def split_pixel_by_pixel(levels, h):
    """Follow each path, then join basins way by way, as steps 3 and 4 are written."""
    level = {(int(y), int(x)): int(levels[y, x]) for y, x in np.argwhere(levels >= 0)}

    def beside(pixel, steps):
        found = ((pixel[0] + y, pixel[1] + x) for y, x in steps)
        return [other for other in found if other in level]

    def up(pixel):
        around = beside(pixel, NEIGHBOURS)
        highest = max((level[other] for other in around), default=-1)
        if highest > level[pixel]:
            return next(other for other in around if level[other] == highest)
        equal = (other for other in beside(pixel, EARLIER) if level[other] == level[pixel])
        return next(equal, None)

    group = {}
    for pixel in level:
        top = pixel
        while (above := up(top)) is not None:
            top = above
        group[pixel] = top
    ways = [(p, q) for p in level for q in beside(p, LATER) if group[p] != group[q]]
    for p, q in sorted(ways, key=lambda way: -min(level[way[0]], level[way[1]])):
        low, high = sorted((group[p], group[q]), key=level.__getitem__)
        if level[low] - min(level[p], level[q]) < h:
            group = {pixel: high if top == low else top for pixel, top in group.items()}
    number = {top: i for i, top in enumerate(dict.fromkeys(group.values()), 1)}
    labels = np.zeros(levels.shape, int)
    for pixel, top in group.items():
        labels[pixel] = number[top]
    return labels


@pytest.mark.parametrize(
    ("rows", "smooth_px", "h_px"),
    [
        ("#.## ##.# #.## ....", 0.0, 0.1),
        (".#### .##.# ##### .#.#. .#.#. .#... ##..# ..#..", 0.0, 0.1),
        ("### ### #.# .#. .##", 0.0, 0.1),
        ("..#####.# ###.#.### ########.", 0.0, 0.4),
        (".#### ##### ##### ###.# ####.", 0.5, 0.5),
        ("### ### #.#", 0.5, 0.1),
        ("#######..# ########## ##.#######", 0.0, 0.1),
        ("#.### ##### ###.#", 0.0, 0.4),
        ("##.## ##### #####", 0.0, 0.5),
        ("#.#. ..#. ###. #### #.#. .#.# #.## ##.#", 0.0, 0.1),
        ("#.## ##.# .###", 0.0, 0.4),
        ("#..#.#.# .##.#.## ..######", 0.0, 0.1),
    ],
)
def test_where_neighbours_are_equal_their_order_decides(rows, smooth_px, h_px):
    """Each of these comes out otherwise if two of the directions change places."""
    mask = np.array([[pixel == "#" for pixel in row] for row in rows.split()])
    found = split(Mask(mask), smooth_px=smooth_px, h_px=h_px).dense
    levels = _levels(mask, smoothing_weights(smooth_px))
    wanted = split_pixel_by_pixel(np.where(mask, levels, -1), round(64 * h_px))
    np.testing.assert_array_equal(found, wanted)


@given(mask=MASKS, smooth_px=st.sampled_from([0.0, 0.5, 1.0]), h_px=st.sampled_from([0.1, 0.4, 1]))
@settings(deadline=None, max_examples=40)
def test_objects_are_those_of_the_definition(mask, smooth_px, h_px):
    found = split(Mask(mask), smooth_px=smooth_px, h_px=h_px).dense
    if not mask.all():
        levels = np.where(mask, _levels(mask, smoothing_weights(smooth_px)), -1)
        np.testing.assert_array_equal(found, split_pixel_by_pixel(levels, round(64 * h_px)))


def _peaks_rising_by(levels, h):
    alive = 0
    tops = {}
    for level in range(int(levels.max()), -1, -1):
        regions, n = ndi.label(levels >= level, EIGHT)
        merged = {}
        for (y, x), top in tops.items():
            merged.setdefault(regions[y, x], []).append((top, (y, x)))
        for number in range(1, n + 1):
            if number not in merged:
                y, x = map(int, np.argwhere(regions == number)[0])
                merged[number] = [(level, (y, x))]
        tops = {}
        for peaks in merged.values():
            peaks.sort(reverse=True)
            tops[peaks[0][1]] = peaks[0][0]
            # the lower peaks end here; those that rose by h count
            alive += sum(top - level >= h for top, _ in peaks[1:])
    return alive + len(tops)


def test_the_same_twice():
    mask = Mask(crowd(seed=3), pixel_um=0.2).with_estimates(threshold=9)
    once, twice = split(mask), split(mask)
    np.testing.assert_array_equal(once.dense, twice.dense)
    assert (once.pixel_um, once.estimates["threshold"]) == (0.2, 9)


@pytest.mark.parametrize("parameters", [{"smooth_px": 1.0}, {"h_px": 1.0}])
def test_parameters_without_meaning_are_refused(parameters):
    with pytest.raises(ConfigError, match="method: distance"):
        split(Mask(np.ones((3, 3), bool)), method="none", **parameters)
