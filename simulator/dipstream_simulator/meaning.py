"""Refuse parameters that would do nothing: who writes them means something by them."""

from collections.abc import Callable, Mapping
from typing import Any

from dipstream.errors import SourceError

__all__ = ["require_meaning"]

Parameters = Mapping[str, Any]

_NEEDS: tuple[tuple[str, object, Callable[[Parameters], bool], str], ...] = (
    ("pinhole_au", 1.0, lambda p: p["method"] == "confocal", "method=confocal"),
    ("depth_um", 0.0, lambda p: p["sample_index"] is not None, "a sample_index"),
    ("flicker_depth", 0.2, lambda p: p["flicker_hz"] > 0, "flicker_hz above 0"),
    ("overlap", 0.0, lambda p: p["tiles"] != "1x1", "more than one of tiles"),
    ("z_step_um", 1.0, lambda p: p["z"] > 1, "more than one plane z"),
    ("step_um", None, lambda p: p["motion"] != "still", "a motion that is not still"),
    ("flow_um", None, lambda p: p["motion"] == "drift", "motion=drift"),
    ("bleach_ms", 0.0, lambda p: p["specimen"] != "flat", "a specimen that is not flat"),
    ("transmission", 1.0, lambda p: p["specimen"] != "flat", "a specimen that is not flat"),
    ("background_photons", None, lambda p: p["specimen"] != "flat", "a specimen that is not flat"),
)
"""Parameter, its default, when it means something, and that in words."""


def require_meaning(p: Parameters) -> None:
    """Raise if a parameter is not its default and has no effect beside the others.

    Parameters
    ----------
    p
        The parameters of `dipstream_simulator.source.open_sim`, all of them.

    Raises
    ------
    SourceError
        Naming the parameter, and what it needs.
    """
    for name, default, means_something, needed in _NEEDS:
        if p[name] != default and not means_something(p):
            raise SourceError(
                f"The simulated camera received {name}={p[name]}, which does nothing without "
                f"{needed}. Write that too, or leave {name} out"
            )
