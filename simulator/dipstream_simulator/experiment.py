"""A simulated experiment as a YAML file: the parameters of the URI, in sections."""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import ConfigDict, ValidationError, create_model

from dipstream import plain_yaml
from dipstream.errors import SourceError

__all__ = ["SECTIONS", "is_experiment", "read_experiment"]


SECTIONS: Mapping[str, tuple[str, ...]] = {
    "camera": (
        *("mode", "width", "height", "roi", "binning", "exposure_ms", "bits", "em_gain"),
        *("temperature_c", "camera_pixel_um", "scan_um", "qe", "read_noise_e", "gain_e_per_dn"),
        *("offset_dn", "full_well_e", "dark_e_per_s", "serial"),
    ),
    "optics": (
        *("objective", "method", "psf", "pinhole_au", "aberrations_nm", "sample_index", "depth_um"),
        *("coverslip_um", "transmission", "vignetting", "illumination"),
    ),
    "specimen": (
        *(
            "n",
            "density",
            "channels",
            "nucleus_um",
            "cell_um",
            "touching",
            "contrast",
            "step_um",
            "motion",
        ),
        *("flow_um", "cycle_t", "death_rate", "grow", "z_spread_um", "bead_um", "per_cell"),
        *("length_um", "on_t", "off_t", "distance_um", "distance_rayleigh", "angle_deg"),
        *("file", "file_pixel_um"),
    ),
    "light": ("photons", "background_photons", "bleach_ms", "flicker_hz", "flicker_depth"),
    "stage": (
        *("z", "z_step_um", "tiles", "overlap", "focus_um", "focus_drift_um", "drift_um"),
        "jitter_um",
    ),
    "run": ("seed", "fps", "frames", "faults", "noise", "threads"),
}
"""Which parameter stands in which section. `camera` and `specimen` also have a `preset`."""


def is_experiment(target: str) -> bool:
    """Whether a target names a file and not a camera."""
    return target.lower().endswith((".yaml", ".yml"))


def read_experiment(path: str, function: Callable[..., Any]) -> tuple[str, dict[str, Any]]:
    """Read a file.

    Parameters
    ----------
    path
        The YAML file.
    function
        Whose keyword-only parameters the file may set; their annotations are checked.

    Returns
    -------
    camera, parameters
        The camera's preset (empty if the file names none), and what the file sets.

    Raises
    ------
    SourceError
        If the file cannot be read, or holds a section, key or value that is not allowed.
    """
    raw = _load(Path(path))
    camera = ""
    flat: dict[str, Any] = {}
    for section, values in raw.items():
        if section not in SECTIONS:
            raise _unknown(path, "section", str(section), SECTIONS)
        if not isinstance(values, dict):
            raise SourceError(
                f"{path}: {section} holds {values!r}; allowed are keys and values, for instance "
                f"`{SECTIONS[section][0]}: …`. Write them indented below it"
            )
        for key, value in values.items():
            if key == "preset" and section == "camera":
                camera = str(value)
            elif key == "preset" and section == "specimen":
                flat["specimen"] = value
            elif key in SECTIONS[section]:
                flat[key] = value
            else:
                raise _unknown(path, f"key in {section}", str(key), ("preset", *SECTIONS[section]))
    return camera, _checked(path, flat, function)


def _load(path: Path) -> dict[Any, Any]:
    try:
        if path.stat().st_size > plain_yaml.MAX_BYTES:
            raise SourceError(
                f"{path} is larger than {plain_yaml.MAX_BYTES} bytes, which no experiment is; "
                "name another"
            )
        raw = plain_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"the experiment {path} cannot be read: {error}. Check the path"
        ) from error
    except yaml.YAMLError as error:
        raise SourceError(f"{path} is no valid YAML: {error}. Mend the file") from error
    version = raw.pop("sim", None) if isinstance(raw, dict) else None
    if isinstance(version, bool) or version != 1:
        raise SourceError(
            f"{path} is no simulated experiment; it begins with `sim: 1`, followed by sections "
            f"({', '.join(SECTIONS)})"
        )
    return dict(raw)


def _checked(path: str, flat: dict[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(function)
    fields: dict[str, Any] = {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for key, value in flat.items():
        if isinstance(value, bool):  # which pydantic would take for 0 or 1
            raise SourceError(
                f"{path}: {key} received {value}; allowed is a number or a text. Mend the value"
            )
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    model = create_model("experiment", __config__=config, **fields)
    try:
        checked = model.model_validate(flat)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        raise SourceError(
            f"{path}: {key} received {first['input']!r}; {first['msg'].lower()}. Mend the value"
        ) from error
    found = {name: getattr(checked, name) for name in flat}
    if found.get("file"):  # as it is seen from the experiment's folder
        found["file"] = str(Path(path).parent / found["file"])
    return found


def _unknown(path: str, kind: str, name: str, known: Any) -> SourceError:
    close = get_close_matches(name, list(known), n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return SourceError(
        f"{path}: there is no {kind} called {name!r}; allowed are {', '.join(known)}{hint}"
    )
