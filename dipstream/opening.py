"""Opens a run that is there, without all that can start one."""

from pathlib import Path

from dipstream.settings import load_settings
from dipstream.store import RunReader, find_run

__all__ = ["open_run"]


def open_run(run: str | Path = "latest", *, home: Path | None = None) -> RunReader:
    """Return a run, finished or still growing, in this process or another.

    Parameters
    ----------
    run
        Id, folder or ``latest``.
    home
        Where runs are kept; default as in the settings.

    Raises
    ------
    StoreError
        If there is no such run.
    """
    return RunReader(find_run(load_settings(home=home).home, run))
