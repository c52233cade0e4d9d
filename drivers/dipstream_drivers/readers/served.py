"""Files that are read in a child process: the child's side, `dipstream.supervise.child.Handler`."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream.reader import ImageFile, Plane
from dipstream_drivers.readers.choose import reader_for
from dipstream_drivers.readers.guard import reading

__all__ = ["ServedFiles"]

MOST_OPEN = 4
"""Files kept open; one that is asked for later is opened again."""

Answer = tuple[Mapping[str, Any], Sequence[Pixels]]


class ServedFiles:
    """Opens files and reads their planes, as it is told."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, ImageFile] = OrderedDict()

    def __call__(self, request: Mapping[str, Any], arrays: Sequence[Pixels]) -> Answer:
        """Open a file, read a plane, or close a file."""
        del arrays
        key, path = str(request["key"]), Path(request["path"])
        if request["do"] == "close":
            self._close(key)
            return {}, ()
        with reading(path):
            image = self._image(key, path)
            if request["do"] == "open":
                return _described(image), ()
            number, t, c, z, position, channel = request["plane"]
            pixels = image.read(Plane(number, t, c, z, position, channel))
            return {"warnings": list(image.warnings)}, [pixels]

    def _image(self, key: str, path: Path) -> ImageFile:
        image = self._open.pop(key, None)
        if image is None:
            reader = reader_for(path)
            if reader is None:
                raise ReadError(f"{path.name}: no reader has its ending. Convert it to TIFF or PNG")
            while len(self._open) >= MOST_OPEN:
                self._close(next(iter(self._open)))
            image = reader.open(path).__enter__()
        self._open[key] = image
        return image

    def _close(self, key: str) -> None:
        image = self._open.pop(key, None)
        if image is not None:
            image.__exit__(None, None, None)


def _described(image: ImageFile) -> dict[str, Any]:
    return {
        "planes": [astuple(plane) for plane in image.planes],
        "pixel_um": image.pixel_um,
        "bit_depth": image.bit_depth,
        "warnings": list(image.warnings),
    }
