"""The camera file: what a calibration leaves for later runs. TOML, strict."""

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from dipstream.errors import ConfigError

__all__ = [
    "CameraFile",
    "CameraMode",
    "check_target",
    "parse_camera",
    "read_camera",
    "write_camera",
]

FORMAT = 1
_TEXTS = ("channel", "dtype", "camera", "dark_from")
_KEY = "dipstream_camera"
_FIRST_LINE = "# What `dipstream calibrate` measured of a camera; see docs/calibration.md."


@dataclass(frozen=True, slots=True)
class CameraMode:
    """One mode of a camera, as it was used in one channel. Values are None where not known.

    Attributes
    ----------
    channel
        The channel of the frames that it was measured in.
    offset_dn, offset_se_dn
        Mean without light and its standard error, in DN.
    gain_e_per_dn, gain_se_e_per_dn
        e⁻/DN at the sensor's output, before division by the EM gain.
    bit_depth, dtype, shape, binning, camera, em_gain, exposure_ms
        The mode: as in `dipstream.frame.Segment`; shape as (y, x) in px; the exposure time of the
        dark frames in ms.
    excess_noise
        F² of the multiplication that the gain was found with.
    dark_from
        Who says that the dark frames are dark, see `dipstream.calibrate.dark.Dark`; ``darkest`` is
        nobody.
    read_noise_e, read_noise_se_e, read_noise_reliable
        Noise without light in e⁻; not reliable where the rounding hides it.
    saturation_e, full_well_e
        EMVA's saturation capacity, and the signal of full pixels, in e⁻.
    linearity_error_percent
        EMVA's linearity error.
    pairs, levels
        How many pairs of frames, at how many light levels.
    """

    channel: str
    offset_dn: float
    gain_e_per_dn: float
    offset_se_dn: float | None = None
    gain_se_e_per_dn: float | None = None
    bit_depth: int | None = None
    dtype: str | None = None
    shape: tuple[int, int] | None = None
    binning: int | None = None
    camera: str | None = None
    em_gain: float | None = None
    excess_noise: float | None = None
    dark_from: str | None = None
    exposure_ms: float | None = None
    read_noise_e: float | None = None
    read_noise_se_e: float | None = None
    read_noise_reliable: bool | None = None
    saturation_e: float | None = None
    full_well_e: float | None = None
    linearity_error_percent: float | None = None
    pairs: int | None = None
    levels: int | None = None


@dataclass(frozen=True, slots=True)
class CameraFile:
    """A camera and its modes.

    Attributes
    ----------
    name
        The camera's, as people call it.
    calibrated
        When, with its time zone.
    source
        Where the flat frames came from.
    dipstream_version
        The version that measured.
    modes
        One for each channel of the flat frames.
    """

    name: str
    modes: tuple[CameraMode, ...]
    calibrated: datetime | None = None
    source: str = ""
    dipstream_version: str = ""

    def mode(self, channel: str) -> CameraMode:
        """Return the mode of a channel; the only one serves all.

        Raises
        ------
        ConfigError
            If there are several, and none is called so.
        """
        if len(self.modes) == 1:
            return self.modes[0]
        for mode in self.modes:
            if mode.channel == channel:
                return mode
        raise ConfigError(
            f"the camera file of {self.name!r} has modes for the channels "
            f"{', '.join(mode.channel for mode in self.modes)}, none for {channel!r}. Calibrate "
            "it, or name the channels as in the calibration with --channels"
        )


def read_camera(path: Path) -> CameraFile:
    """Read a camera file; raises `ConfigError` that says what is wrong with it."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"the camera file {path} cannot be read: {error.strerror}. Correct its name, or {_MAKE}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is no camera file: it is not text; {_MAKE}") from error
    return parse_camera(text, path.name)


_MOST_BYTES = 200_000
_LONG_KEY = re.compile(r"(?:\.[\w \t\"'-]{0,30}){20}")
"""The time that `tomllib` takes grows with the square of the parts of a key."""
_MAKE = "make one with `dipstream calibrate SOURCE --out camera.toml`"


def parse_camera(text: str, name: str) -> CameraFile:
    """Parse the text of a camera file; raises `ConfigError`."""
    if len(text) > _MOST_BYTES:
        raise ConfigError(
            f"{name} is no camera file: it has more than {_MOST_BYTES} bytes; {_MAKE}"
        )
    if _LONG_KEY.search(text):
        raise ConfigError(f"{name} is no camera file: it has a key of many dots; {_MAKE}")
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of huge numbers, and of what is nested
        raise ConfigError(f"{name} is no valid TOML: {error}. Mend it, or {_MAKE}") from error
    version = raw.pop(_KEY, None)
    if version != FORMAT:
        raise ConfigError(
            f"{name} is no camera file of version {FORMAT}: received {_KEY} = {version!r}; {_MAKE}"
        )
    modes = raw.pop("modes", None)
    if not isinstance(modes, list) or not modes or not all(isinstance(m, dict) for m in modes):
        raise ConfigError(f"{name} has no [[modes]]; {_MAKE}")
    head = _checked(raw, CameraFile, name, {"modes"})
    if "calibrated" in head and not isinstance(head["calibrated"], datetime):
        raise ConfigError(f"{name}: calibrated = {head['calibrated']!r}; write a date and a time")
    found = tuple(_mode(mode, f"{name}, modes[{number}]") for number, mode in enumerate(modes))
    channels = [mode.channel for mode in found]
    if len(set(channels)) < len(channels):
        raise ConfigError(f"{name} has two modes of one channel ({', '.join(channels)}); keep one")
    return CameraFile(**head, modes=found)


def _mode(raw: Mapping[str, Any], where: str) -> CameraMode:
    values = _checked(raw, CameraMode, where, set())
    for key, value in values.items():
        values[key] = _value(key, value, where)
    if values["gain_e_per_dn"] <= 0:
        raise ConfigError(
            f"{where}: gain_e_per_dn = {values['gain_e_per_dn']}; allowed are e⁻/DN above 0"
        )
    if values.get("em_gain", 1.0) < 1:
        raise ConfigError(f"{where}: em_gain = {values['em_gain']}; allowed are 1 and up")
    return CameraMode(**values)


def _checked(
    raw: Mapping[str, Any], model: type[CameraFile | CameraMode], where: str, besides: set[str]
) -> dict[str, Any]:
    allowed = {one.name: one for one in fields(model) if one.name not in besides}
    for key in raw:
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, n=2, cutoff=0.6)
            hint = f" (did you mean {' or '.join(close)}?)" if close else ""
            raise ConfigError(
                f"{where}: {key!r} is not known{hint}; allowed are {', '.join(allowed)}"
            )
    needed = {"name"} if model is CameraFile else {"channel", "offset_dn", "gain_e_per_dn"}
    missing = sorted(needed - raw.keys())
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing; it must be given")
    texts = ("name", "source", "dipstream_version", *_TEXTS)
    for key in texts:
        if key in raw and not isinstance(raw[key], str):
            raise ConfigError(f"{where}: {key} = {raw[key]!r}; write a text in quotes")
    return dict(raw)


def _value(key: str, value: Any, where: str) -> Any:
    if key in _TEXTS:
        return value
    if key == "read_noise_reliable":
        if isinstance(value, bool):
            return value
        raise ConfigError(f"{where}: {key} = {value!r}; allowed are true and false")
    if key == "shape":
        if isinstance(value, list) and len(value) == 2 and all(_is_count(side) for side in value):
            return (value[0], value[1])
        raise ConfigError(f"{where}: shape = {value!r}; write [rows, columns] in px")
    if key in ("bit_depth", "binning", "pairs", "levels"):
        if _is_count(value):
            return value
        raise ConfigError(f"{where}: {key} = {value!r}; allowed are whole numbers from 1")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{where}: {key} = {value!r}; allowed are finite numbers")
    return float(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_target(path: Path) -> None:
    """Raise `ConfigError` unless a camera file may be written there."""
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {path.absolute().parent}; make it first")
    if path.exists():
        try:
            read_camera(path)
        except ConfigError as error:
            raise ConfigError(
                f"{path} exists and is no camera file; choose another name for the new one"
            ) from error


def write_camera(path: Path, camera: CameraFile) -> None:
    """Write a camera file; one that is there already is replaced, anything else is refused.

    Raises
    ------
    ConfigError
        If the path is taken by something that is no camera file, or cannot be written.
    """
    check_target(path)
    try:
        path.write_text("\n".join(_lines(camera)) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the camera file {path} cannot be written: {error.strerror}") from error


def _lines(camera: CameraFile) -> Iterable[str]:
    yield _FIRST_LINE
    yield f"{_KEY} = {FORMAT}"
    yield from _assignments(camera, {"modes"})
    for mode in camera.modes:
        yield ""
        yield "[[modes]]"
        yield from _assignments(mode, set())


def _assignments(record: CameraFile | CameraMode, besides: set[str]) -> Iterable[str]:
    for one in fields(record):
        value = getattr(record, one.name)
        if one.name not in besides and value is not None:
            yield f"{one.name} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A TOML basic string is a JSON string, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return repr(value)
