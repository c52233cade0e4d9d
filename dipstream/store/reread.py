"""Hashes the files that frames came from again, and says which are not what was analysed."""

import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import xxhash

from dipstream.store.findings import Finding

__all__ = ["KnownFile", "reread"]

_CHUNK = 1 << 20
_SHOWN = 5


class KnownFile(NamedTuple):
    """A file as it was when it was read last; the hash is the XXH3-64 of its bytes, or empty."""

    path: str
    digest: str
    size: int


def reread(files: Sequence[KnownFile]) -> tuple[list[Finding], list[str]]:
    """Return what has changed, and what cannot be said.

    The bytes are hashed, not decoded: no change of a file can hide, and none can do harm.
    """
    found = {file.path: _look(file) for file in files}
    n = Counter(found.values())
    changed = [path for path, how in found.items() if how == "changed"]
    unreadable = [f"{path}: {how}" for path, how in found.items() if how not in _KNOWN]
    findings = []
    if changed:
        findings.append(
            Finding(
                "files",
                f"{len(changed)} files are not what was analysed: their bytes have changed since",
                "`dipstream watch` analyses rewritten files anew; else restore them, or start a "
                "new run",
                tuple(changed[:_SHOWN]),
            )
        )
    if unreadable:
        findings.append(
            Finding(
                "files",
                f"{len(unreadable)} files cannot be read",
                "check the disk, the mount and the permissions, and verify again",
                tuple(unreadable[:_SHOWN]),
            )
        )
    notes = [
        text.format(n=n[how], of=len(files)) for how, text in _KNOWN.items() if text and n[how]
    ]
    return findings, notes


_KNOWN = {
    "same": "{n} of {of} files have the bytes that were analysed",
    "gone": "{n} files are gone: their rows stand, but can no longer be checked or made again",
    "unhashed": "{n} files were never read whole: there is no hash to compare",
    "changed": "",
}


def _look(file: KnownFile) -> str:
    if not file.digest:
        return "unhashed"
    try:
        return "same" if _hash_of(Path(file.path), file.size) == file.digest else "changed"
    except FileNotFoundError:
        return "gone"
    except OSError as error:
        return error.strerror or str(error)


def _hash_of(path: Path, size: int) -> str:
    """Return the hash of a file; of another size, or no plain file, it is another one at once."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        return ""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
