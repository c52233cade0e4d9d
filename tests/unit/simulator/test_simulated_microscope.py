"""Tiles, planes, regions, binning, light and stage act on the frames as on a real microscope."""

import numpy as np
import pytest

from dipstream.frame import Frame
from dipstream.source import FlatSource
from dipstream_simulator import SimSource, open_sim
from dipstream_simulator.kinds import KINDS

PICTURE = {"picture": {"file": "picture.npy"}}


def small(camera: str = "", **changes: object) -> SimSource:
    return open_sim(camera, **({"width": 96, "height": 64, "fps": 0, "frames": 4} | changes))  # type: ignore[arg-type]


def photons(source: SimSource, seq: int = 0) -> np.ndarray:
    pixels = source.truth(seq).pixels
    assert pixels is not None
    return pixels().photons.astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_specimen_can_be_imaged(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    more: dict[str, object] = {"n": 5} if "n" in KINDS[kind].takes else {}
    if kind == "picture":
        path = tmp_path_factory.mktemp("picture") / "picture.npy"
        np.save(path, np.outer(np.arange(32), np.arange(48)).astype(np.uint16))
        more["file"] = str(path)
    if kind == "emitters":
        more = {"n": 300, "on_t": 3.0, "off_t": 3.0}
    source = small(specimen=kind, **more)
    frames = list(source.frames())
    assert len(frames) == 4
    truth = source.truth(0)
    assert truth.labels.shape == (64, 96)
    assert len(truth.parent_ids) == len(truth.z_um) == truth.count
    if kind != "flat":
        assert photons(source).std() > 1
    again = list(small(specimen=kind, **more).frames())
    for one, other in zip(frames, again, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_tiles_show_one_specimen() -> None:
    whole = small(width=192, height=128, n=20, step_um=0.0, channels="DAPI")
    tiles = small(tiles="2x2", n=20, step_um=0.0, channels="DAPI")
    expected = photons(whole)
    parts = [photons(tiles, seq) for seq in range(4)]
    mosaic = np.block([parts[:2], parts[2:]])
    np.testing.assert_allclose(mosaic, expected, rtol=1e-3, atol=1e-2)
    frames = list(tiles.frames())
    assert [frame.info.position for frame in frames] == ["0", "1", "2", "3"]
    places = [frame.info.stage_um for frame in frames]
    step_y_um, step_x_um = 64 * 0.325, 96 * 0.325
    assert places[0] == pytest.approx((-step_x_um / 2, -step_y_um / 2, 0))
    assert places[3] == pytest.approx((step_x_um / 2, step_y_um / 2, 0))
    # In world coordinates both tiles of a seam agree about it.
    affine = frames[0].info.segment.camera_to_stage
    assert affine is not None
    assert affine[2] == pytest.approx(-47.5 * 0.325)
    assert affine[5] == pytest.approx(-31.5 * 0.325)


def test_a_stack_is_sharpest_in_its_middle() -> None:
    source = small(
        specimen="beads", n=6, z=7, z_step_um=1.0, channels="GFP", frames=7, background_photons=0.0
    )
    frames = list(source.frames())
    assert [frame.info.z for frame in frames] == list(range(7))
    assert {frame.info.t for frame in frames} == {0}
    planes = [photons(source, seq) for seq in range(7)]
    sharpness = [plane.max() for plane in planes]
    assert np.argmax(sharpness) == 3
    assert sharpness[0] < sharpness[1] < sharpness[2]
    np.testing.assert_allclose(sharpness[:3], sharpness[:3:-1], rtol=1e-3)
    assert source.truth(0).z_um == pytest.approx([3.0] * source.truth(0).count)


def test_a_focus_that_drifts_blurs_and_is_told() -> None:
    source = small(specimen="beads", n=6, focus_um=1.0, focus_drift_um=0.5, drift_um="0.1,-0.2")
    assert source.truth(0).drift_um == pytest.approx((1.0, 0.0, 0.0))
    assert source.truth(3).drift_um == pytest.approx((2.5, 0.3, -0.6))
    assert photons(source, 3).max() < 0.7 * photons(source, 0).max()
    before, after = source.truth(0), source.truth(3)
    shared, one, other = np.intersect1d(before.track_ids, after.track_ids, return_indices=True)
    assert len(shared)
    np.testing.assert_allclose(before.y_um[one] - after.y_um[other], 0.3, atol=1e-6)
    np.testing.assert_allclose(before.x_um[one] - after.x_um[other], -0.6, atol=1e-6)


def test_jitter_moves_what_is_seen_in_every_frame() -> None:
    source = small(n=8, step_um=0.0, jitter_um=1.0)
    places = [source.truth(seq).y_um.copy() for seq in range(2)]
    assert source.truth(0).drift_um != source.truth(1).drift_um
    moved = source.truth(1).drift_um[1] - source.truth(0).drift_um[1]
    if len(places[0]) == len(places[1]):
        np.testing.assert_allclose(places[0] - places[1], moved, atol=1e-6)


def test_a_region_is_cut_from_the_whole_chip() -> None:
    whole = small("orca-r2", width=256, height=192, n=8, step_um=0.0)
    y, x = (1024 - 192) // 2 + 32, (1344 - 256) // 2 + 48
    part = small("orca-r2", width=None, height=None, roi=f"{y},{x},64,96", n=8)
    assert part.info.shape == (64, 96)
    frame = next(part.frames())
    assert frame.info.segment.roi == (y, x, 64, 96)
    affine, centred = frame.info.segment.camera_to_stage, next(whole.frames()).info.segment
    assert affine is not None
    assert centred.camera_to_stage is not None
    pixel_um = frame.info.segment.pixel_um
    assert pixel_um is not None
    assert affine[2] - centred.camera_to_stage[2] == pytest.approx(48 * pixel_um)
    assert affine[5] - centred.camera_to_stage[5] == pytest.approx(32 * pixel_um)


@pytest.mark.parametrize(
    ("kind", "roi"),
    [
        ("nuclei", "0,0,64,96"),
        ("nuclei", "1001,980,64,96"),
        ("beads", "0,0,64,96"),
        ("beads", "448,416,64,96"),
        ("siemens", "448,416,64,96"),
    ],
)
def test_a_region_is_a_window_on_the_whole_chip(kind: str, roi: str) -> None:
    y, x, height, width = map(int, roi.split(","))
    common = {"specimen": kind, "objective": "20x0.75", "step_um": 0.0, "channels": "GFP"}
    if kind != "nuclei":
        del common["step_um"]
    chip = small(width=None, height=None, roi="0,0,2048,2048", **common)
    part = small(width=None, height=None, roi=roi, **common)
    expected = photons(chip)[y : y + height, x : x + width]
    # A drawing is sampled anew for another window, which shows at its edges.
    atol = 0.015 * expected.max() if kind == "siemens" else 0.05
    np.testing.assert_allclose(photons(part), expected, rtol=2e-3, atol=atol)


def test_where_the_region_lies_changes_what_is_seen() -> None:
    """Two regions that overlap show the same world, shifted by whole pixels."""
    one = small("orca-r2", width=None, height=None, roi="480,600,64,96", step_um=0.0, n=4)
    other = small("orca-r2", width=None, height=None, roi="488,620,64,96", step_um=0.0, n=4)
    np.testing.assert_allclose(
        photons(one)[8:, 20:], photons(other)[:-8, :-20], rtol=1e-3, atol=1e-2
    )


@pytest.mark.parametrize(("camera", "offset"), [("", 4), ("orca-r2", 1)])
def test_binning_sums(camera: str, offset: int) -> None:
    fine, coarse = small(camera, n=4), small(camera, n=4, binning=2)
    assert coarse.info.shape == (32, 48)
    assert coarse.info.pixel_um == pytest.approx(2 * (fine.info.pixel_um or 0))
    blocks = photons(fine).reshape(32, 2, 48, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(photons(coarse), blocks, rtol=1e-5)
    one, other = next(fine.frames()), next(coarse.frames())
    assert other.data.dtype == np.uint16
    assert other.info.segment.binning == 2
    assert other.info.segment.offset_dn == offset * (one.info.segment.offset_dn or 0)
    light = [
        (f.data.astype(float) - f.info.segment.offset_dn) * f.info.segment.gain_e_per_dn
        for f in (one, other)
    ]
    assert light[1].sum() == pytest.approx(light[0].sum(), rel=0.02)
    truth = coarse.truth(0)
    assert truth.labels.shape == (32, 48)
    assert abs(truth.y_um - fine.truth(0).y_um).max() < 0.4  # from the middle of the first pixel


def test_longer_exposures_collect_more_light_and_bleach_more() -> None:
    short, long = small(n=4), small(n=4, exposure_ms=30.0)
    np.testing.assert_allclose(photons(long), 3 * photons(short), rtol=1e-5)
    quick = small(n=4, bleach_ms=10.0, exposure_ms=30.0)
    mean = (1 - np.exp(-3.0)) / 3.0
    np.testing.assert_allclose(photons(quick), mean * photons(long), rtol=1e-5)
    fading = small(n=4, bleach_ms=100.0, exposure_ms=30.0, step_um=0.0, channels="DAPI")
    light = [photons(fading, seq).sum() for seq in range(3)]
    np.testing.assert_allclose(np.diff(np.log(light)), -0.3, rtol=1e-3)


def test_a_larger_aperture_collects_more() -> None:
    def background(objective: str) -> float:
        source = small(n=0, objective=objective, camera_pixel_um=6.5)
        return float(photons(source).mean())

    collected = [0.5 * (1 - (1 - (na / n) ** 2) ** 0.5) for na, n in ((0.5, 1.0), (1.4, 1.515))]
    ratio = background("60x1.40oil") / background("60x0.5")
    assert ratio == pytest.approx(collected[1] / collected[0], rel=1e-5)


def test_two_channels_in_one_exposure_add_up() -> None:
    apart = small(n=4, channels="DAPI,GFP")
    together = small(n=4, channels="DAPI+GFP")
    assert together.info.channels == ("DAPI+GFP",)
    np.testing.assert_allclose(photons(together), photons(apart, 0) + photons(apart, 1), rtol=1e-5)


def test_vignetting_darkens_the_corner_of_the_chip() -> None:
    even, dim = small(n=0), small(n=0, vignetting=0.4)
    ratio = photons(dim) / photons(even)
    assert ratio[32, 48] == pytest.approx(1.0, abs=0.01)
    assert ratio[0, 0] == pytest.approx(0.6, abs=0.02)


def test_a_rolling_shutter_shows_the_lamp() -> None:
    flicker = {"flicker_hz": 500.0, "flicker_depth": 0.5, "exposure_ms": 3.0}
    source = small("orca-flash4", width=64, height=1024, n=0, photons=9e4, frames=1, **flicker)
    rows = photons(source).mean(axis=1)
    assert rows.std() / rows.mean() > 0.05
    np.testing.assert_allclose(rows[:512], rows[:511:-1], rtol=1e-4)  # from the centre outwards
    still = small(width=64, height=1024, n=0, photons=9e4, frames=1, **flicker)
    assert photons(still).mean(axis=1).std() < 1e-3 * photons(still).mean()  # a global shutter


def test_divisions_are_in_the_truth() -> None:
    source = small(n=6, cycle_t=12, frames=80, width=160, height=160)
    mothers: set[int] = set()
    for t in range(36):
        truth = source.truth(2 * t)
        born = truth.parent_ids > 0
        mothers |= set(truth.parent_ids[born].tolist())
        assert not set(truth.track_ids.tolist()) & mothers, "a mother has ended"
    assert len(mothers) >= 3


def test_threads_change_no_bit() -> None:
    one, two = (small("orca-flash4", n=5, height=128, threads=k) for k in (1, 2))
    for left, right in zip(one.frames(), two.frames(), strict=True):
        np.testing.assert_array_equal(left.data, right.data)


def test_different_seeds_have_nothing_in_common() -> None:
    frames = [
        next(small("prime-95b", specimen="flat", photons=200.0, seed=seed).frames()).data
        for seed in (1, 2)
    ]
    # The fixed pattern is the camera's, not the seed's: its share of the variance is small here.
    noise = [frame.astype(float) - frame.mean() for frame in frames]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 5 / noise[0].size ** 0.5


def test_exact_and_fast_noise_agree_in_the_mean() -> None:
    fast, exact = (small("orca-flash4", n=5, noise=noise, frames=1) for noise in ("fast", "exact"))
    one, other = (next(source.frames()).data.astype(float) for source in (fast, exact))
    assert (one != other).mean() > 0.5
    difference = one - other
    assert abs(difference.mean()) < 4 * difference.std() / difference.size**0.5


def test_flats_rise_in_pairs_from_dark_to_saturation() -> None:
    source = small("orca-flash4", n=3)
    assert isinstance(source, FlatSource)
    frames = list(source.flats(12))
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.info.t for frame in frames] == [level for level in range(12) for _ in range(2)]
    means = np.array([frame.data.mean() for frame in frames]).reshape(12, 2)
    assert means[0] == pytest.approx([100, 100], abs=0.2)
    assert (np.diff(means[:9], axis=0) > 0).all()
    assert means[-1] == pytest.approx(100 + 30_000 / 0.47, rel=0.01)
    exposures = [frame.info.exposure_ms for frame in frames[::2]]
    assert exposures[0] == 0
    assert np.diff(exposures).min() > 0
    assert (frames[4].data != frames[5].data).mean() > 0.9


@pytest.mark.parametrize(("camera", "binning"), [("orca-r2", 1), ("orca-r2", 4), ("ixon-888", 2)])
def test_flats_fill_the_camera_however_it_bins(camera: str, binning: int) -> None:
    source = small(camera, binning=binning, n=1)
    means = [frame.data.mean() for frame in source.flats(11)][::2]
    full = means[-1]
    assert means[4] - means[0] == pytest.approx(4 / 7 * (full - means[0]), rel=0.05)
    assert means[6] < 0.95 * full


def test_frame_rates_that_no_camera_reaches_are_announced() -> None:
    heard: list[str] = []
    source = small("orca-r2", width=None, height=None, fps=30.0, exposure_ms=50.0, frames=1, n=0)
    source.listen(lambda event: heard.append(event.message))
    next(source.frames())
    assert len(heard) == 1
    assert "fps=30" in heard[0]
    scanner = small("pmt-gaasp", fps=0.5, exposure_ms=1.0, frames=1, n=0)
    scanner.listen(lambda event: heard.append(event.message))
    next(scanner.frames())
    assert "(0.163)" in heard[1]  # 96 x 64 px of 1 ms each


def test_a_flat_field_has_its_photons_however_many_channels_see_it() -> None:
    for channels in ("GFP", "DAPI+GFP"):
        source = small(specimen="flat", photons=500.0, channels=channels)
        np.testing.assert_allclose(photons(source), 500.0)


@pytest.mark.parametrize(
    ("camera", "changes"),
    [
        ("", {"specimen": "flat", "photons": 3e5, "faults": "saturate@0"}),
        ("", {"photons": 1e9, "exposure_ms": 1e6}),
        ("", {"dark_e_per_s": 1e6, "exposure_ms": 1e6, "temperature_c": 100.0}),
        ("ixon-888", {"specimen": "flat", "photons": 1e9, "faults": "saturate@0"}),
        ("orca-r2", {"specimen": "flat", "photons": 1e9, "binning": 2}),
        ("pmt-gaasp", {"specimen": "flat", "photons": 1e9}),
    ],
)
@pytest.mark.parametrize("noise", ["fast", "exact"])
def test_too_much_light_is_white_never_black(
    camera: str, changes: dict[str, object], noise: str
) -> None:
    source = small(camera, noise=noise, **changes)
    frame = next(source.frames())
    assert frame.data.min() > 0.8 * (2 ** (source.info.bit_depth or 0) - 1)
    pixels = source.truth(0).pixels
    assert pixels is not None
    assert pixels().saturated.all()
