"""From a specimen and a microscope to the photons of each pixel, and to what is really there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.render.bank import Bank, Shelf
from dipstream_simulator.render.blur import Blur, Optics
from dipstream_simulator.render.canvas import CanvasTiles
from dipstream_simulator.render.kernels import stamp
from dipstream_simulator.render.labels import SceneTruth, canvas_truth, objects_truth
from dipstream_simulator.render.shapes import ShapeSprites
from dipstream_simulator.render.size import sprite_bytes
from dipstream_simulator.specimen.model import Objects, Specimen

__all__ = ["Renderer", "View"]

_DRAWN_BEFOREHAND_BYTES = 256e6
_Photons = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class View:
    """Where the microscope really looks, drift included.

    Attributes
    ----------
    y_um, x_um
        World coordinates of the middle of the image, in µm.
    z_um
        Height of the plane in focus, in µm.
    """

    y_um: float = 0.0
    x_um: float = 0.0
    z_um: float = 0.0


class Renderer:
    """Draws a specimen as a microscope shows it, without noise.

    Everything is drawn and blurred once, finely, and then stamped at any sub-pixel place. What is
    drawn does not depend on what was drawn before, so that the same time and view always give the
    same image. An instance belongs to one thread; `fork` gives another thread its own.

    Parameters
    ----------
    specimen
        What lies on the stage.
    microscope
        Gives the point spread functions.
    shape
        Rows and columns of the image, in px.
    pixel_um
        Side of a pixel in the object, in µm.
    z_range_um
        How far planes in focus lie from z = 0, in µm: `prepare` draws as far.

    Raises
    ------
    SourceError
        If a number is outside its limits.
    """

    def __init__(
        self,
        specimen: Specimen,
        microscope: Optics,
        *,
        shape: tuple[int, int],
        pixel_um: float,
        z_range_um: float = 0.0,
    ) -> None:
        require_between("height", shape[0], 2, 65_536, example=512)
        require_between("width", shape[1], 2, 65_536, example=512)
        require_between("pixel_um", pixel_um, 0.0, 1000.0, example=0.325, open_low=True)
        require_between("z_range_um", z_range_um, 0.0, 1e4, example=5)
        self.shape, self.pixel_um, self.z_range_um = shape, pixel_um, z_range_um
        bank = Bank()
        self._specimen, self._optics = specimen, microscope
        self._blur = Blur(microscope, specimen.channels, pixel_um)
        self._sprites = ShapeSprites(specimen.shapes, len(specimen.channels), self._blur, bank)
        self._tiles = (
            None
            if specimen.canvas is None
            else CanvasTiles(specimen.canvas, specimen.extent_um, shape, self._blur, bank)
        )
        self._now: tuple[int, Objects] | None = None
        self._canvas_truth: tuple[View, SceneTruth] | None = None

    def fork(self) -> "Renderer":
        """Return the same renderer for another thread; what was drawn is shared."""
        other = object.__new__(Renderer)
        other.__dict__.update(self.__dict__)
        other._specimen, other._now = self._specimen.fork(), None
        return other

    def photons(
        self,
        t: int,
        channel: int,
        view: View,
        *,
        signal: float,
        background: float,
        out: _Photons | None = None,
    ) -> _Photons:
        """Return the expected photons of each pixel.

        Parameters
        ----------
        t
            Time point, from 0 on.
        channel
            Index into the specimen's channels.
        view
            Where the microscope looks.
        signal
            Photons for each unit of the specimen's light: of a µm² of typical brightness, or of a
            typical point.
        background
            Photons of each pixel besides.
        out
            float32 (y, x), contiguous, filled and returned; a new array unless given.

        Returns
        -------
        ndarray
            float32 (y, x). Light adds up where objects overlap.

        Raises
        ------
        SourceError
            If `out` cannot hold the image, or there is no such channel.
        """
        require_between("channel", channel, 0, len(self._specimen.channels) - 1, example=0)
        image = self._image(out)
        image.fill(background)
        first_px = self._first_px(view)
        if self._tiles is not None:
            tiles = self._tiles.tiles(channel, first_px, -view.z_um, signal)
            _stamp(image, tiles.shelf, tiles.y_px, tiles.x_px, tiles.strength, tiles.window)
        objects = self._objects(t)
        if len(objects.shape):
            self._stamp_objects(image, objects, channel, view, signal)
        return image

    def truth(self, t: int, view: View) -> SceneTruth:
        """Return which pixels belong to which object, and where the objects are.

        A pixel belongs to the object in whose outline, before any blur, its middle lies deepest;
        an object too small to contain the middle of a pixel has the pixel that it lies in. Only
        objects that the specimen counts and that have a pixel are in the truth. The elements of a
        canvas are counted where there are no objects.

        Parameters
        ----------
        t
            Time point, from 0 on.
        view
            Where the microscope looks.
        """
        objects = self._objects(t)
        if self._specimen.canvas is not None and not len(objects.shape):
            if self._canvas_truth is None or self._canvas_truth[0] != view:
                y_um, x_um = self._axes_um(view)
                made = canvas_truth(self._specimen.canvas, y_um, x_um, self.pixel_um, view.z_um)
                self._canvas_truth = (view, made)
            return self._canvas_truth[1].copy()
        y_px, x_px = self._places_px(objects, view)
        return objects_truth(
            objects, self._sprites, y_px, x_px, self.shape, self.pixel_um, view.z_um
        )

    def prepare(self, t: int = 0, view: View | None = None) -> None:
        """Draw beforehand what images will need, in every channel and over `z_range_um`.

        That is what stands in this view now, and every shape as it looks in the plane z = 0: a
        nucleus that divides later must not make a frame wait.
        """
        middle = view or View()
        for z_um in sorted({-self.z_range_um, 0.0, self.z_range_um}):
            at = View(middle.y_um, middle.x_um, middle.z_um + z_um)
            for channel in range(len(self._specimen.channels)):
                self.photons(t, channel, at, signal=1.0, background=0.0)
                self._draw_shapes(channel, at)
        self.truth(t, middle)

    def _draw_shapes(self, channel: int, view: View) -> None:
        shapes = self._specimen.shapes
        needed = sprite_bytes(self._specimen, self._optics, self.pixel_um, len(shapes))
        if not len(shapes) or needed > _DRAWN_BEFOREHAND_BYTES:
            return
        which = np.arange(len(shapes))
        per_depth = self._sprites.rungs_per_depth(self._sprites.reach_um(which))
        height_um = np.full(len(which), -view.z_um)
        rung, _, next_weight = self._blur.rungs(height_um, channel, per_depth)
        self._sprites.light(which, channel, rung, per_depth)
        between = np.flatnonzero(next_weight > 0.0)
        if len(between):
            self._sprites.light(which[between], channel, rung[between] + 1, per_depth[between])

    def _image(self, out: _Photons | None) -> _Photons:
        if out is None:
            return np.empty(self.shape, dtype=np.float32)
        if out.shape != self.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise SourceError(
                f"The renderer received out of {out.dtype} {out.shape}; allowed is contiguous "
                f"float32 {self.shape}. Leave out away, or allocate it like that"
            )
        return out

    def _objects(self, t: int) -> Objects:
        if self._now is None or self._now[0] != t:
            self._now = (t, self._specimen.objects(t))
        return self._now[1]

    def _first_px(self, view: View) -> tuple[float, float]:
        """World coordinates of the middle of the first pixel, in px from the origin."""
        rows, columns = self.shape
        return (
            view.y_um / self.pixel_um - (rows - 1) / 2,
            view.x_um / self.pixel_um - (columns - 1) / 2,
        )

    def _axes_um(self, view: View) -> tuple[_Numbers, _Numbers]:
        first_y, first_x = self._first_px(view)
        rows, columns = self.shape
        return (
            (first_y + np.arange(rows, dtype=np.float64)) * self.pixel_um,
            (first_x + np.arange(columns, dtype=np.float64)) * self.pixel_um,
        )

    def _places_px(self, objects: Objects, view: View) -> tuple[_Numbers, _Numbers]:
        first_y, first_x = self._first_px(view)
        return objects.y_um / self.pixel_um - first_y, objects.x_um / self.pixel_um - first_x

    def _stamp_objects(
        self, image: _Photons, objects: Objects, channel: int, view: View, signal: float
    ) -> None:
        reach_um = self._sprites.reach_um(objects.shape)
        per_depth = self._sprites.rungs_per_depth(reach_um)
        rung, weight, next_weight = self._blur.rungs(objects.z_um - view.z_um, channel, per_depth)
        # Each object is drawn at the rung below its height and at the one above.
        between = np.flatnonzero(next_weight > 0.0)
        which = np.concatenate([np.arange(len(rung)), between])
        rung = np.concatenate([rung, rung[between] + 1])
        share = np.concatenate([weight, next_weight[between]])
        y_px, x_px = self._places_px(objects, view)
        margin_px = 1.5 + self._margin_um(reach_um, channel, rung, per_depth, which) / self.pixel_um
        seen = np.flatnonzero(
            (share * objects.brightness[which, channel] != 0.0)
            & _within(y_px[which], margin_px, self.shape[0])
            & _within(x_px[which], margin_px, self.shape[1])
        )
        if not len(seen):
            return
        which = which[seen]
        shelf = self._sprites.light(objects.shape[which], channel, rung[seen], per_depth[which])
        strength = signal * share[seen] * objects.brightness[which, channel]
        window = np.tile(np.array([0, self.shape[0], 0, self.shape[1]]), (len(which), 1))
        _stamp(image, shelf, y_px[which], x_px[which], strength.astype(np.float32), window)

    def _margin_um(
        self,
        reach_um: _Numbers,
        channel: int,
        rung: npt.NDArray[np.int64],
        per_depth: npt.NDArray[np.int64],
        which: npt.NDArray[np.int64],
    ) -> _Numbers:
        """How far from its middle each object throws light, in µm."""
        blur_um = self._sprites.blur_reach_um(channel, rung, per_depth[which])
        return np.asarray(reach_um[which] + blur_um, dtype=np.float64)


def _within(place_px: _Numbers, margin_px: _Numbers, size: int) -> npt.NDArray[np.bool_]:
    return np.asarray((place_px > -margin_px) & (place_px < size - 1 + margin_px))


def _stamp(
    image: _Photons,
    shelf: Shelf,
    y_px: _Numbers,
    x_px: _Numbers,
    strength: _Photons,
    window: npt.NDArray[np.int64],
) -> None:
    stamp(
        image,
        shelf.buffer,
        shelf.offset,
        shelf.side,
        shelf.oversample,
        y_px,
        x_px,
        strength,
        window,
    )
