"""A pipeline file with every name looked up and every parameter checked, before a camera opens."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from dipstream.calibrate import read_camera
from dipstream.config import (
    AssembleConfig,
    ObjectConfig,
    PipelineFile,
    RingConfig,
    StepConfig,
    explain,
    read_pipeline,
)
from dipstream.errors import ConfigError
from dipstream.pipeline.bound import BoundStep, Segmentation
from dipstream.pipeline.foreign import apart
from dipstream.registry import STEP_GROUPS, Step, file_parameters, find_step, list_steps
from dipstream.steps.image import Image

if TYPE_CHECKING:
    from dipstream.pipeline.compiled import Pipeline

__all__ = ["Plan", "file_schema", "make_plan", "open_plan", "stored_plan"]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A pipeline that can run as soon as the channels are known.

    Attributes
    ----------
    name
        Preset or file name, as people know it.
    canonical
        The file with every default written out; what `pipeline show` prints.
    sha256
        Hash of the canonical form, the contents of the files it names and the step versions.
    folder
        What the paths in it are relative to.
    """

    name: str
    assemble: AssembleConfig
    correct: tuple[BoundStep, ...]
    objects: Mapping[str, Segmentation | RingConfig]
    measure: tuple[BoundStep, ...]
    track: Mapping[str, BoundStep]
    canonical: dict[str, Any]
    sha256: str
    folder: Path = Path()

    def yaml(self) -> str:
        """Return the canonical form as YAML."""
        return yaml.safe_dump(self.canonical, sort_keys=False, allow_unicode=True)

    def compile(self, channels: Sequence[str], *, reference: bool = False) -> "Pipeline":
        """Return the callable for these channels; raises `ConfigError` for one not there.

        With `reference`, without kernels and fused passes: slower, for comparison.
        """
        from dipstream.pipeline.compiled import Pipeline  # noqa: PLC0415 - with all the kernels

        return Pipeline(
            channels=tuple(channels),
            correct=self.correct,
            objects=self.objects,
            measure=self.measure,
            track=self.track,
            project_z=self.assemble.z == "project",
            reference=reference,
        )


def open_plan(name_or_path: str | Path, *, camera: str | Path | None = None) -> Plan:
    """Read and check a preset or a pipeline file; raises `ConfigError`.

    Parameters
    ----------
    name_or_path
        The preset or file.
    camera
        A camera file: the step ``electrons`` with it becomes the pipeline's first correction.
    """
    file, folder = read_pipeline(name_or_path)
    if camera is not None:
        file = _with_camera(file, Path(camera).expanduser().resolve(), str(name_or_path))
    return make_plan(file, folder, name=Path(str(name_or_path)).stem)


def _with_camera(file: PipelineFile, camera: Path, name: str) -> PipelineFile:
    if any(config.name == "electrons" for config in file.correct):
        raise ConfigError(
            f"the pipeline {name} has the step `electrons` already, and --camera would convert a "
            "second time. Leave one of them out"
        )
    read_camera(camera)  # what is no camera file is refused here, in its own words
    first = StepConfig(name="electrons", parameters={"camera": str(camera)})
    return file.model_copy(update={"correct": (first, *file.correct)})


def make_plan(file: PipelineFile, folder: Path, name: str) -> Plan:
    """Look up every step of a parsed file and check its parameters; raises `ConfigError`."""
    binder = _Binder(folder)
    correct = tuple(
        binder.bind("correct", config, f"correct[{i}]") for i, config in enumerate(file.correct)
    )
    _check_stack(file.assemble, correct)
    objects: dict[str, Segmentation | RingConfig] = {}
    for kind, config in file.objects.items():
        if isinstance(config, RingConfig):
            objects[kind] = config
        else:
            objects[kind] = binder.segmentation(kind, config)
    measure = tuple(
        binder.bind("measure", config, f"measure[{i}]") for i, config in enumerate(file.measure)
    )
    track = {
        kind: binder.bind("track", config, f"track.{kind}") for kind, config in file.track.items()
    }
    canonical = _canonical(file.assemble, correct, objects, measure, track)
    return Plan(
        name=name,
        assemble=file.assemble,
        correct=correct,
        objects=objects,
        measure=measure,
        track=track,
        canonical=canonical,
        sha256=_digest(canonical, binder),
        folder=folder,
    )


def stored_plan(canonical: dict[str, Any], folder: Path, name: str, sha256: str) -> Plan:
    """Return the plan that an earlier session of a run has kept; raises `ConfigError`.

    Parameters
    ----------
    canonical, folder, name, sha256
        As in `Plan`.
    """
    try:
        file = PipelineFile.model_validate(canonical)
    except ValidationError as error:
        raise ConfigError(explain(error, f"the run's pipeline {name}", PipelineFile)) from error
    plan = make_plan(file, folder, name)
    if plan.sha256 != sha256:
        raise ConfigError(
            f"the run's pipeline {name} would not give the same numbers any more: a file that it "
            f"names (under {folder}) has another content now, or a step has another version. "
            "Restore the file, use the dipstream that made the run, or start a new run"
        )
    return plan


class _Binder:
    """Joins step names with functions and remembers what the hash depends on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.contents: list[tuple[str, str]] = []
        self.versions: set[tuple[str, str, int]] = set()

    def bind(self, group: str, config: StepConfig, where: str) -> BoundStep:
        step = apart(find_step(group, config.name, where))
        parameters = dict(config.parameters)
        channels = parameters.pop("channels", None) if group == "correct" else None
        if channels is not None and not _is_names(channels):
            raise ConfigError(
                f"{where} ({config.name}): received channels {channels!r}; "
                "write a list of channel names, for instance `channels: [DAPI]`"
            )
        model = step.configure(parameters, f"{where} ({config.name})")
        self.versions.add((group, step.name, step.mark.version))
        return BoundStep(
            step=step,
            key=where,
            parameters=self._arguments(step, model, where),
            written=_written(model, channels),
            only=tuple(channels) if channels is not None else None,
        )

    def segmentation(self, kind: str, config: ObjectConfig) -> Segmentation:
        steps = tuple(
            self.bind("segment", one, f"objects.{kind}.steps[{i}]")
            for i, one in enumerate(config.steps)
        )
        _check_chain(kind, steps)
        return Segmentation(kind, config.channel, steps)

    def _arguments(self, step: Step, model: BaseModel, where: str) -> dict[str, Any]:
        arguments = {name: getattr(model, name) for name in type(model).model_fields}
        for name in file_parameters(step.model):
            if arguments[name] is not None:
                arguments[name] = self._file(Path(arguments[name]), f"{where}.{name}")
        return arguments

    def _file(self, path: Path, where: str) -> Path:
        full = path if path.is_absolute() else self._folder / path
        try:
            content = full.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{where}: the file {full} cannot be read ({error.strerror}); "
                "paths are relative to the pipeline file"
            ) from error
        self.contents.append((str(path), hashlib.sha256(content).hexdigest()))
        return full


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _written(model: BaseModel, channels: list[str] | None) -> dict[str, Any]:
    written = model.model_dump(mode="json")
    return written if channels is None else {**written, "channels": channels}


def _check_stack(assemble: AssembleConfig, correct: Sequence[BoundStep]) -> None:
    projects = any(bound.step.name == "project" for bound in correct)
    if assemble.z == "stack" and not projects:
        raise ConfigError(
            "assemble.z is `stack`, but segmentation works on planes; add the step "
            "`project: {}` under correct, or choose z `each` or `project`"
        )
    if assemble.z == "each" and projects:
        raise ConfigError(
            "the step project needs whole stacks, but assemble.z is `each`; set it to `stack`"
        )


def _check_chain(kind: str, steps: Sequence[BoundStep]) -> None:
    current: type = Image
    for i, bound in enumerate(steps):
        step = bound.step
        if current not in step.takes:
            raise ConfigError(
                f"objects.{kind}.steps[{i}]: {step.name} works on "
                f"{' or '.join(one.__name__ for one in step.takes)}, but receives "
                f"{current.__name__} here; the order is image steps, threshold, mask steps, "
                "split, label steps"
            )
        current = step.gives[0] if len(step.gives) == 1 else current
    if current is Image:
        raise ConfigError(
            f"objects.{kind}.steps never leaves the image; add `threshold: {{}}` and `split: {{}}`"
        )


def _canonical(
    assemble: AssembleConfig,
    correct: Sequence[BoundStep],
    objects: Mapping[str, Segmentation | RingConfig],
    measure: Sequence[BoundStep],
    track: Mapping[str, BoundStep],
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for kind, one in objects.items():
        if isinstance(one, RingConfig):
            written[kind] = one.model_dump(mode="json")
        else:
            written[kind] = {"channel": one.channel, "steps": [b.entry() for b in one.steps]}
    return {
        "dipstream": 1,
        "assemble": assemble.model_dump(mode="json"),
        "correct": [bound.entry() for bound in correct],
        "objects": written,
        "measure": [bound.entry() for bound in measure],
        "track": {kind: bound.entry() for kind, bound in track.items()},
    }


def _digest(canonical: dict[str, Any], binder: _Binder) -> str:
    text = json.dumps(
        {
            "pipeline": canonical,
            "files": binder.contents,
            "versions": sorted(binder.versions),
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def file_schema() -> dict[str, Any]:
    """Return the JSON schema of pipeline files with every installed step, for editors."""
    schema = PipelineFile.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    for group in STEP_GROUPS:
        options = []
        for step in list_steps(group):
            parameters = step.model.model_json_schema()
            parameters["description"] = step.summary
            if group == "correct":
                names = {"type": "array", "items": {"type": "string"}}
                parameters.setdefault("properties", {})["channels"] = names
            key = f"{group}_{step.name}"
            definitions[key] = parameters
            options.append(
                {
                    "type": "object",
                    "properties": {step.name: {"$ref": f"#/$defs/{key}"}},
                    "required": [step.name],
                    "additionalProperties": False,
                }
            )
        definitions[group] = {"oneOf": options}
    definitions.pop("StepConfig", None)
    properties = schema["properties"]
    for key in ("correct", "measure"):
        properties[key]["items"] = {"$ref": f"#/$defs/{key}"}
    properties["track"]["additionalProperties"] = {"$ref": "#/$defs/track"}
    definitions["ObjectConfig"]["properties"]["steps"]["items"] = {"$ref": "#/$defs/segment"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
