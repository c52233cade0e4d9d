"""The kinds of specimens by name: what each takes from the URI, and what it is by default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between, y_and_x
from dipstream_simulator.optics import Objective
from dipstream_simulator.optics.resolution import airy_fwhm_um, rayleigh_um
from dipstream_simulator.specimen.cells import cells
from dipstream_simulator.specimen.emitters import emitters
from dipstream_simulator.specimen.filaments import filaments
from dipstream_simulator.specimen.flat import flat
from dipstream_simulator.specimen.model import Channel, Specimen
from dipstream_simulator.specimen.picture import picture
from dipstream_simulator.specimen.points import beads
from dipstream_simulator.specimen.population import nuclei
from dipstream_simulator.specimen.spots import spots
from dipstream_simulator.specimen.targets import pair, siemens, usaf

__all__ = ["KINDS", "Kind", "Request", "find_kind", "make_specimen"]

_LIVES = ("nucleus_um", "step_um", "motion", "cycle_t", "death_rate", "grow", "contrast")
_SPOTS = ("n", "density", "per_cell", "z_spread_um")
_LIVING = ("n", "density", "z_spread_um", "touching", "flow_um", *_LIVES)


@dataclass(frozen=True, slots=True)
class Request:
    """What a specimen is made from.

    Attributes
    ----------
    seed, n
        Fixes it; how many objects.
    extent_um
        Height and width in µm.
    channels
        What it can be seen in.
    objective
        Through which it is looked at: the truth about a point is as wide as its image.
    given
        The other parameters that the person wrote.
    """

    seed: int
    n: int
    extent_um: tuple[float, float]
    channels: tuple[Channel, ...]
    objective: Objective
    given: Mapping[str, Any]

    @property
    def emission_nm(self) -> float:
        """Emission of the first channel, in nm."""
        return self.channels[0].emission_nm

    @property
    def radius_um(self) -> float:
        """Half the width at half maximum of a point's image, in µm."""
        return airy_fwhm_um(self.objective.na, self.emission_nm) / 2

    def pick(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Return what was given of these parameters, under the builder's names."""
        wanted = {name: name for name in names} | renamed
        return {key: self.given[name] for key, name in wanted.items() if name in self.given}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of specimen.

    Attributes
    ----------
    name, build
        As in the URI, and what makes it.
    takes
        The parameters that mean something to it.
    channels, n, photons, background_photons
        Unless the URI says otherwise.
    size, size_um
        The parameter that says how large an object is, if there is one, and its default: the
        diameter of the room that it takes; 0 for what takes none.
    """

    name: str
    build: Callable[[Request], Specimen]
    takes: tuple[str, ...] = ()
    channels: str = "GFP"
    n: int = 0
    photons: float = 2400.0
    background_photons: float = 200.0
    size: str = ""
    size_um: float = 0.0

    def count(self, parameters: Mapping[str, Any]) -> int:
        """Return how many objects there are."""
        return self.n if parameters["n"] is None else int(parameters["n"])

    def diameter_um(self, parameters: Mapping[str, Any]) -> float:
        """Return the diameter of the room that an object takes, in µm."""
        given = parameters[self.size] if self.size else None
        if given is None:
            return self.size_um
        require_between(self.size, given, 2.0, 5.0 * self.size_um, example=self.size_um)
        return float(given)


def _lives(r: Request) -> dict[str, Any]:
    parameters = r.pick(*_LIVES, "z_spread_um", overlap="touching")
    if "flow_um" in r.given:
        parameters["drift_um"] = y_and_x("flow_um", r.given["flow_um"])
    return parameters


def _nuclei(r: Request) -> Specimen:
    return nuclei(r.seed, r.n, extent_um=r.extent_um, channels=r.channels, **_lives(r))


def _cells(r: Request) -> Specimen:
    parameters = _lives(r) | r.pick("cell_um")
    return cells(r.seed, r.n, extent_um=r.extent_um, channels=r.channels, **parameters)


def _strewn(builder: Callable[..., Specimen], *names: str) -> Callable[[Request], Specimen]:
    """Return what makes a specimen of things as wide as their image, with these parameters."""

    def build(r: Request) -> Specimen:
        return builder(
            r.seed,
            r.n,
            extent_um=r.extent_um,
            channels=r.channels,
            truth_radius_um=r.radius_um,
            **r.pick(*names),
        )

    return build


_beads = _strewn(beads, "bead_um", "z_spread_um")
_spots = _strewn(spots, "per_cell", "z_spread_um")
_emitters = _strewn(emitters, "on_t", "off_t", "z_spread_um")


def _filaments(r: Request) -> Specimen:
    length_um = r.given.get("length_um", 25.0)
    require_between("n times length_um", r.n * length_um, 0.0, 5e5, example=1000)
    return _strewn(filaments, "length_um")(r)


def _chart(builder: Callable[..., Specimen]) -> Callable[[Request], Specimen]:
    return lambda r: builder(extent_um=r.extent_um, channels=r.channels)


def _pair(r: Request) -> Specimen:
    if "distance_um" in r.given and "distance_rayleigh" in r.given:
        raise SourceError(
            "The simulated camera received both distance_um and distance_rayleigh; allowed is one "
            "of them. Leave out the other"
        )
    rayleighs = r.given.get("distance_rayleigh", 1.0)
    limit_um = rayleigh_um(r.objective.na, r.emission_nm)
    return pair(
        extent_um=r.extent_um,
        channels=r.channels,
        truth_radius_um=r.radius_um,
        distance_um=r.given.get("distance_um", rayleighs * limit_um),
        **r.pick("angle_deg"),
    )


def _picture(r: Request) -> Specimen:
    if "file" not in r.given:
        raise SourceError(
            "The simulated camera received specimen=picture without its image. "
            "Write for instance specimen=picture&file=cells.tif&file_pixel_um=0.1"
        )
    return picture(
        r.given["file"],
        extent_um=r.extent_um,
        channels=r.channels,
        **r.pick(pixel_um="file_pixel_um"),
    )


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("nuclei", _nuclei, _LIVING, "DAPI,GFP", 60, size="nucleus_um", size_um=10.0),
        Kind(
            "cells",
            _cells,
            (*_LIVING, "cell_um"),
            "DAPI,GFP",
            30,
            1600.0,
            size="cell_um",
            size_um=20.0,
        ),
        Kind("beads", _beads, ("n", "bead_um", "z_spread_um"), n=200, photons=3000.0),
        Kind("spots", _spots, _SPOTS, "RFP", 20, 1500.0, size_um=18.0),
        Kind("emitters", _emitters, ("n", "on_t", "off_t", "z_spread_um"), "Cy5", 2000, 300.0),
        Kind("filaments", _filaments, ("n", "length_um"), n=40),
        Kind("usaf", _chart(usaf), photons=1000.0, background_photons=20.0),
        Kind("siemens", _chart(siemens), photons=1000.0, background_photons=20.0),
        Kind("pair", _pair, ("distance_um", "distance_rayleigh", "angle_deg"), photons=5000.0),
        Kind("picture", _picture, ("file", "file_pixel_um"), photons=1500.0),
        Kind("flat", _chart(flat), channels="", photons=500.0),
    )
}
"""Every kind of specimen."""

_PARAMETERS = tuple(sorted({name for kind in KINDS.values() for name in kind.takes}))


def find_kind(name: str) -> Kind:
    """Return a kind by name; raises `SourceError` with the near ones."""
    if name in KINDS:
        return KINDS[name]
    close = get_close_matches(name, KINDS, n=2)
    hint = f" (did you mean {' or '.join(close)}?)" if close else ""
    raise SourceError(
        f"The simulated camera received specimen={name!r}; allowed are {', '.join(KINDS)}{hint}. "
        "Write for instance specimen=nuclei"
    )


def make_specimen(
    kind: Kind,
    parameters: Mapping[str, Any],
    objective: Objective,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
) -> Specimen:
    """Make a specimen from the parameters of the URI.

    Raises
    ------
    SourceError
        If one of them does not belong to this kind, or has no possible value.
    """
    given = {name: parameters[name] for name in _PARAMETERS if parameters[name] is not None}
    for name, value in given.items():
        if name not in kind.takes:
            takes = f"it takes {', '.join(kind.takes)}" if kind.takes else "it takes none of these"
            owners = [other.name for other in KINDS.values() if name in other.takes]
            raise SourceError(
                f"The simulated camera received {name}={value}, which means nothing to "
                f"specimen={kind.name}; {takes}, and {name} belongs to {', '.join(owners)}. "
                f"Leave out {name} or change the specimen"
            )
    n = given.pop("n", kind.n)
    given.pop("density", None)  # the extent was made for it
    return kind.build(Request(parameters["seed"], n, extent_um, channels, objective, given))
