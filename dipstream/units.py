"""Quantities as people write them: "6.5 um" where a parameter's name ends in its unit."""

import re
from typing import Any

__all__ = ["in_unit_of", "unit_of"]

_LENGTHS = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "mm": 1e3}
_TIMES = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_DIMENSIONS = (_LENGTHS, _TIMES, {"px": 1.0})
_SUFFIXES = ("um", "nm", "ms", "s", "px")
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zµμ]+)\s*")


def unit_of(name: str) -> str | None:
    """Return the unit a parameter's name ends in, or None."""
    suffix = name.rpartition("_")[2] if "_" in name else ""
    return suffix if suffix in _SUFFIXES else None


def in_unit_of(name: str, value: Any) -> Any:
    """Return a text such as ``"6.5 um"`` as a number in the unit of the parameter's name.

    Anything else comes back as it is, for the model to judge.

    Raises
    ------
    ValueError
        If the text has a unit that cannot be converted into the parameter's.
    """
    unit = unit_of(name)
    found = _QUANTITY.fullmatch(value) if unit is not None and isinstance(value, str) else None
    if unit is None or found is None:
        return value
    scales = next(scales for scales in _DIMENSIONS if unit in scales)
    if found[2] not in scales:
        raise ValueError(
            f"received {value!r}, but {name} is in {unit}; allowed units are {', '.join(scales)}"
        )
    # Divided and not multiplied by an inverse: "6500 nm" is 6.5 µm to the last digit.
    number = float(found[1]) * scales[found[2]] / scales[unit]
    rounded = float(f"{number:.15g}")
    return int(rounded) if rounded.is_integer() and "." not in found[1] else rounded
