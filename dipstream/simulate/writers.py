"""Writes frames plane by plane: OME-TIFF here, OME-Zarr next door; nothing is kept in memory."""

from pathlib import Path
from typing import Protocol

import tifffile

from dipstream.frame import Frame
from dipstream.simulate.ome_xml import PlaneNote, ome_xml
from dipstream.truth.replacing import naming

__all__ = ["OmeTiff", "PositionWriter", "noted"]


class PositionWriter(Protocol):
    """Takes the frames of one position, all of the same segment, in any order of t, c and z."""

    def append(self, frame: Frame) -> None:
        """Write a frame."""
        ...

    def close(self) -> None:
        """Write what describes the whole; may be called twice."""
        ...


class OmeTiff:
    """One BigTIFF with the planes in order of arrival; OME-XML says which page is which plane.

    Parameters
    ----------
    folder
        The position's folder, made if need be.
    name
        The position, as the image is called.
    channels
        All channels, in order.
    """

    def __init__(self, folder: Path, name: str, channels: tuple[str, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "frames.ome.tiff"
        self._name = name
        self._channels = channels
        self._notes: list[PlaneNote] = []
        self._first: Frame | None = None
        self._file: tifffile.TiffWriter | None = tifffile.TiffWriter(self._path, bigtiff=True)

    def append(self, frame: Frame) -> None:
        """Write a frame as one page."""
        if self._file is None:
            raise ValueError(f"{self._path} is closed")
        # The first page gets a description to be replaced when all planes are known.
        with naming(self._path):
            self._file.write(
                frame.data,
                photometric="minisblack",
                metadata=None,
                contiguous=False,
                description=None if self._notes else "OME-XML follows when the file is complete",
            )
        self._notes.append(noted(frame, self._channels))
        self._first = self._first or frame

    def close(self) -> None:
        """Close the file and describe its pages."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with naming(self._path):
            file.close()
            if self._first is not None:
                segment = self._first.info.segment
                xml = ome_xml(self._name, segment, self._channels, self._notes)
                tifffile.tiffcomment(self._path, xml.encode("utf-8"))


def noted(frame: Frame, channels: tuple[str, ...]) -> PlaneNote:
    """Return what is to be remembered of a frame."""
    info = frame.info
    return PlaneNote(
        t=info.t,
        c=channels.index(info.channel),
        z=info.z,
        exposed_ns=info.exposed_ns,
        exposure_ms=info.exposure_ms,
        stage_um=info.stage_um,
    )
