"""Names of channels: what files call them, and what the person wants them to be called.

``1=nuclei,2=reporter`` renames; ``DAPI,GFP`` selects, or names the channels of files that have
no names of their own, in order. Either way the order given is the order of the channels, and
the first is the one that shipped presets segment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dipstream.errors import ConfigError

__all__ = ["ChannelMap", "raw_name"]


def raw_name(c: int) -> str:
    """Return the name of a channel that nobody named."""
    return f"ch{c}"


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """The option ``channels``, understood.

    Attributes
    ----------
    names
        The channels in order; empty if the option was not given.
    renames
        Raw name to name; empty for a plain list of names.
    """

    names: tuple[str, ...] = ()
    renames: Mapping[str, str] | None = None

    @classmethod
    def parse(cls, text: str | None) -> "ChannelMap":
        """Read the option; raises `ConfigError` that shows both forms."""
        if text is None:
            return cls()
        items = [item.strip() for item in text.split(",")]
        pairs = [tuple(part.strip() for part in item.partition("=")[::2]) for item in items]
        named = ["=" in item for item in items]
        names = [name if has else raw for (raw, name), has in zip(pairs, named, strict=True)]
        raws = [raw for raw, _ in pairs]
        mixed = any(named) and not all(named)
        doubled = len(set(names)) < len(names) or len(set(raws)) < len(raws)
        if mixed or doubled or "" in names or "" in raws:
            raise ConfigError(
                f"channels {text!r} cannot be used. Give names in order, as in DAPI,GFP, or names "
                "for what the files call them, as in 1=nuclei,2=reporter; each name once"
            )
        return cls(tuple(names), dict(zip(raws, names, strict=True)) if any(named) else None)

    def assign(self, raws: Sequence[str], *, positional: bool = True) -> dict[str, str]:
        """Return the name of each raw channel; those that are not wanted are left out.

        Parameters
        ----------
        raws
            All channels there are, in their own order.
        positional
            Whether a list of names that shares none with `raws` names them in order.
        """
        if not self.names:
            return {raw: raw for raw in raws}
        if self.renames is not None:
            return {raw: self.renames[raw] for raw in raws if raw in self.renames}
        known = {raw: raw for raw in raws if raw in self.names}
        if known or not positional:
            return known
        return dict(zip(raws, self.names, strict=False))

    def order(self, found: Sequence[str]) -> tuple[str, ...]:
        """Return the channels in the order asked for, else as found."""
        return self.names or tuple(dict.fromkeys(found))
