"""Names of files that outlive a power cut."""

import errno
import os
from pathlib import Path

__all__ = ["sync_folder"]

# Some network shares have no such call for folders: there is nothing to wait for.
_UNKNOWN = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: that of a new file, or of one that was renamed.

    Windows (not run here) syncs no folder, and keeps a name with its file. Raises `OSError`.
    """
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
    finally:
        os.close(handle)
