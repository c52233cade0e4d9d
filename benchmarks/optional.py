"""Libraries that dipstream is compared with, where they are installed."""

import importlib
from typing import Any

__all__ = ["optional"]


def optional(name: str) -> Any:
    """Return a module of the extra ``bench``, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.split(".", maxsplit=1)[0] != error.name.split(".")[0]:
            raise  # it is there, but something it needs is not
        return None
