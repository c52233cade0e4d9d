"""OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5/), one array a position, a chunk a plane."""

from importlib import import_module
from pathlib import Path
from typing import Any

from dipstream.errors import ConfigError
from dipstream.frame import Frame
from dipstream.simulate.ome_xml import PlaneNote, z_step_um
from dipstream.simulate.writers import noted

__all__ = ["OmeZarr", "require_zarr"]

_GROWTH = 64


def require_zarr() -> Any:
    """Return the zarr package; raises `ConfigError`, naming the extra, if it is not there."""
    try:
        zarr = import_module("zarr")
    except ImportError as error:
        raise ConfigError(
            "OME-Zarr is written by the package zarr, which is not installed; "
            'pip install "dipstream[zarr]", or choose --format tiff'
        ) from error
    if int(str(zarr.__version__).split(".", maxsplit=1)[0]) < 3:
        raise ConfigError(
            f"OME-Zarr 0.5 needs zarr 3, and {zarr.__version__} is installed; "
            'pip install "dipstream[zarr]", or choose --format tiff'
        )
    return zarr


class OmeZarr:
    """One group with one array (T, C, Z, Y, X) that grows along t.

    Parameters
    ----------
    folder
        The position's folder; the group is ``frames.ome.zarr`` in it.
    name
        The position, as the image is called.
    channels
        All channels, in order.
    """

    def __init__(self, folder: Path, name: str, channels: tuple[str, ...]) -> None:
        self._zarr = require_zarr()
        folder.mkdir(parents=True, exist_ok=True)
        self._group = self._zarr.open_group(
            str(folder / "frames.ome.zarr"), mode="w", zarr_format=3
        )
        self._name = name
        self._channels = channels
        self._notes: list[PlaneNote] = []
        self._array: Any = None
        self._first: Frame | None = None

    def append(self, frame: Frame) -> None:
        """Write a frame as one chunk."""
        note = noted(frame, self._channels)
        rows, columns = frame.data.shape
        if self._array is None:
            self._first = frame
            self._array = self._group.create_array(
                "0",
                shape=(_GROWTH, len(self._channels), note.z + 1, rows, columns),
                chunks=(1, 1, 1, rows, columns),
                dtype=frame.data.dtype,
                dimension_names=("t", "c", "z", "y", "x"),
            )
        times, c, planes, *rest = self._array.shape
        if note.t >= times or note.z >= planes:
            times = times if note.t < times else note.t + _GROWTH
            self._array.resize((times, c, max(planes, note.z + 1), *rest))
        self._array[note.t, note.c, note.z] = frame.data
        self._notes.append(note)

    def close(self) -> None:
        """Cut the array to what has come, and describe it."""
        if self._array is None or self._first is None:
            return
        _, *rest = self._array.shape
        self._array.resize((max(note.t for note in self._notes) + 1, *rest))
        self._group.attrs.update(self._about(self._first))
        self._array = None

    def _about(self, first: Frame) -> dict[str, Any]:
        segment = first.info.segment
        units = ("second", None, "micrometer", "micrometer", "micrometer")
        kinds = ("time", "channel", "space", "space", "space")
        axes = [
            {"name": name, "type": kind} | ({} if unit is None else {"unit": unit})
            for name, kind, unit in zip("tczyx", kinds, units, strict=True)
        ]
        if segment.pixel_um is None:
            axes[3:] = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
        side = segment.pixel_um or 1.0
        scale = [self._interval_s(), 1.0, z_step_um(self._notes) or 1.0, side, side]
        largest = 2**segment.bit_depth - 1 if segment.bit_depth else 65535
        window = {"start": 0, "end": largest, "min": 0, "max": largest}
        colours = ("0000FF", "00FF00", "FF0000", "FF00FF", "FFFFFF")
        channels = [
            {"label": name, "color": colours[min(c, 4)], "window": window, "active": True}
            for c, name in enumerate(self._channels)
        ]
        dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        multiscale = {"name": self._name, "axes": axes, "datasets": [dataset]}
        return {
            "ome": {
                "version": "0.5",
                "multiscales": [multiscale],
                "omero": {"channels": channels},
            },
            "dipstream": {
                "exposure_ms": first.info.exposure_ms,
                "bit_depth": segment.bit_depth,
                "offset_dn": segment.offset_dn,
                "gain_e_per_dn": segment.gain_e_per_dn,
            },
        }

    def _interval_s(self) -> float:
        """Return the mean time between time points, in s; 1 if there is no telling."""
        when = {note.t: note.exposed_ns for note in self._notes if note.exposed_ns is not None}
        if len(when) < 2 or max(when) == min(when):
            return 1.0
        passed_ns = when[max(when)] - when[min(when)]
        return passed_ns / 1e9 / (max(when) - min(when)) or 1.0
