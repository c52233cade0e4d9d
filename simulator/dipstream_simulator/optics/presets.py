"""Objectives by name, from the table that ships with the package."""

import difflib
import re

from dipstream.errors import SourceError
from dipstream_simulator.optics.catalogue import catalogue
from dipstream_simulator.optics.objective import IMMERSION_INDEX, Objective

__all__ = ["objective_names", "objective_preset", "objective_source"]

_TRAILING_ZEROS = re.compile(r"(\.\d+?)0+(?!\d)")


def objective_names() -> tuple[str, ...]:
    """Return the names of the shipped objectives, from the weakest to the strongest."""
    return tuple(catalogue())


def objective_preset(name: str) -> Objective:
    """Return a shipped objective by its name, such as ``60x1.40 oil``.

    Spaces, slashes, case and the NA's last zeros do not matter. `Objective.parse` reads any other
    engraving.

    Raises
    ------
    SourceError
        If there is none of that name; the message lists the nearest ones.
    """
    row = catalogue()[_known(name)]
    return Objective(row.magnification, row.na, IMMERSION_INDEX[row.medium], row.tube_lens_mm)


def objective_source(name: str) -> str:
    """Return where a shipped objective's numbers come from, or that they are unverified.

    Raises
    ------
    SourceError
        As for `objective_preset`.
    """
    return catalogue()[_known(name)].source


def _known(name: str) -> str:
    plain = {_plain(known): known for known in catalogue()}
    wanted = _plain(name)
    if wanted in plain:
        return plain[wanted]
    near = difflib.get_close_matches(wanted, plain, n=3, cutoff=0.4) or list(plain)
    raise SourceError(
        f"The simulated microscope received the objective {name!r}; allowed are the shipped ones, "
        f"of which the nearest are {', '.join(plain[key] for key in near)}. "
        "Write one of them, or an engraving such as 20x0.75 or 60x1.40oil"
    )


def _plain(name: str) -> str:
    squeezed = name.casefold().replace(" ", "").replace("/", "")
    return _TRAILING_ZEROS.sub(r"\1", squeezed)
