"""The objective, the microscope around it, and how they image a point."""

from dipstream_simulator.optics import resolution
from dipstream_simulator.optics.airy import airy_intensity, airy_psf
from dipstream_simulator.optics.illumination import PROFILES, Profile, shading
from dipstream_simulator.optics.microscope import MAX_PSF_PX, Method, Microscope, PsfModel
from dipstream_simulator.optics.objective import IMMERSION_INDEX, Objective
from dipstream_simulator.optics.otf import mtf_of_psf, otf_of_psf
from dipstream_simulator.optics.presets import objective_names, objective_preset, objective_source
from dipstream_simulator.optics.zernike import ABERRATIONS, parse_aberrations

__all__ = [
    "ABERRATIONS",
    "IMMERSION_INDEX",
    "MAX_PSF_PX",
    "PROFILES",
    "Method",
    "Microscope",
    "Objective",
    "Profile",
    "PsfModel",
    "airy_intensity",
    "airy_psf",
    "mtf_of_psf",
    "objective_names",
    "objective_preset",
    "objective_source",
    "otf_of_psf",
    "parse_aberrations",
    "resolution",
    "shading",
]
