"""How much memory the drawings of a specimen take."""

from itertools import islice

from dipstream_simulator.render.blur import Optics
from dipstream_simulator.specimen.model import Specimen

__all__ = ["sprite_bytes"]

_LOOKED_AT = 8  # shapes; the others are about as large


def sprite_bytes(specimen: Specimen, optics: Optics, pixel_um: float, shapes: int) -> float:
    """Estimate what so many of a specimen's shapes take in focus, in all channels, in bytes.

    Each is drawn in steps that resolve pixel and optics, whichever is finer.
    """
    if not shapes:
        return 0.0
    nyquist_um = min(optics.objective.nyquist_um(c.emission_nm) for c in specimen.channels)
    step_um = min(pixel_um / 3.0, nyquist_um)
    reach_um = max(shape.reach_um for shape in islice(specimen.shapes, _LOOKED_AT))
    samples = 2.0 * (reach_um + 2.0 * pixel_um) / step_um
    return shapes * len(specimen.channels) * 4.0 * samples**2
