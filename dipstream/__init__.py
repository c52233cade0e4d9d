"""dipstream: reads the microscope while it images.

>>> import dipstream as ds
>>> labels, table = ds.analyze(image, "nuclei", pixel_um=0.325)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dipstream.version import __version__

if TYPE_CHECKING:
    from dipstream.one_image import analyze
    from dipstream.service import open_run, start
    from dipstream.sources import open_source

__all__ = ["__version__", "analyze", "open_run", "open_source", "start"]

_HOMES = {
    "analyze": "dipstream.one_image",
    "open_run": "dipstream.service",
    "open_source": "dipstream.sources",
    "start": "dipstream.service",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: importing dipstream costs nothing, and drivers need only its types.
    if name not in _HOMES:
        raise AttributeError(f"module 'dipstream' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
