"""dipstream: reads the microscope while it images.

>>> import dipstream as ds
>>> labels, table = ds.analyze(image, "nuclei", pixel_um=0.325)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from dipstream.on_use import on_use
from dipstream.version import __version__

if TYPE_CHECKING:
    from dipstream.one_image import analyze
    from dipstream.opening import open_run
    from dipstream.service import start
    from dipstream.sources import open_source

__all__ = ["__version__", "analyze", "open_run", "open_source", "start"]

# Importing dipstream costs nothing, and drivers need only its types.
__getattr__ = on_use(
    __name__,
    {
        "analyze": "dipstream.one_image",
        "open_run": "dipstream.opening",
        "open_source": "dipstream.sources",
        "start": "dipstream.service",
    },
)
