"""File-name patterns with named fields: ``xy{position}-{channel}.png``, ``t{t:03d}.tif``.

Fields are ``t``, ``position`` (or ``p``), ``channel`` (or ``c``) and ``z``. A bare field takes the
shortest text that fits, ``:d`` an integer, ``:03d`` an integer of at least three digits; t and z
are integers in any case. Outside fields ``*`` stands for any text within a name, ``**`` for any
text with folders in it, ``?`` for one character, and ``{{`` and ``}}`` for braces. A pattern with
a ``/`` is matched against the path below the folder that is read, always written with ``/``; one
without, against the name alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dipstream.errors import ConfigError

__all__ = ["Pattern", "natural_key"]

ALIASES = {"p": "position", "c": "channel"}
FIELDS = ("t", "position", "channel", "z")
INTEGERS = ("t", "z")
TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
WILD = {"**": r".*", "*": r"[^/]*", "?": r"[^/]"}
DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts ``t9`` before ``t10``, and never fails on odd names."""
    parts = DIGITS.split(name)
    # Odd parts are runs of digits; the leading number keeps them comparable with text.
    return tuple(
        (0, int(part), part) if number % 2 else (1, 0, part) for number, part in enumerate(parts)
    )


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; made with `Pattern.compile`."""

    text: str
    fields: tuple[str, ...]
    _regex: re.Pattern[str] = field(repr=False)
    _integers: frozenset[str] = field(repr=False)

    @classmethod
    def compile(cls, text: str) -> "Pattern":
        """Read a pattern; raises `ConfigError` that says which fields are allowed."""
        regex: list[str] = []
        fields: list[str] = []
        integers: set[str] = set()
        for token in TOKEN.finditer(text):
            literal, inner = token.group(), token.group(1)
            if inner is not None:
                name, spec = _field(text, inner, fields)
                regex.append(f"(?P<{name}>{_expression(text, name, spec)})")
                fields.append(name)
                integers |= {name} if spec or name in INTEGERS else set()
            elif literal in ("{", "}"):
                raise _wrong(text, f"the brace at character {token.start() + 1} has no partner")
            else:
                regex.append(_literal(literal))
        if not fields:
            raise _wrong(text, "it has no field")
        return cls(text, tuple(fields), re.compile("".join(regex), re.DOTALL), frozenset(integers))

    @property
    def whole_path(self) -> bool:
        """Whether the path below the root is matched rather than the name alone."""
        return "/" in self.text

    def parse(self, path: str) -> Mapping[str, int | str] | None:
        """Return the fields of a relative path (written with ``/``), or None if it does not fit."""
        match = self._regex.fullmatch(path if self.whole_path else path.rpartition("/")[2])
        if match is None:
            return None
        return {
            name: int(value) if name in self._integers else value
            for name, value in match.groupdict().items()
        }


def _wrong(text: str, reason: str) -> ConfigError:
    return ConfigError(
        f"the pattern {text!r} cannot be used: {reason}. Allowed are the fields {{t}}, "
        "{position} or {p}, {channel} or {c}, and {z}, each once, as they are or with :d or :03d "
        "for integers; *, ** and ? as wildcards; {{ and }} for braces. "
        "Example: xy{position}-{channel}.png"
    )


def _field(text: str, inner: str, taken: list[str]) -> tuple[str, str]:
    name, _, spec = inner.partition(":")
    name = ALIASES.get(name.strip(), name.strip())
    if name not in FIELDS:
        raise _wrong(text, f"there is no field {{{inner}}}")
    if name in taken:
        raise _wrong(text, f"the field {{{name}}} comes twice")
    return name, spec.strip()


def _expression(text: str, name: str, spec: str) -> str:
    if spec and not re.fullmatch(r"(0[1-9][0-9]?)?d", spec):
        raise _wrong(text, f"the form :{spec} of the field {{{name}}} is unknown")
    if spec in ("", "d"):
        return "[0-9]+" if spec or name in INTEGERS else "[^/]+?"
    return f"[0-9]{{{int(spec[1:-1])},}}"


def _literal(text: str) -> str:
    if text in ("{{", "}}"):
        return re.escape(text[0])
    return "".join(WILD.get(part) or re.escape(part) for part in re.split(r"(\*\*|[*?])", text))
