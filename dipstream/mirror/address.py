"""What a mirror is called: a database or a folder, and never with its password."""

from pathlib import Path
from urllib.parse import unquote

from dipstream.errors import ConfigError
from dipstream.settings import without_password

__all__ = ["Secrets", "check_address", "is_database", "resolved", "with_defaults"]

_SCHEMES = ("postgresql", "postgres")
_PATIENCE = {
    "connect_timeout": "5",
    "application_name": "dipstream",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def is_database(address: str) -> bool:
    """Return whether an address is the URL of a PostgreSQL database; if not, it is a folder."""
    return address.partition("://")[0] in _SCHEMES and "://" in address


def resolved(address: str) -> str:
    """Return an address that means the same from any working folder."""
    return address if is_database(address) else str(Path(address).expanduser().resolve())


def check_address(address: str) -> None:
    """Raise `ConfigError` if nothing can be mirrored to this address on this machine."""
    scheme, found, _ = address.partition("://")
    if found and scheme not in _SCHEMES:
        raise ConfigError(
            f"received the mirror {without_password(address)!r}; allowed are "
            "postgresql://USER@HOST/DATABASE and a folder"
        )
    if not address.strip():
        raise ConfigError("received an empty name of a mirror; give a folder or postgresql://…")
    if is_database(address):
        try:
            import adbc_driver_postgresql  # noqa: F401, PLC0415
        except ImportError as error:
            raise ConfigError(
                "mirrors in PostgreSQL need the extra 'postgres': pip install 'dipstream[postgres]'"
            ) from error


def with_defaults(url: str) -> str:
    """Return a URL under which no call waits for ever, unless it says otherwise itself."""
    given = [one.partition("=")[0] for one in url.partition("?")[2].split("&")]
    more = [f"{name}={value}" for name, value in _PATIENCE.items() if name not in given]
    return url + ("&" if "?" in url else "?") + "&".join(more)


class Secrets:
    """Takes the passwords of a URL out of texts: what a library says may repeat them."""

    def __init__(self, url: str) -> None:
        rest, _, query = url.partition("://")[2].partition("?")
        words = {rest.rpartition("@")[0].partition(":")[2]}
        words |= {
            value
            for name, _, value in (one.partition("=") for one in query.split("&"))
            if "password" in name.casefold()
        }
        words |= {unquote(word) for word in words}
        # The longest first: one may be part of another.
        self._words = sorted((word for word in words if word), key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return a text without them."""
        for word in self._words:
            text = text.replace(word, "***")
        return text
