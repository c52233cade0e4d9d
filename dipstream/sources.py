"""From what people write (a URI, a path, several folders) to an open source."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from dipstream.errors import ConfigError, SourceError
from dipstream.registry import driver_names, find_driver
from dipstream.source import Source

__all__ = ["lasting", "open_source"]

# One letter before the colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_+-]+):(?!\\)")
_QUERY = re.compile(r"\?((?:[A-Za-z_]\w*=[^&?]*)(?:&[A-Za-z_]\w*=[^&?]*)*)$")


def open_source(
    source: str | Path | Sequence[str | Path], *, driver: str | None = None, **options: Any
) -> Source:
    """Return a source for a URI, a path or several folders; enter it before use.

    Parameters
    ----------
    source
        ``sim:?n=800&seed=3``, a file, a folder, a glob, or a list of folders to watch.
    driver
        Take this driver, whatever the source looks like.
    options
        The driver's own parameters; those that are None were not given.

    Raises
    ------
    ConfigError
        If there is no such driver or parameter.
    SourceError
        If the source cannot be opened.
    """
    target, parameters = _split(source) if driver is None else (_texts(source), {})
    name = driver or parameters.pop("", "replay")
    chosen = find_driver(name)
    for key, value in options.items():
        if value is not None:
            parameters[key] = value
    arguments = chosen.configure(parameters)
    if chosen.open is None:
        raise ConfigError(f"the driver {name!r} cannot be used: {chosen.problem}")
    opened = chosen.open(target, **arguments)
    if not isinstance(opened, Source):
        raise SourceError(
            f"the driver {name!r} returned {type(opened).__name__}, which is no Source: it lacks "
            "info, frames, stop or listen. Update the driver"
        )
    return opened


def lasting(
    source: str | Path | Sequence[str | Path], *, driver: str | None = None
) -> str | list[str]:
    """Return a source as it can be opened from any working folder: paths are made absolute.

    Parameters
    ----------
    source, driver
        As `open_source` takes them.
    """
    if not isinstance(source, str | Path):
        return [str(lasting(one, driver=driver)) for one in source]
    if driver is not None and not (Path(source).exists() or set("*?[") & set(str(source))):
        return str(source)
    target, parameters = _split(source) if isinstance(source, str) else (str(source), {})
    scheme = parameters.pop("", None)
    if scheme is None:
        return os.path.abspath(Path(str(target)).expanduser())  # noqa: PTH100 - also of a glob
    # A target of another kind, such as the name of a camera, is no path.
    is_path = bool(target) and Path(str(target)).exists()
    if not is_path:
        return str(source)
    rest = str(source).partition(":")[2].removeprefix(str(target))
    return f"{scheme}:{Path(str(target)).absolute()}{rest}"


def _split(source: str | Path | Sequence[str | Path]) -> tuple[str | list[str], dict[str, Any]]:
    """Return the target and the parameters; the driver's name under the empty key."""
    if not isinstance(source, str):
        return _texts(source), {}
    scheme = _SCHEME.match(source)
    if scheme is None:
        return source, {}
    name, rest = scheme[1].lower(), source[scheme.end() :]
    if name not in driver_names() and Path(source).exists():
        return source, {}  # a file may have a colon in its name
    query = _QUERY.search(rest)
    parameters: dict[str, Any] = {"": name}
    if query is not None:
        rest = rest[: query.start()]
        # A plus is a plus here (channels=DAPI+GFP), not the blank of web forms.
        for key, value in parse_qsl(query[1].replace("+", "%2B"), keep_blank_values=True):
            if key in parameters:
                raise ConfigError(f"{source}: the parameter {key!r} is given twice")
            parameters[key] = value
    elif rest.startswith("?"):
        raise ConfigError(
            f"received {source!r}; parameters are written as `{name}:?name=value&name=value`"
        )
    return rest, parameters


def _texts(source: str | Path | Sequence[str | Path]) -> str | list[str]:
    if isinstance(source, str | Path):
        return str(source)
    return [str(one) for one in source]
