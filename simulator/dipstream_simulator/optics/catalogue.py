"""The rows of objectives.toml, as they are written there."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["CatalogueRow", "catalogue", "medium_of"]


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One shipped objective.

    Attributes
    ----------
    magnification, na
        As engraved.
    medium
        Name of the immersion medium.
    tube_lens_mm
        Focal length of the tube lens that the magnification is engraved for.
    source
        Where the numbers come from, or "unverified".
    """

    magnification: float
    na: float
    medium: str
    tube_lens_mm: float
    source: str


@cache
def catalogue() -> dict[str, CatalogueRow]:
    """Return the shipped objectives by name, in the file's order.

    Raises
    ------
    TypeError
        If a row lacks a key or has one too many: the file is part of the package.
    """
    text = resources.files(__package__).joinpath("objectives.toml").read_text(encoding="utf-8")
    return {name: CatalogueRow(**row) for name, row in tomllib.loads(text).items()}


def medium_of(magnification: float, na: float) -> str | None:
    """Return the medium of the shipped objective with this engraving, None if there is none."""
    for row in catalogue().values():
        if (row.magnification, row.na) == (magnification, na):
            return row.medium
    return None
