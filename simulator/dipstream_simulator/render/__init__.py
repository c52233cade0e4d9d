"""From specimen and optics to the photons that reach each pixel."""

from dipstream_simulator.render.blur import Optics
from dipstream_simulator.render.labels import SceneTruth
from dipstream_simulator.render.renderer import Renderer, View
from dipstream_simulator.render.size import sprite_bytes

__all__ = ["Optics", "Renderer", "SceneTruth", "View", "sprite_bytes"]
