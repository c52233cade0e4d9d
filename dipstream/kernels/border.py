"""Beyond the border of an image."""

from typing import Any

from dipstream.compiled import compiled

__all__ = ["reflected"]


@compiled
def reflected(i: Any, n: Any) -> Any:
    """Mirror an index at the edges of 0 … n − 1 (d c b a | a b c d | d c b a), however far."""
    if 0 <= i < n:
        return i
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i
