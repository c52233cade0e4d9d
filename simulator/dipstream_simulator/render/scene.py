"""Specimen and objective together: the photons that reach each pixel, without noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.optics import Objective
from dipstream_simulator.render.sprites import Sprite, make_sprite, place
from dipstream_simulator.specimen.nuclei import CHANNELS, Specimen

__all__ = ["Scene", "make_scene"]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything about the image that does not change with time.

    Attributes
    ----------
    shape
        Rows and columns of the image, in px.
    pixel_um
        Side of a pixel in the object, in µm.
    specimen, sprites
        The nuclei, and the picture of each of the specimen's shapes.
    signal_photons, background_photons
        Photons that reach a pixel during one exposure: from a nucleus of typical brightness,
        and from everything else.
    """

    shape: tuple[int, int]
    pixel_um: float
    specimen: Specimen
    sprites: tuple[Sprite, ...]
    signal_photons: float
    background_photons: float

    @property
    def coverage(self) -> float:
        """Area of all nuclei, relative to the field."""
        return self.specimen.area_um2 / (self.shape[0] * self.shape[1] * self.pixel_um**2)

    def places_px(self, position_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turn µm from the field's corner into px from the middle of the first pixel."""
        return position_um / self.pixel_um - 0.5

    def photons(
        self, position_um: npt.NDArray[np.float64], channel: int
    ) -> npt.NDArray[np.float32]:
        """Return the expected photons of each pixel during one exposure.

        Parameters
        ----------
        position_um
            (n, 2) centroids (y, x) in µm from the field's corner.
        channel
            Index into `dipstream_simulator.specimen.nuclei.CHANNELS`.

        Returns
        -------
        ndarray
            (y, x) float32. Light adds up where nuclei overlap, as in a widefield microscope.
        """
        image = np.full(self.shape, self.background_photons, dtype=np.float32)
        strength = self.signal_photons * self.specimen.brightness[:, channel]
        places_px = self.places_px(position_um)
        for which, (y_px, x_px), photons in zip(
            self.specimen.shape_of.tolist(), places_px.tolist(), strength.tolist(), strict=True
        ):
            sprite = self.sprites[which]
            patch, top, left = sprite.stamp(sprite.light[channel], y_px, x_px)
            where, patch = place(self.shape, patch, top, left)
            image[where] += photons * patch
        return image


def make_scene(
    specimen: Specimen,
    objective: Objective,
    *,
    shape: tuple[int, int],
    camera_pixel_um: float,
    exposure_ms: float,
    photons: float,
    background_photons: float,
) -> Scene:
    """Put a specimen under an objective.

    Photons that reach a pixel = emitted per µm² and ms · pixel area in the object · exposure ·
    collected fraction. The glass is taken as perfectly clear.

    Parameters
    ----------
    specimen, objective
        What is looked at, and through what.
    shape
        Rows and columns of the camera.
    camera_pixel_um
        Side of a pixel on the camera, in µm.
    exposure_ms
        Exposure time in ms.
    photons, background_photons
        Emitted into all directions per µm² and ms, by a nucleus of typical brightness and by
        everything else.
    """
    pixel_um = objective.object_pixel_um(camera_pixel_um)
    reaching = pixel_um**2 * exposure_ms * objective.collected_fraction
    sprites = tuple(
        make_sprite(nucleus, objective, CHANNELS, pixel_um) for nucleus in specimen.shapes
    )
    return Scene(
        shape, pixel_um, specimen, sprites, reaching * photons, reaching * background_photons
    )
