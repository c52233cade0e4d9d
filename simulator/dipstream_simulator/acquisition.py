"""Which frame is which: time, position, plane and channel of each exposure, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.model import Channel

__all__ = ["Place", "Sequence", "Shot", "exposure_channels", "grid"]

ExposureChannel = tuple[int, ...]
"""The specimen's channels that one exposure sees together, as indices."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position of the stage: its name, and the world point (µm) in the middle of the field."""

    name: str
    y_um: float
    x_um: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure, as it was ordered; what becomes of it is a pure function of this and the seed.

    Attributes
    ----------
    number
        The device's own counter.
    t, channel
        Time point of the specimen, and index into the exposure channels.
    position
        The position's name.
    stage_um
        Where the stage was told to be: (x, y, z).
    exposure_ms
        Exposure time.
    light
        Brightness of the lamp, relative to what it should be.
    dose_ms
        Exposure that this place has had in this channel before.
    index
        The useq index.
    """

    number: int
    t: int
    channel: int
    position: str
    stage_um: tuple[float, float, float]
    exposure_ms: float
    light: float = 1.0
    dose_ms: float = 0.0
    index: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def z(self) -> int:
        """The plane's number."""
        return self.index.get("z", 0)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A multi-dimensional acquisition in the order t, position, z, channel.

    Attributes
    ----------
    channels
        How many exposure channels there are.
    places
        The positions.
    planes, z_step_um
        Planes of a stack, centred on the focus, and the distance between them.
    exposure_ms
        Exposure time of every frame.
    """

    channels: int
    places: tuple[Place, ...]
    planes: int = 1
    z_step_um: float = 1.0
    exposure_ms: float = 10.0

    def shot(self, number: int) -> Shot:
        """Return the exposure with this device number."""
        rest, channel = divmod(number, self.channels)
        rest, plane = divmod(rest, self.planes)
        t, p = divmod(rest, len(self.places))
        place = self.places[p]
        z_um = (plane - (self.planes - 1) / 2) * self.z_step_um
        return Shot(
            number=number,
            t=t,
            channel=channel,
            position=place.name,
            stage_um=(place.x_um, place.y_um, z_um),
            exposure_ms=self.exposure_ms,
            dose_ms=(t * self.planes + plane) * self.exposure_ms,
            index=MappingProxyType({"t": t, "p": p, "c": channel, "z": plane}),
        )


def grid(tiles: str, field_um: tuple[float, float], overlap: float) -> tuple[Place, ...]:
    """Lay fields side by side around the specimen's middle.

    Parameters
    ----------
    tiles
        Rows, x, columns: ``2x3``.
    field_um
        Height and width of a field.
    overlap
        Share of a field that neighbours have in common, 0 to 0.9.

    Returns
    -------
    tuple of Place
        Row by row; a single one is called 0, others 0, 1, 2, …
    """
    require_between("overlap", overlap, 0.0, 0.9, example=0.1)
    parts = tiles.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise SourceError(
            f"The simulated camera received tiles={tiles!r}; allowed are rows, x, columns. "
            "Write for instance tiles=2x3"
        )
    rows, columns = (int(part) for part in parts)
    require_between("tiles", rows, 1, 1000, example=2)
    require_between("tiles", columns, 1, 1000, example=2)
    step_y_um, step_x_um = (side * (1.0 - overlap) for side in field_um)
    return tuple(
        Place(
            str(row * columns + column),
            (row - (rows - 1) / 2) * step_y_um,
            (column - (columns - 1) / 2) * step_x_um,
        )
        for row in range(rows)
        for column in range(columns)
    )


def exposure_channels(
    text: str, known: Mapping[str, Channel]
) -> tuple[tuple[Channel, ...], tuple[tuple[str, ExposureChannel], ...]]:
    """Read ``DAPI,GFP``, or ``DAPI+GFP`` for two that are seen in one exposure.

    Returns
    -------
    emitters, exposures
        The fluorophores in order of appearance; then name and indices of each exposure channel.
    """
    emitters: list[str] = []
    exposures: list[tuple[str, ExposureChannel]] = []
    by_lower = {name.lower(): name for name in known}
    for name in text.split(","):
        parts = [part.strip().lower() for part in name.split("+")]
        if not all(part in by_lower for part in parts) or len(set(parts)) < len(parts):
            raise SourceError(
                f"The simulated camera received channels={text!r}; allowed are "
                f"{', '.join(known)}, each once, separated by commas, or by + for those that one "
                "exposure sees together. Write for instance channels=DAPI,GFP"
            )
        found = [by_lower[part] for part in parts]
        emitters += [part for part in found if part not in emitters]
        exposures.append(("+".join(found), tuple(emitters.index(part) for part in found)))
    if len({name for name, _ in exposures}) < len(exposures):
        raise SourceError(
            f"The simulated camera received channels={text!r}; allowed is each channel once. "
            "Leave out the repetition"
        )
    return tuple(known[name] for name in emitters), tuple(exposures)
