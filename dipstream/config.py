"""The pipeline file and the settings of a run, as strict, frozen values."""

import difflib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dipstream import plain_yaml
from dipstream.errors import ConfigError

__all__ = [
    "AssembleConfig",
    "FrozenModel",
    "ObjectConfig",
    "PipelineFile",
    "RingConfig",
    "StepConfig",
    "explain",
    "find_pipeline",
    "near",
    "parse_pipeline",
    "preset_names",
    "read_pipeline",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = {
    *("frames", "image_sets", "tracks", "track_events", "events", "columns", "segments"),
    "ordered_state",
}
_RESERVED_STARTS = ("sqlite_", "objects_")
_LONGEST_TEXT = 300


class FrozenModel(BaseModel):
    """A value that cannot be changed and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepConfig(FrozenModel):
    """One step of a list: its name and the parameters as they stand in the file."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


def _one_step(value: Any) -> Any:
    if isinstance(value, StepConfig):
        return value
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(
            f"received {_shortened(value)}; a step is written as one name with its parameters, "
            "for instance `gaussian: {sigma_px: 1.5}` or `shape: {}`"
        )
    ((name, parameters),) = value.items()
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, Mapping):
        raise ValueError(
            f"received {_shortened(parameters)} as the parameters of {_shortened(name)}; "
            "write them as `{parameter: value}`"
        )
    return StepConfig(name=str(name), parameters=dict(parameters))


StepEntry = Annotated[StepConfig, BeforeValidator(_one_step)]


class AssembleConfig(FrozenModel):
    """How frames become image sets.

    Attributes
    ----------
    channels
        The channels of a complete set; None takes those of the source.
    z
        ``each``: every plane is a set; ``stack``: a set holds all planes, for the `project`
        step; ``project``: as ``stack``, and the maximum along z is what follows sees.
    planes
        How many planes a stack has; needed for ``stack`` and ``project`` on sources that do not
        deliver a stack in one go.
    wait_s
        A set that is still incomplete this long after its first frame is closed as partial.
    """

    channels: tuple[str, ...] | None = None
    z: Literal["each", "stack", "project"] = "each"
    planes: int | None = Field(default=None, ge=1)
    wait_s: float = Field(default=5.0, gt=0)


class ObjectConfig(FrozenModel):
    """Objects that are segmented in one channel; None is the first channel of the source."""

    channel: str | None = None
    steps: tuple[StepEntry, ...] = Field(min_length=1)


class RingConfig(FrozenModel):
    """Rings around other objects, with the same labels; they end where two rings meet."""

    around: str
    inner_px: float = Field(default=0, ge=0)
    outer_px: float = Field(gt=0)

    @model_validator(mode="after")
    def _widths(self) -> Self:
        if self.outer_px <= self.inner_px:
            raise ValueError(
                f"received inner_px {self.inner_px} and outer_px {self.outer_px}; "
                "outer_px must be the larger one"
            )
        return self


def _object_or_ring(value: Any) -> Any:
    # Chosen by key, so that an error speaks of the kind that was meant, not of both.
    if isinstance(value, Mapping):
        return (RingConfig if "around" in value else ObjectConfig).model_validate(dict(value))
    return value


class PipelineFile(FrozenModel):
    """A pipeline file as written: names are not looked up yet, parameters not checked."""

    dipstream: Literal[1]
    assemble: AssembleConfig = AssembleConfig()
    correct: tuple[StepEntry, ...] = ()
    objects: dict[str, Annotated[ObjectConfig | RingConfig, BeforeValidator(_object_or_ring)]]
    measure: tuple[StepEntry, ...] = ()
    track: dict[str, StepEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> Self:
        _check_table_names(list(self.objects))
        segmented = [name for name, one in self.objects.items() if isinstance(one, ObjectConfig)]
        for name, one in self.objects.items():
            if isinstance(one, RingConfig) and one.around not in segmented:
                raise ValueError(
                    f"the ring {name!r} lies around {one.around!r}, which is not segmented; "
                    f"choose one of {', '.join(segmented) or 'none'}"
                )
        for name in self.track:
            if name not in self.objects:
                raise ValueError(
                    f"track names {name!r}, but the objects are {', '.join(self.objects)}"
                )
        return self


def _check_table_names(names: list[str]) -> None:
    """Refuse names of objects that cannot be names of tables; SQL ignores upper and lower case."""
    for name in names:
        folded = name.casefold()
        taken = folded in _RESERVED or folded.startswith(_RESERVED_STARTS)
        if not _NAME.fullmatch(name) or taken:
            raise ValueError(
                f"objects cannot be called {name!r}; use letters, digits and _, starting with a "
                f"letter, none of {', '.join(sorted(_RESERVED))}, and no name that starts with "
                f"{' or '.join(_RESERVED_STARTS)}"
            )
        if sum(other.casefold() == folded for other in names) > 1:
            raise ValueError(f"two kinds of objects are called {name!r}; give each its own name")


def parse_pipeline(text: str, name: str = "pipeline") -> PipelineFile:
    """Parse the text of a pipeline file; raises `ConfigError` in the words of its author."""
    try:
        raw = plain_yaml.load(text)
    except yaml.constructor.ConstructorError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise ConfigError(
            f"{name}, {where}: {error.problem}. A pipeline file holds plain values only: "
            "no tags (`!…`), no key twice. Remove it"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is no valid YAML: {error}. Mend the file") from error
    if not isinstance(raw, dict):
        found = "is empty" if raw is None else f"holds {type(raw).__name__}, not a mapping"
        raise ConfigError(
            f"{name} {found}; a pipeline file starts with "
            "`dipstream: 1` and has `objects:`, `measure:` and `track:`"
        )
    if "dipstream" not in raw:
        raise ConfigError(
            f"{name} does not say which version of the file format it is; "
            "start it with the line `dipstream: 1`"
        )
    try:
        return PipelineFile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(explain(error, name, PipelineFile)) from error


def read_pipeline(name_or_path: str | Path) -> tuple[PipelineFile, Path]:
    """Read a preset or a file; return it with the folder its relative paths start from."""
    path = find_pipeline(name_or_path)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(plain_yaml.MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the pipeline file {path} cannot be read: {error}") from error
    return parse_pipeline(text, name=path.name), path.parent


def preset_names() -> list[str]:
    """Return the names of the presets in the wheel."""
    folder = files("dipstream") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith("yaml"))


def find_pipeline(name_or_path: str | Path) -> Path:
    """Return the file of a preset or path; raises `ConfigError` naming the near ones."""
    text = str(name_or_path)
    if text in preset_names():
        return Path(str(files("dipstream") / "presets" / f"{text}.yaml"))
    path = Path(text).expanduser()
    if path.is_file():
        return path.resolve()
    raise ConfigError(
        f"there is no pipeline {text!r}: no file of that name, and the presets are "
        f"{', '.join(preset_names())}{near(text, preset_names())}"
    )


def near(word: str, allowed: Sequence[str]) -> str:
    """Return ``" (did you mean …?)"`` if one of the allowed words is near, else nothing."""
    matches = difflib.get_close_matches(word, allowed, n=2, cutoff=0.6)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""


def explain(error: ValidationError, subject: str, model: type[BaseModel] | None = None) -> str:
    """Turn pydantic's errors into one sentence each: where, what came, what is allowed."""
    return "; ".join(_explain_one(dict(one), subject, model) for one in error.errors())


def _explain_one(one: dict[str, Any], subject: str, model: type[BaseModel] | None) -> str:
    location = [str(part) for part in one["loc"]]
    where = f"{subject}: " + ".".join(location) if location else subject
    kind, received = one["type"], one.get("input")
    if kind == "extra_forbidden":
        allowed = list(model.model_fields) if model is not None and len(location) == 1 else []
        listing = f"; allowed are {', '.join(allowed) or 'no parameters at all'}" if model else ""
        return f"{where} is not known{near(location[-1], allowed)}{listing}"
    if kind == "missing":
        return f"{where} is missing; it must be given"
    if kind == "value_error":
        return f"{where}: {str(one['msg']).removeprefix('Value error, ')}"
    message = str(one["msg"]).replace("Input should be", "it should be")
    return f"{where}: received {_shortened(received)}; {message}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
