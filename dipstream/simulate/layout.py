"""The folder that `dipstream simulate` makes: frames/, truth/ and simulate.json."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipstream.errors import ConfigError, SourceError
from dipstream.truth.replacing import replacing

__all__ = ["SimulationFolder", "simulated_frames"]

_WHOLE = ("finished", "interrupted", "failed")
_UNSAFE = re.compile(r"[^\w.+ -]|^[. ]+|[. ]+$")


@dataclass(frozen=True, slots=True)
class SimulationFolder:
    """Where the parts of a simulation lie."""

    path: Path

    @property
    def about(self) -> Path:
        """What was simulated, and by which versions."""
        return self.path / "simulate.json"

    @property
    def frames(self) -> Path:
        """The images: a folder for each position, which a run takes for its name."""
        return self.path / "frames"

    @property
    def truth(self) -> Path:
        """What is really there."""
        return self.path / "truth"

    def position(self, name: str) -> Path:
        """Return the folder of a position; what no file system takes becomes ``_``."""
        return self.frames / (_UNSAFE.sub("_", name) or "_")

    def create(self) -> None:
        """Make the folder.

        Raises
        ------
        ConfigError
            If there is something in it, or it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            there = sorted(entry.name for entry in self.path.iterdir())
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be used: {error.strerror}. Name a new or an empty folder"
            ) from error
        if there:
            more = f" and {len(there) - 3} more" if len(there) > 3 else ""
            raise ConfigError(
                f"{self.path} is not empty: it holds {', '.join(there[:3])}{more}. Name a new or "
                "an empty folder; nothing is ever overwritten"
            )

    def write(self, about: dict[str, Any]) -> None:
        """Write ``simulate.json``; on a full disk, what it said before stays."""
        text = json.dumps(about, indent=2, ensure_ascii=False)
        with replacing(self.about) as fresh:
            fresh.write_text(text + "\n", encoding="utf-8")

    def read(self) -> dict[str, Any]:
        """Return what ``simulate.json`` says; raises `SourceError`."""
        try:
            found: dict[str, Any] = dict(json.loads(self.about.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SourceError(
                f"{self.about} is not what `dipstream simulate` writes ({error}); simulate anew, "
                f"or name the folder {self.frames}"
            ) from error
        return found


def simulated_frames(path: str | Path) -> Path | None:
    """Return the folder of images in a folder that `dipstream simulate` made; None for others.

    The label images of the truth lie beside the frames and must not be taken for more of them.

    Raises
    ------
    SourceError
        If its images are in a format that runs do not read, or were never finished: without its
        description at the end, a file's channels and planes look like times.
    """
    named = Path(path).expanduser()
    folder = SimulationFolder(named.parent if named.name == "frames" else named)
    try:
        there = folder.about.is_file()
    except OSError:  # a URI may be longer than any path
        return None
    if not there:
        return None
    about = folder.read()
    if about.get("state") not in _WHOLE:
        raise SourceError(
            f"{folder.path} is not finished: `dipstream simulate` is still writing it, was killed, "
            f"or could not close its files ({folder.about.name} says {about.get('state')!r}), and "
            "what it has written so far would be misread. Wait for it, or simulate anew into "
            "another folder"
        )
    if about.get("format") == "zarr":
        raise SourceError(
            f"{folder.path} holds OME-Zarr, which runs do not read yet; simulate it anew with "
            "--format tiff"
        )
    return folder.frames
