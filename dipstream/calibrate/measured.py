"""A number and how far it is to be trusted."""

from dataclasses import dataclass

__all__ = ["Measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value with its standard error, in the unit of the name it goes by."""

    value: float
    se: float

    def scaled(self, factor: float) -> "Measured":
        """Return it in another unit."""
        return Measured(self.value * factor, self.se * abs(factor))
