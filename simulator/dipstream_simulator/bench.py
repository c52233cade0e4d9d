"""Specimen, microscope and camera in one place: a shot becomes a frame."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.acquisition import ExposureChannel, Shot
from dipstream_simulator.light import Lamp, row_light
from dipstream_simulator.optics import Microscope
from dipstream_simulator.render import Renderer, View
from dipstream_simulator.sensor import Chip, Exposed
from dipstream_simulator.specimen.model import Specimen
from dipstream_simulator.stage import Stage

__all__ = ["Bench", "Setup"]


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """Everything that does not change while frames are taken.

    Attributes
    ----------
    specimen, microscope, chip, stage, lamp
        The parts.
    exposures
        Name and emission channels of each exposure channel.
    pixel_um
        Side of a sensor pixel in the object, in µm.
    axis_px
        Where the optical axis lies, in sensor px (y, x) from the middle of the region of interest.
    roi_shape, binning
        Rows and columns of the region of interest in sensor px, and how many make an image pixel.
    shading
        Relative light on each pixel of the region of interest, float32, or None.
    transmission
        Share of the collected photons that the glass lets through.
    photons_per_pixel
        For a uniform field: photons that reach each sensor pixel in one exposure, whatever the
        optics; None otherwise.
    fps
        Frames per second, for the lamp's clock; 0 = one exposure after the other.
    seed
        Fixes all noise.
    exact, threads
        The exact chain instead of the fast one; threads inside a frame.
    """

    specimen: Specimen
    microscope: Microscope
    chip: Chip
    stage: Stage
    lamp: Lamp
    exposures: tuple[tuple[str, ExposureChannel], ...]
    pixel_um: float
    axis_px: tuple[float, float]
    roi_shape: tuple[int, int]
    binning: int = 1
    transmission: float = 1.0
    photons_per_pixel: float | None = None
    shading: npt.NDArray[np.float32] | None = None
    fps: float = 0.0
    seed: int = 7
    exact: bool = False
    threads: int = 1

    def view(self, shot: Shot) -> View:
        """Return the world point in the middle of the frame and in focus: drift included."""
        x_um, y_um, z_um = shot.stage_um
        dz_um, dy_um, dx_um = self.stage.error_um(shot)
        return View(
            y_um=y_um + dy_um - self.axis_px[0] * self.pixel_um,
            x_um=x_um + dx_um - self.axis_px[1] * self.pixel_um,
            z_um=z_um + dz_um,
        )


class Bench:
    """Takes exposures. An instance belongs to one thread; `fork` gives another its own.

    Parameters
    ----------
    setup
        What is on the table.
    renderer
        Draws the specimen; made if left out.
    """

    def __init__(self, setup: Setup, renderer: Renderer | None = None) -> None:
        self._setup = setup
        self._renderer = renderer or Renderer(
            setup.specimen.fork(), setup.microscope, shape=setup.roi_shape, pixel_um=setup.pixel_um
        )
        self._planes: dict[int, npt.NDArray[np.float32]] = {}

    def fork(self) -> "Bench":
        """Return the same bench for another thread; what was drawn is shared."""
        return Bench(self._setup, self._renderer.fork())

    def prepare(self, shot: Shot) -> None:
        """Draw and compile what this shot and those after it need."""
        self._renderer.prepare(shot.t, self._setup.view(shot))
        self.expose(shot)

    def photons(self, shot: Shot, emitter: int) -> npt.NDArray[np.float32]:
        """Return the photons of one emission channel that reach each pixel, before shading.

        float32 (y, x) of the region of interest, unbinned. The array is used again by the next
        call for the same channel.
        """
        setup, lamp = self._setup, self._setup.lamp
        if setup.photons_per_pixel is not None:
            seen_together = len(setup.exposures[shot.channel][1])
            signal, background = 0.0, setup.photons_per_pixel * shot.light / seen_together
        else:
            objective = setup.microscope.objective
            reaching = shot.exposure_ms * objective.collected_fraction * setup.transmission
            reaching *= shot.light * lamp.unbleached(shot.dose_ms, shot.exposure_ms)
            signal = lamp.photons * reaching
            background = lamp.background_photons * reaching * setup.pixel_um**2
        self._planes[emitter] = self._renderer.photons(
            shot.t,
            emitter,
            setup.view(shot),
            signal=signal,
            background=background,
            out=self._planes.get(emitter),
        )
        return self._planes[emitter]

    def expose(self, shot: Shot, *, with_electrons: bool = False) -> Exposed:
        """Take one exposure; the same shot gives the same bits."""
        setup = self._setup
        emitters = setup.exposures[shot.channel][1]
        channels = setup.specimen.channels
        light = [(channels[one].emission_nm, self.photons(shot, one)) for one in emitters]
        return setup.chip.expose(
            light,
            shot.exposure_ms,
            seed=setup.seed,
            number=shot.number,
            row_light=self._row_light(shot),
            exact=setup.exact,
            threads=setup.threads,
            with_electrons=with_electrons,
        )

    def expected_photons(self, shot: Shot) -> npt.NDArray[np.float32]:
        """Return the photons that reach each pixel of the frame, shading and binning included."""
        setup = self._setup
        planes = [self.photons(shot, one) for one in setup.exposures[shot.channel][1]]
        total = np.sum(planes, axis=0, dtype=np.float32)
        if setup.shading is not None:
            total *= setup.shading
        rows = self._row_light(shot)
        if rows is not None:
            total *= rows[:, None]
        height, width = (side // setup.binning for side in setup.roi_shape)
        blocks = total.reshape(height, setup.binning, width, setup.binning)
        return np.asarray(blocks.sum(axis=(1, 3)), dtype=np.float32)

    def _row_light(self, shot: Shot) -> npt.NDArray[np.float32] | None:
        setup = self._setup
        period_ms = 1000.0 / setup.fps if setup.fps else shot.exposure_ms
        return row_light(
            setup.lamp, setup.chip.row_times_ms(), shot.number * period_ms, shot.exposure_ms
        )
