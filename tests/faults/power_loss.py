"""What a disk holds when the power goes: what was synced, and of the rest whatever it likes.

A run is traced with the bytes it writes, and its folder is built anew as it may be after any
system call: of each file what it held when it was last synced, and none, all or some of what was
written since, in sectors. Names (created, renamed, removed) are assumed to hold at once.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Call", "Disk", "read_calls"]

_SECTOR = 512
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. \w+ resumed>|(\w+)\()(.*)$")
_HEX = re.compile(r'<((?:\\x[0-9a-f]{2})*)>|"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that has returned: its name, its file, and what it did there."""

    name: str
    path: Path
    data: bytes = b""
    number: int = 0
    flags: str = ""


def read_calls(log: Path) -> Iterator[Call]:
    """Yield what a log of strace (``-f -y -xx``) tells, each call as it returned."""
    begun: dict[str, tuple[str, str]] = {}
    for line in log.read_text(encoding="ascii", errors="replace").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        tid, name, text = found.groups()
        if name is None:
            name, before = begun.pop(tid)
            text = before + text
        if text.endswith(_UNFINISHED):
            begun[tid] = name, text.removesuffix(_UNFINISHED)
        elif " = -1 " not in text:
            yield from _call(name, text)


def _call(name: str, text: str) -> Iterator[Call]:
    strings = [bytes.fromhex((a or b).replace("\\x", "")) for a, b in _HEX.findall(text)]
    arguments = text.rsplit(")", 1)[0]
    if name == "openat":
        yield Call(name, Path(strings[1].decode()), flags=arguments)
    elif name == "rename":
        yield Call(name, Path(strings[0].decode()), strings[1])
    else:
        path = Path(strings[0].decode())
        last = arguments.rsplit(",", 1)[-1].strip()
        data = strings[1] if "write" in name else b""
        yield Call(name, path, data, int(last) if last.isdigit() else 0)


@dataclass(slots=True)
class _File:
    now: bytearray = field(default_factory=bytearray)
    safe: bytes = b""
    loose: list[tuple[int, bytes | None]] = field(default_factory=list)

    def change(self, at: int, data: bytes | None) -> None:
        _change(self.now, at, data)
        self.loose.append((at, data))

    def sync(self) -> None:
        self.safe = bytes(self.now)
        self.loose.clear()

    def lost(self, chosen: random.Random, share: float) -> bytes:
        held = bytearray(self.safe)
        for at, data in self.loose:
            if data is None:
                if chosen.random() < share:
                    _change(held, at, None)
                continue
            for start in range(0, len(data), _SECTOR):
                if chosen.random() < share:
                    _change(held, at + start, data[start : start + _SECTOR])
        return bytes(held)


def _change(held: bytearray, at: int, data: bytes | None) -> None:
    end = at if data is None else at + len(data)
    held.extend(bytes(max(end - len(held), 0)))
    if data is None:
        del held[at:]
    else:
        held[at:end] = data


class Disk:
    """The files of one folder, as they are and as they may be found after the power went.

    Parameters
    ----------
    folder
        Calls on files elsewhere change nothing here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    def apply(self, call: Call) -> None:
        """Change the files as a call has."""
        if call.path.parent != self._folder:
            return
        name = call.path.name
        if call.name == "openat":
            if "O_CREAT" in call.flags and name not in self._files:
                self._files[name] = _File()
            if "O_TRUNC" in call.flags:
                self._files[name].change(0, None)
        elif call.name == "rename":
            self._files[Path(call.data.decode()).name] = self._files.pop(name)
        elif call.name == "unlink":
            self._files.pop(name, None)
        else:
            self._write(self._files[name], call)

    @staticmethod
    def _write(file: _File, call: Call) -> None:
        if call.name == "pwrite64":
            file.change(call.number, call.data)
        elif call.name == "write":  # they append, or begin with an empty file
            file.change(len(file.now), call.data)
        elif call.name == "ftruncate":
            file.change(call.number, None)
        else:
            file.sync()

    def cut_power(self, folder: Path, chosen: random.Random, share: float) -> None:
        """Write into a folder what the disk may hold.

        Parameters
        ----------
        folder
            A new one.
        chosen
            Decides which sectors have come through.
        share
            How many of those that nobody has synced, 0 to 1.
        """
        folder.mkdir(parents=True)
        for name, file in self._files.items():
            if not name.endswith("-shm"):  # mapped memory, and void after a start of the machine
                (folder / name).write_bytes(file.lost(chosen, share))
