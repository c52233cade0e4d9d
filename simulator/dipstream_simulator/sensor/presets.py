"""Cameras by name, with their readout modes and the source of each number (`cameras.toml`)."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.sensor.efficiency import Curve
from dipstream_simulator.sensor.sensor import Sensor

__all__ = ["CameraPreset", "camera_names", "camera_preset"]

Numbers = Mapping[str, Any]

_NOT_NUMBERS = frozenset({"title", "aliases", "modes"})
_KEYS = tuple(field.name for field in fields(Sensor))
_INTEGERS = frozenset({"bits", "rows", "columns", "serial"})


@dataclass(frozen=True, slots=True, eq=False)
class CameraPreset:
    """A camera with its readout modes.

    Attributes
    ----------
    name, title
        As in `camera_names`, and for people.
    modes
        Names of the readout modes; the first is the default.
    sources
        Where each number comes from, by "key" for the camera and "mode.key" for a mode.
    """

    name: str
    title: str
    modes: tuple[str, ...]
    sources: Mapping[str, str]
    _shared: Numbers
    _by_mode: Mapping[str, Numbers]

    def sensor(
        self,
        mode: str | None = None,
        *,
        bits: int | None = None,
        em_gain: float | None = None,
        temperature_c: float | None = None,
        **overrides: Any,
    ) -> Sensor:
        """Return the camera in one of its modes.

        Parameters
        ----------
        mode
            One of `modes`; left out, the first mode that has `bits`, else the first of all.
        bits
            Another ADC over the same analogue range, unless a mode says otherwise.
        em_gain
            Gain of the multiplication.
        temperature_c
            The chip's temperature in °C; left out, that of the quoted dark current.
        **overrides
            Any other attribute of `Sensor`. The read noise's median follows its root mean
            square, unless it is given as well.

        Raises
        ------
        SourceError
            If the mode or a key does not exist (the near ones are named), or the camera cannot.
        """
        for key in overrides:
            if key not in _KEYS:
                raise _unknown(f"a camera with {key!r}", key, _KEYS)
        mode = self._mode(mode, bits)
        numbers = {**self._shared, **self._by_mode[mode], "name": self.name, "mode": mode}
        if "dark_reference_c" in numbers:
            # A camera works at the temperature for which its dark current is quoted.
            numbers.setdefault("temperature_c", numbers["dark_reference_c"])
        sensor = Sensor(**numbers)
        if bits is not None:
            require_between("bits", bits, 1, 16, example=12)
            sensor = sensor.with_bits(bits)
        asked = {"em_gain": em_gain, "temperature_c": temperature_c}
        changes = {key: value for key, value in asked.items() if value is not None} | overrides
        if "read_noise_e" in changes and sensor.read_noise_median_e is not None:
            relative = sensor.read_noise_median_e / sensor.read_noise_e
            changes.setdefault("read_noise_median_e", _median_e(changes["read_noise_e"], relative))
        return replace(sensor, **changes)

    def _mode(self, mode: str | None, bits: int | None) -> str:
        if mode is None:
            fitting = (name for name in self.modes if self._by_mode[name].get("bits") == bits)
            return next(fitting, self.modes[0]) if bits is not None else self.modes[0]
        if mode not in self.modes:
            raise _unknown(f"{self.name} in the mode {mode!r}", mode, self.modes)
        return mode


def camera_names() -> tuple[str, ...]:
    """Return the names of all cameras, sorted."""
    return tuple(sorted(_cameras()))


def camera_preset(name: str) -> CameraPreset:
    """Return a camera by its name or one of its other names, in any case.

    Raises
    ------
    SourceError
        If there is no such camera; the near ones are named.
    """
    wanted = name.strip().lower()
    wanted = _aliases().get(wanted, wanted)
    if wanted not in _cameras():
        raise _unknown(f"the camera {name!r}", wanted, (*camera_names(), *_aliases()))
    return _cameras()[wanted]


@cache
def _cameras() -> Mapping[str, CameraPreset]:
    file = _file()
    curves = {name: _curve(curve["points"]) for name, curve in file["curves"].items()}
    return MappingProxyType(
        {name: _preset(name, camera, curves) for name, camera in file["cameras"].items()}
    )


@cache
def _aliases() -> Mapping[str, str]:
    return {
        alias: name
        for name, camera in _file()["cameras"].items()
        for alias in camera.get("aliases", ())
    }


@cache
def _file() -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("cameras.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _preset(name: str, camera: Numbers, curves: Mapping[str, Curve]) -> CameraPreset:
    modes = camera["modes"]
    sources = _sources(camera)
    for mode, numbers in modes.items():
        sources |= {f"{mode}.{key}": source for key, source in _sources(numbers).items()}
    return CameraPreset(
        name=name,
        title=camera["title"],
        modes=tuple(modes),
        sources=MappingProxyType(sources),
        _shared=_values(camera, curves),
        _by_mode={mode: _values(numbers, curves) for mode, numbers in modes.items()},
    )


def _values(entries: Numbers, curves: Mapping[str, Curve]) -> Numbers:
    values: dict[str, Any] = {}
    for key, entry in entries.items():
        if key in _NOT_NUMBERS:
            continue
        if isinstance(entry, dict):
            number = entry["value"]
            values[key] = int(number) if key in _INTEGERS else float(number)
        elif key == "qe_curve":
            values[key] = curves[entry]
        elif key == "colour_filters":
            values[key] = tuple(curves[curve] for curve in entry)
        else:
            values[key] = entry
    return MappingProxyType(values)


def _sources(entries: Numbers) -> dict[str, str]:
    return {
        key: entry["source"]
        for key, entry in entries.items()
        if key not in _NOT_NUMBERS and isinstance(entry, dict)
    }


def _curve(points: Iterable[Iterable[float]]) -> Curve:
    return tuple((float(nm), float(value)) for nm, value in points)


def _median_e(read_noise_e: float, relative: float) -> float | None:
    return relative * read_noise_e if read_noise_e > 0.0 else None


def _unknown(received: str, word: str, allowed: Iterable[str]) -> SourceError:
    listed = tuple(allowed)
    near = difflib.get_close_matches(word, listed, n=3, cutoff=0.5)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return SourceError(
        f"The simulator received {received}{hint}; allowed are {', '.join(listed)}. "
        "Write one of them"
    )
