"""dipstream: reads the microscope while it images."""

from dipstream.version import __version__

__all__ = ["__version__"]
