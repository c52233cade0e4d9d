"""From entry points to drivers and steps; a mismatch is refused, naming plug-in and argument."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model

from dipstream.config import explain, near
from dipstream.errors import ConfigError
from dipstream.steps.image import Image, Labels, Mask
from dipstream.steps.step import FileInput, StepMark, mark_of
from dipstream.units import in_unit_of, unit_of

__all__ = [
    "DRIVERS",
    "STEP_GROUPS",
    "Driver",
    "Step",
    "driver_names",
    "file_parameters",
    "find_driver",
    "find_step",
    "list_drivers",
    "list_steps",
    "make_model",
]

DRIVERS = "dipstream.drivers"
STEP_GROUPS = ("correct", "segment", "measure", "track")
_KINDS: Mapping[str, type] = {"Image": Image, "Mask": Mask, "Labels": Labels}


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A step that can be used: its function and the strict model of its configuration.

    Attributes
    ----------
    takes, gives
        For segment steps, the kinds of `Image`, `Mask`, `Labels` it goes from and to; where
        both are more than one (`clean`), it gives what it took.
    entry
        Where it is found, as ``module:name``.
    distribution
        The package that brings it; empty for dipstream's own.
    """

    group: str
    name: str
    function: Callable[..., Any]
    mark: StepMark
    model: type[BaseModel]
    takes: tuple[type, ...] = ()
    gives: tuple[type, ...] = ()
    entry: str = ""
    distribution: str = ""

    @property
    def summary(self) -> str:
        """First sentence of the documentation."""
        return _summary(self.function)

    def configure(self, parameters: Mapping[str, Any], where: str) -> BaseModel:
        """Check parameters from a pipeline file; raises `ConfigError`."""
        # JSON mode keeps strictness (no "3" for 3) while a YAML list may become a tuple.
        try:
            text = json.dumps(dict(parameters))
        except TypeError as error:
            raise ConfigError(f"{where}: {error}; use plain numbers, texts and lists") from error
        try:
            return self.model.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise ConfigError(explain(error, where, self.model)) from error


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """A driver by its scheme; `problem` says why it cannot be used, if it cannot."""

    name: str
    open: Callable[..., Any] | None
    model: type[BaseModel] | None
    summary: str
    problem: str = ""

    def configure(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Check parameters of a URI or of flags, and return them; raises `ConfigError`.

        What was not given is left to the driver's own defaults.
        """
        if self.model is None:
            raise ConfigError(f"the driver {self.name!r} cannot be used: {self.problem}")
        try:
            # Not strict: what a URI says is text.
            model = self.model.model_validate(dict(parameters))
        except ValidationError as error:
            raise ConfigError(explain(error, self.name, self.model)) from error
        return {name: getattr(model, name) for name in model.model_fields_set}


def make_model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """Return the strict model of a function's keyword-only parameters."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            raise ConfigError(f"{name}: **{parameter.name} is not allowed; name every parameter")
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.name not in hints:
            raise ConfigError(f"{name}: the parameter {parameter.name!r} has no type annotation")
        required = parameter.default is inspect.Parameter.empty
        annotation = hints[parameter.name]
        if unit_of(parameter.name) is not None:
            annotation = Annotated[annotation, BeforeValidator(partial(in_unit_of, parameter.name))]
        fields[parameter.name] = (annotation, ... if required else parameter.default)
    config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    return create_model(name, __config__=config, **fields)


def file_parameters(model: type[BaseModel]) -> list[str]:
    """Return the names of the parameters that name files a step reads."""
    return [
        name
        for name, info in model.model_fields.items()
        if _names_file(info.annotation, info.metadata)
    ]


def _names_file(annotation: Any, metadata: Sequence[Any]) -> bool:
    """Tell whether FileInput stands in an annotation, around it or inside a union."""
    if any(isinstance(one, FileInput) or one is FileInput for one in metadata):
        return True
    return any(
        _names_file(part, getattr(part, "__metadata__", ())) for part in get_args(annotation)
    )


def find_step(group: str, name: str, where: str = "") -> Step:
    """Return a step by name; raises `ConfigError` listing the near ones."""
    found = _entries(f"dipstream.{group}")
    if name not in found:
        others = [one for one in STEP_GROUPS if name in _entries(f"dipstream.{one}")]
        hint = f"; {name!r} belongs under {' or '.join(others)}" if others else ""
        raise ConfigError(
            f"{where or group}: there is no step {name!r}; allowed are "
            f"{', '.join(sorted(found))}{hint}{near(name, sorted(found))}"
        )
    return _load_step(group, name)


def list_steps(group: str) -> list[Step]:
    """Return every step of a group, by name."""
    return [_load_step(group, name) for name in sorted(_entries(f"dipstream.{group}"))]


def find_driver(name: str) -> Driver:
    """Return a driver by scheme; raises `ConfigError` if it is unknown or cannot be used."""
    found = _entries(DRIVERS)
    if name not in found:
        raise ConfigError(
            f"there is no driver {name!r}; installed are {', '.join(sorted(found)) or 'none'}"
            f"{near(name, sorted(found))}"
        )
    driver = _load_driver(name)
    if driver.problem:
        raise ConfigError(f"the driver {name!r} cannot be used: {driver.problem}")
    return driver


def list_drivers() -> list[Driver]:
    """Return every driver, usable or not."""
    return [_load_driver(name) for name in driver_names()]


def driver_names() -> list[str]:
    """Return the names of all drivers, without loading one."""
    return sorted(_entries(DRIVERS))


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


@cache
def _load_step(group: str, name: str) -> Step:
    entry = _entries(f"dipstream.{group}")[name]
    try:
        function = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the step {name!r} ({entry.value}) cannot be loaded: {error}") from error
    mark = mark_of(function)
    if mark is None:
        raise ConfigError(
            f"{entry.value} is registered as the step {name!r} but is not marked as one; "
            "decorate it with dipstream.steps.pure or ordered"
        )
    if group == "track" and mark.kind != "ordered":
        raise ConfigError(f"the tracker {name!r} ({entry.value}) must be an ordered step")
    if group == "measure" and mark.columns is None:
        raise ConfigError(f"the measure step {name!r} ({entry.value}) does not say its columns")
    model = make_model(function, name)
    takes, gives = _signature(function, name) if group == "segment" else ((), ())
    owner = "" if entry.dist is None else entry.dist.name
    owner = "" if owner == "dipstream" else owner
    return Step(group, name, function, mark, model, takes, gives, entry.value, owner)


@cache
def _load_driver(name: str) -> Driver:
    entry = _entries(DRIVERS)[name]
    try:
        function = entry.load()
        return Driver(name, function, make_model(function, name), _summary(function))
    except Exception as error:  # noqa: BLE001 - a vendor's library may raise anything
        return Driver(name, None, None, "", problem=str(error) or type(error).__name__)


def _signature(
    function: Callable[..., Any], name: str
) -> tuple[tuple[type, ...], tuple[type, ...]]:
    hints = get_type_hints(function)
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.name not in hints or "return" not in hints:
        raise ConfigError(f"the step {name!r} must annotate its first argument and its result")
    return _kinds(hints[first.name], name), _kinds(hints["return"], name)


def _kinds(annotation: Any, name: str) -> tuple[type, ...]:
    if isinstance(annotation, TypeVar):
        options = annotation.__constraints__ or (annotation.__bound__,)
    else:
        options = get_args(annotation) or (annotation,)
    kinds = tuple(one for one in options if one in _KINDS.values())
    if len(kinds) != len(options):
        raise ConfigError(
            f"the step {name!r} goes from or to {annotation}; allowed are {', '.join(_KINDS)}"
        )
    return kinds


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
