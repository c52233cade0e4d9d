"""A gallery of what the simulator shows: ``python -m dipstream_simulator.gallery FOLDER``."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dipstream_simulator.bench import Bench
from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.optics.resolution import nyquist_um, rayleigh_um
from dipstream_simulator.sensor import camera_preset
from dipstream_simulator.source import open_sim

__all__ = ["draw_gallery", "main"]

_Image = npt.NDArray[Any]
_GREEN_NM, _BLUE_NM = 525.0, 488.0
_SENSORS = ("orca-r2", "ixon-888", "orca-flash4", "orca-quest2", "zelux-cs165c", "pmt-gaasp")


def draw_gallery(folder: Path) -> list[Path]:
    """Draw every figure as a PNG into a folder, which is made if there is none.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in _FIGURES.items():
        figure = draw()
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        written.append(path)
    return written


def psf_xy_xz() -> Figure:
    """Draw the point spread function of three objectives, across and along the axis."""
    figure, axes = _figure(2, 3, "The PSF of three objectives at 525 nm (γ = 0.4)")
    half_um, step_um = 1.5, 0.05
    for column, name in enumerate(("10x0.30", "20x0.75", "60x1.40oil")):
        microscope = Microscope(Objective.parse(name))
        focus = _cut(microscope.psf(_GREEN_NM, _BLUE_NM, step_um), half_um, step_um)
        z_um = np.linspace(0.0, 4.0, 26)  # the other half mirrors it: no index mismatch
        planes = [
            _cut(microscope.psf(_GREEN_NM, _BLUE_NM, step_um, float(z)), half_um, step_um)
            for z in z_um
        ]
        above = np.array([plane[len(plane) // 2] for plane in planes])
        side = np.concatenate([above[:0:-1], above])
        delta_um = rayleigh_um(microscope.objective.na, _GREEN_NM)
        _show(axes[0, column], focus**0.4, f"{name}: XY, δ = {1e3 * delta_um:.0f} nm", half_um)
        axes[1, column].imshow(
            side**0.4, extent=(-half_um, half_um, -4, 4), aspect="auto", cmap="inferno"
        )
        axes[1, column].set(title="XZ", xlabel="x (µm)", ylabel="z (µm)")
    return figure


def point_pairs() -> Figure:
    """Draw two points at 0.8, 1.0 and 1.2 Rayleigh distances, and their profiles."""
    figure, axes = _figure(2, 3, "Two points through 60×/1.40 oil, without noise")
    side, step_um = 121, 0.0125  # odd, so that a pixel lies in the middle
    for column, distance in enumerate((0.8, 1.0, 1.2)):
        source = open_sim(
            specimen="pair",
            distance_rayleigh=distance,
            objective="60x1.40oil",
            camera_pixel_um=60 * step_um,
            width=side,
            height=side,
            background_photons=0.0,
        )
        photons = Bench(source.setup).photons(source.sequence.shot(0), 0)
        _show(axes[0, column], photons, f"{distance} Rayleigh", side * step_um / 2)
        profile = photons[side // 2] / photons[side // 2].max()
        axes[1, column].plot((np.arange(side) - side // 2) * step_um, profile)
        title = f"middle / peak = {profile[side // 2]:.3f}"
        axes[1, column].set(title=title, xlabel="x (µm)", ylim=(0, 1.05))
    return figure


def bit_depths() -> Figure:
    """Draw the same field through ADCs of 4, 8, 12 and 16 bits."""
    figure, axes = _figure(2, 4, "The same field at 4, 8, 12 and 16 bits: image and histogram")
    for column, bits in enumerate((4, 8, 12, 16)):
        image = _first(n=16, width=256, height=256, bits=bits, seed=3, photons=15_000.0)
        _show(axes[0, column], image, f"{bits} bit, {image.dtype}, {len(np.unique(image))} values")
        axes[1, column].hist(image.ravel(), bins=min(2**bits, 200), log=True, color="0.3")
        axes[1, column].set(xlabel="DN")
    return figure


def sampling() -> Figure:
    """Draw a Siemens star with pixels that are too large, just right and smaller than needed."""
    figure, axes = _figure(1, 4, "A Siemens star through 20×/0.75: the pixel decides")
    limit_um = nyquist_um(0.75, 509.0)
    for axis, factor in zip(axes[0], (4.0, 2.0, 1.0, 0.5), strict=True):
        side = 16 * round(22 / (limit_um * factor) / 16)
        image = _first(
            specimen="siemens",
            camera_pixel_um=limit_um * factor * 20,
            width=side,
            height=side,
            photons=60_000.0 / factor**2,
        )
        _show(axis, image, f"{factor:g} × Nyquist pixel ({1e3 * limit_um * factor:.0f} nm)")
    return figure


def six_sensors() -> Figure:
    """Draw the same nuclei on six sensors, with 10 and with 1000 photons a pixel."""
    figure, axes = _figure(2, 6, "Six sensors at 10 (top) and 1000 photons a pixel (in e⁻)")
    for row, photons in enumerate((10.0, 1000.0)):
        for column, camera in enumerate(_SENSORS):
            image, full = _at_brightness(camera, photons)
            title = f"{camera} ({camera_preset(camera).sensor().kind})"
            title += ", saturated" if full else ""
            _show(axes[row, column], image, title, limits=(-0.3 * photons, 1.6 * photons))
    return figure


def mosaic() -> Figure:
    """Draw what a colour camera delivers: the raw mosaic, and its four colours apart."""
    figure, axes = _figure(1, 5, "The raw mosaic of zelux-cs165c under DAPI + GFP + RFP")
    camera = "zelux-cs165c"
    image = _first(camera, channels="DAPI+GFP+RFP", n=4, width=160, height=160, photons=20_000.0)
    pattern = camera_preset(camera).sensor().mosaic
    _show(axes[0, 0], image, "as delivered")
    _show(axes[0, 1], image[68:92, 68:92], "24 × 24 px of it")
    for axis, (index, place) in zip(
        axes[0, 2:], ((0, (0, 0)), (1, (0, 1)), (3, (1, 1))), strict=True
    ):
        colour = pattern[index] if pattern else "?"
        _show(axis, image[place[0] :: 2, place[1] :: 2], f"pixels {colour}", limits=None)
    return figure


def _first(camera: str = "", **parameters: Any) -> _Image:
    parameters = {"fps": 0, "frames": 1} | parameters
    return next(open_sim(camera, **parameters).frames()).data


def _at_brightness(camera: str, photons: float) -> tuple[_Image, bool]:
    """Return a frame in e⁻ whose nuclei have about so many photons a pixel, and if it is full."""
    size: dict[str, Any] = {"scan_um": 0.2} if camera == "pmt-gaasp" else {"camera_pixel_um": 4.0}
    common = {"n": 9, "width": 192, "height": 192, "fps": 0, "frames": 1, "seed": 2} | size
    setup = open_sim(camera, **common).setup
    reaching = 10.0 * setup.microscope.objective.collected_fraction * setup.pixel_um**2
    emitted = photons / reaching
    source = open_sim(camera, photons=emitted, background_photons=0.05 * emitted, **common)
    exposed = Bench(source.setup).expose(source.sequence.shot(0), with_electrons=True)
    full = exposed.saturated is not None and bool(exposed.saturated.mean() > 0.01)
    return source.setup.chip.to_electrons(exposed.dn), full


def _cut(psf: _Image, half_um: float, step_um: float) -> _Image:
    half = round(half_um / step_um)
    middle = len(psf) // 2
    padded = np.pad(psf, max(0, half - middle))
    middle = len(padded) // 2
    return padded[middle - half : middle + half + 1, middle - half : middle + half + 1]


def _figure(rows: int, columns: int, title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(3.1 * columns, 3.2 * rows + 0.4), layout="constrained")
    figure.suptitle(title)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _show(
    axis: Axes,
    image: _Image,
    title: str,
    half_um: float | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    low, high = limits or (None, None)
    extent = None if half_um is None else (-half_um, half_um, half_um, -half_um)
    shown = axis.imshow(
        image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest"
    )
    axis.set_title(title, fontsize=9)
    if half_um is None:
        axis.set_axis_off()
    axis.figure.colorbar(shown, ax=axis, shrink=0.6)


_FIGURES: dict[str, Callable[[], Figure]] = {
    "psf": psf_xy_xz,
    "pairs": point_pairs,
    "bits": bit_depths,
    "sampling": sampling,
    "sensors": six_sensors,
    "mosaic": mosaic,
}


def main() -> None:
    """Draw the gallery into the folder that is named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m dipstream_simulator.gallery")
    parser.add_argument("folder", type=Path, help="Where the PNGs go.")
    mpl.use("Agg")
    for path in draw_gallery(parser.parse_args().folder):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
