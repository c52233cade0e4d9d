"""Names of a package that are imported when they are first used, so that commands start at once."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["on_use"]


def on_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package
        Its name.
    homes
        Name → module that it is in. No name may be that of a module of the package: once that is
        imported, the name is the module.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find
