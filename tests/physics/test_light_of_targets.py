"""Test targets have the sizes that they promise, and are blurred as theory says."""

import math

import numpy as np
import pytest
from scipy import ndimage

from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.render import Renderer, View
from dipstream_simulator.specimen.drawn import Drawn
from dipstream_simulator.specimen.filaments import filaments
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.picture import picture
from dipstream_simulator.specimen.targets import Bars, pair, siemens, usaf

CHANNEL = (CHANNELS["GFP"],)
EMISSION_UM = CHANNELS["GFP"].emission_nm * 1e-3
WATER = Microscope(Objective(60, 1.2, 1.333))


def image(specimen: Drawn, pixel_um: float, shape: tuple[int, int], view: View) -> np.ndarray:
    renderer = Renderer(specimen, WATER, shape=shape, pixel_um=pixel_um)
    return renderer.photons(0, 0, view, signal=1000.0, background=0.0).astype(float)


@pytest.mark.parametrize("shift_px", [0.0, 0.3])
@pytest.mark.parametrize("relative", [0.25, 0.5, 0.75])
def test_a_grating_loses_the_contrast_that_the_transfer_function_says(
    relative: float, shift_px: float
) -> None:
    # Square bars of duty one half: the fundamental has amplitude 2/π about a mean of 1/2. A
    # frequency of at least a quarter of the cut-off leaves no higher odd harmonic but the third.
    frequency = relative * 2.0 * 1.2 / EMISSION_UM
    period_um = 1.0 / frequency
    starts_um = period_um * np.arange(-80, 80)
    edges_um = np.stack(
        [np.full(160, -60.0), np.full(160, 60.0), starts_um, starts_um + period_um / 2], axis=1
    )
    pixel_um = 0.05
    specimen = Drawn(CHANNEL, (120.0, 120.0), Bars(edges_um))
    seen = image(specimen, pixel_um, (8, 256), View(0.0, shift_px * pixel_um)).mean(axis=0)
    x_um = np.arange(256) * pixel_um
    waves = [np.exp(-2j * np.pi * k * frequency * x_um) for k in (-3, -1, 0, 1, 3)]
    fit, *_ = np.linalg.lstsq(np.conj(np.array(waves)).T, seen.astype(complex), rcond=None)
    contrast = 2.0 * abs(fit[3]) / abs(fit[2])
    mtf = 2.0 / math.pi * (math.acos(relative) - relative * math.sqrt(1.0 - relative**2))
    pixel = np.sinc(frequency * pixel_um)
    assert contrast == pytest.approx(4.0 / math.pi * mtf * pixel, rel=0.03)
    assert seen.mean() == pytest.approx(500.0 * pixel_um**2, rel=0.01)


def test_drawings_conserve_light_in_and_out_of_focus() -> None:
    specimen = Drawn(CHANNEL, (10.0, 10.0), Bars(np.array([[-1.0, 1.5, -2.0, 0.3]])))
    for z_um in (0.0, 0.7, -3.0):
        seen = image(specimen, 0.108, (400, 400), View(z_um=z_um))
        assert seen.sum() == pytest.approx(1000.0 * 2.5 * 2.3, rel=1e-3)


def test_the_bars_of_the_usaf_chart_are_as_wide_as_printed() -> None:
    # Group 6, element 1: 64 line pairs a millimetre.
    specimen = usaf(extent_um=(300.0, 300.0), channels=CHANNEL, group=6)
    renderer = Renderer(specimen, WATER, shape=(600, 600), pixel_um=0.5)
    seen = renderer.photons(0, 0, View(), signal=1.0, background=0.0).astype(float) / 0.25
    truth = renderer.truth(0, View())
    element = np.isin(truth.labels, (1, 2, 3))
    rows = np.flatnonzero(element.any(axis=1))
    columns = np.flatnonzero(element.any(axis=0))
    profile = seen[rows[0] - 5 : rows[-1] + 6, columns[10] : columns[-10]].mean(axis=1)
    # Where it crosses one half, between pixels.
    above = profile > 0.5
    at = np.flatnonzero(above[1:] != above[:-1])
    crossings = at + (0.5 - profile[at]) / (profile[at + 1] - profile[at])
    widths_um = np.diff(crossings) * 0.5
    np.testing.assert_allclose(widths_um, [1000.0 / 128] * 5, rtol=0.01)
    # With the light that the blur takes beyond the bars, but for the 1 % of its far halo.
    around = ndimage.binary_dilation(element, iterations=6)
    lying = seen[around].sum() * 0.25
    assert lying == pytest.approx(3 * 5 * (1000.0 / 128) ** 2, rel=0.02)


def test_the_star_has_its_period_at_every_radius() -> None:
    specimen = siemens(extent_um=(60.0, 60.0), channels=CHANNEL, spokes=24)
    seen = image(specimen, 0.2, (301, 301), View())
    for radius_um in (6.0, 12.0, 24.0):
        theta = np.linspace(0.0, 2.0 * math.pi, 4800, endpoint=False)
        y = np.round(150 + radius_um / 0.2 * np.sin(theta)).astype(int)
        x = np.round(150 + radius_um / 0.2 * np.cos(theta)).astype(int)
        spectrum = np.abs(np.fft.rfft(seen[y, x] - seen[y, x].mean()))
        assert spectrum.argmax() == 24
    np.testing.assert_allclose(seen[150, 150], 500.0 * 0.04, rtol=0.05)  # all spokes at once


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 90.0])
def test_a_pair_lies_apart_as_far_and_in_the_direction_that_was_asked_for(angle_deg: float) -> None:
    specimen = pair(
        extent_um=(12.0, 12.0),
        channels=CHANNEL,
        distance_um=1.6,
        angle_deg=angle_deg,
        spacing_um=12.0,
    )
    renderer = Renderer(specimen, WATER, shape=(111, 111), pixel_um=0.108)
    seen = renderer.photons(0, 0, View(), signal=1000.0, background=0.0).astype(float)
    y_px, x_px = np.indices(seen.shape) - 55.0
    # The second moment along the pair grows by the square of half the distance.
    along = x_px * math.cos(math.radians(angle_deg)) + y_px * math.sin(math.radians(angle_deg))
    across = y_px * math.cos(math.radians(angle_deg)) - x_px * math.sin(math.radians(angle_deg))
    near = np.hypot(y_px, x_px) < 45
    moments = [np.average(part[near] ** 2, weights=seen[near]) for part in (along, across)]
    assert 2.0 * math.sqrt(moments[0] - moments[1]) * 0.108 == pytest.approx(1.6, rel=0.05)
    truth = renderer.truth(0, View())
    apart_um = (np.diff(truth.y_um)[0], np.diff(truth.x_um)[0])
    expected_um = 1.6 * np.array(
        [math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))]
    )
    np.testing.assert_allclose(apart_um, expected_um, atol=1e-9)


def test_filaments_shine_by_their_length() -> None:
    specimen = filaments(
        1, 3, extent_um=(100.0, 100.0), channels=CHANNEL, length_um=20.0, light_per_um=0.25
    )
    chains = specimen.canvas.chains  # type: ignore[attr-defined]
    inside = (np.abs(chains.y_um) < 50.0) & (np.abs(chains.x_um) < 50.0)
    length_um = float(np.hypot(chains.along_y_um, chains.along_x_um)[inside].sum())
    renderer = Renderer(specimen, WATER, shape=(280, 280), pixel_um=0.42)
    seen = renderer.photons(0, 0, View(), signal=100.0, background=0.0).sum(dtype=float)
    assert seen == pytest.approx(100.0 * 0.25 * length_um, rel=0.01)
    truth = renderer.truth(0, View())
    np.testing.assert_array_equal(truth.track_ids, [1, 2, 3])


def test_a_picture_is_neither_flipped_nor_scaled() -> None:
    drawing = np.zeros((40, 60), dtype=np.uint8)
    drawing[3:9, 10:30] = 200
    drawing[30:34, 50:58] = 100
    specimen = picture(drawing, extent_um=(20.0, 30.0), channels=CHANNEL, pixel_um=0.5)
    seen = image(specimen, 0.5, (40, 60), View()) / (1000.0 * 0.25)
    blurred_less = np.abs(seen - drawing / 200.0)
    assert blurred_less.mean() < 0.04
    assert seen[5, 20] == pytest.approx(1.0, abs=0.02)
    assert seen[32, 54] == pytest.approx(0.5, abs=0.03)
    assert seen.sum() == pytest.approx(drawing.sum() / 200.0, rel=0.01)
    finer = image(specimen, 0.25, (80, 120), View()) / (1000.0 * 0.0625)
    np.testing.assert_allclose(finer.reshape(40, 2, 60, 2).mean(axis=(1, 3)), seen, atol=0.02)
