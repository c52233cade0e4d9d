"""The microscope as the renderer sees it: how it images a point, in any plane."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.optics.layers import COVERSLIP_UM, Layers
from dipstream_simulator.optics.objective import Objective
from dipstream_simulator.optics.point import MAX_PSF_PX, Point, PsfModel
from dipstream_simulator.optics.wavefront import Wavefront
from dipstream_simulator.optics.zernike import check_aberrations

__all__ = ["MAX_PSF_PX", "Method", "Microscope", "PsfModel"]

Method = Literal["widefield", "confocal"]


@dataclass(frozen=True, slots=True)
class Microscope:
    """An objective, what is done with it, and what stands between it and the object.

    Attributes
    ----------
    objective
        Sets magnification, aperture and immersion.
    method
        ``widefield``, or ``confocal``: a focused laser and a pinhole.
    psf_model
        ``scalar`` (Airy and its defocus), ``vectorial`` (polarisation at high apertures; slightly
        wider) or ``gaussian`` (fast; knows no aberrations).
    pinhole_au
        Diameter of the pinhole in Airy units, 1.22 λ_em/NA; confocal only.
    aberrations_nm
        Names in `ABERRATIONS` with nm RMS, as a mapping or as pairs; kept as sorted pairs.
    sample_index
        Refractive index around the object; None: that of the immersion, no mismatch.
    depth_um
        Nominal depth of the focus in the sample: how far the stage went from the coverslip. With
        a mismatch the sharp plane is at another depth, and blurred by spherical aberration.
    coverslip_um
        Thickness of the coverslip that is there; objectives are designed for 170.

    Raises
    ------
    SourceError
        At construction, if such a microscope cannot exist.
    """

    objective: Objective
    method: Method = "widefield"
    psf_model: PsfModel = "scalar"
    pinhole_au: float = 1.0
    aberrations_nm: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    sample_index: float | None = None
    depth_um: float = 0.0
    coverslip_um: float = COVERSLIP_UM

    def __post_init__(self) -> None:
        _require_one_of("method", self.method, get_args(Method))
        _require_one_of("psf_model", self.psf_model, get_args(PsfModel))
        require_between("pinhole_au", self.pinhole_au, 0.0, 20.0, example=1, open_low=True)
        given = self.aberrations_nm
        pairs = tuple(given.items() if isinstance(given, Mapping) else given)
        check_aberrations(pairs)
        # Sorted pairs: equal microscopes are equal, and can be keys of a cache.
        object.__setattr__(self, "aberrations_nm", tuple(sorted((n, float(v)) for n, v in pairs)))
        wavefront = self.wavefront
        if self.psf_model == "gaussian" and not _is_ideal(wavefront):
            raise SourceError(
                "The simulated microscope received psf_model='gaussian' with aberrations, another "
                "coverslip or a sample_index unlike the immersion's; allowed is a Gaussian without "
                "any. Write psf_model='scalar'"
            )

    @property
    def wavefront(self) -> Wavefront:
        """Aperture and phase of a point's light in the pupil."""
        layers = Layers(
            self.objective.immersion_index, self.sample_index, self.depth_um, self.coverslip_um
        )
        return Wavefront(self.objective.na, layers, tuple(dict(self.aberrations_nm).items()))

    def psf(
        self, emission_nm: float, excitation_nm: float, pixel_um: float, z_um: float = 0.0
    ) -> npt.NDArray[np.float64]:
        """Return the image of a point, integrated over each object pixel.

        Parameters
        ----------
        emission_nm, excitation_nm
            Wavelengths in vacuum; the excitation matters for the confocal microscope only.
        pixel_um
            Side of a pixel in the object. The magnification is not used: it changes nothing else.
        z_um
            From the nominal focus to the point, away from the lens.

        Returns
        -------
        ndarray
            float64 (k, k), k odd and at most `MAX_PSF_PX`, centred on its middle pixel. In the
            widefield microscope the sum is 1 in every plane: the pattern is normalised before it
            is cropped to 98 % of its light or more (less only where the kernel would be larger
            than `MAX_PSF_PX`), and the rest is put back as a faint halo, as it falls off, r⁻³. In
            the confocal microscope the sum is the share of the light that passes the pinhole,
            which falls away from the focus.

        Raises
        ------
        SourceError
            If a wavelength, the pixel or z is impossible.
        """
        require_between("emission_nm", emission_nm, 200.0, 2000.0, example=525)
        require_between("excitation_nm", excitation_nm, 200.0, 2000.0, example=488)
        require_between("pixel_um", pixel_um, 0.0, 1000.0, example=0.108, open_low=True)
        require_between("z_um", z_um, -1000.0, 1000.0, example=2)
        point = Point(self.objective, self.wavefront, self.psf_model, pixel_um, z_um)
        if self.method == "confocal":
            return np.maximum(point.confocal(emission_nm, excitation_nm, self.pinhole_au), 0.0)
        # Interpolation may undershoot in dark rings; photons cannot.
        return _whole(np.maximum(point.widefield(emission_nm), 0.0))


def _whole(kernel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Put back what was cropped, so that the sum is 1 and the middle is as bright as it was.

    The Airy pattern's envelope falls like r⁻³; the halo does, smoothly, from half the edge on.
    """
    missing = 1.0 - float(kernel.sum())
    if missing <= 0.0:
        return np.asarray(kernel / kernel.sum(), dtype=np.float64)
    half = len(kernel) // 2
    squared = (np.arange(-half, half + 1) / (0.5 * half)) ** 2
    halo = (1.0 + squared[:, None] + squared[None, :]) ** -1.5
    return np.asarray(kernel + missing / halo.sum() * halo, dtype=np.float64)


def _require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SourceError(
            f"The simulated microscope received {name}={value!r}; allowed are "
            f"{', '.join(allowed)}. Write for instance {name}={allowed[0]}"
        )


def _is_ideal(wavefront: Wavefront) -> bool:
    layers = wavefront.layers
    matched = layers.object_index == layers.immersion_index
    aberrated = any(rms for _, rms in wavefront.aberrations_nm)
    return matched and layers.coverslip_um == COVERSLIP_UM and not aberrated
