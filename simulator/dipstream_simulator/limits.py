"""Refuse what no camera, objective or specimen can have."""

import math

from dipstream.errors import SourceError

__all__ = ["require_between", "y_and_x"]


def require_between(
    name: str, value: float, low: float, high: float, *, example: float, open_low: bool = False
) -> None:
    """Raise unless `low` ≤ `value` ≤ `high` and `value` is finite.

    Parameters
    ----------
    name
        The parameter as it is written in the source's URI, units included.
    value, low, high
        The number received and the closed interval that is allowed.
    example
        A value that works, for the message.
    open_low
        `low` itself is not allowed either.

    Raises
    ------
    SourceError
        With what was received, what is allowed and what to write instead.
    """
    inside = low < value <= high if open_low else low <= value <= high
    if inside and math.isfinite(value):
        return
    allowed = f"{'above ' if open_low else ''}{low:g} and up to {high:g}"
    raise SourceError(
        f"The simulated camera received {name}={value:g}; allowed are numbers {allowed}. "
        f"Write for instance {name}={example:g}"
    )


def y_and_x(name: str, text: str) -> tuple[float, float]:
    """Read two numbers, y and x, separated by a comma.

    Raises
    ------
    SourceError
        If they are not.
    """
    try:
        y, x = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SourceError(
            f"The simulated camera received {name}={text!r}; allowed are two numbers, y and x. "
            f"Write for instance {name}=0.1,-0.05"
        ) from error
    return y, x
