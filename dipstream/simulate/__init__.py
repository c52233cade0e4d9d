"""Simulated frames as image files, with the truth beside them."""

from dipstream.simulate.layout import SimulationFolder, simulated_frames
from dipstream.simulate.session import SimulationError, simulate

__all__ = ["SimulationError", "SimulationFolder", "simulate", "simulated_frames"]
