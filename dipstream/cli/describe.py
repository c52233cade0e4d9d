"""Explains pipelines, steps and drivers."""

import difflib
import inspect
import json
from collections.abc import Callable
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from dipstream.config import near
from dipstream.errors import ConfigError
from dipstream.pipeline import file_schema, open_plan
from dipstream.registry import STEP_GROUPS, Driver, Step, list_drivers, list_steps

__all__ = ["diff_pipelines", "show_drivers", "show_pipeline", "show_schema", "show_steps"]


def show_pipeline(name: str, *, as_json: bool) -> None:
    """Print a pipeline in its canonical form, and its hash."""
    plan = open_plan(name)
    if as_json:
        typer.echo(json.dumps({"sha256": plan.sha256, "pipeline": plan.canonical}))
        return
    typer.echo(f"# {plan.name}, sha256 {plan.sha256}")
    typer.echo(plan.yaml(), nl=False)


def show_schema() -> None:
    """Print the JSON schema of pipeline files."""
    typer.echo(json.dumps(file_schema(), indent=2, ensure_ascii=False))


def diff_pipelines(first: str, second: str, *, as_json: bool) -> int:
    """Print a unified diff of two canonical forms; return 1 if the pipelines differ, else 0."""
    one, other = open_plan(first), open_plan(second)
    lines = list(
        difflib.unified_diff(
            one.yaml().splitlines(), other.yaml().splitlines(), first, second, lineterm=""
        )
    )
    if as_json:
        equal = one.sha256 == other.sha256
        hashes = [one.sha256, other.sha256]
        typer.echo(json.dumps({"equal": equal, "sha256": hashes, "diff": lines}))
        return int(not equal)
    for line in lines:
        typer.echo(line)
    if one.sha256 == other.sha256:
        typer.echo(f"equal, sha256 {one.sha256}", err=True)
        return 0
    typer.echo(f"different: {one.sha256[:12]} and {other.sha256[:12]}", err=True)
    return 1


def show_steps(name: str | None, *, as_json: bool) -> None:
    """List the steps, or print the help of one."""
    found = [step for group in STEP_GROUPS for step in list_steps(group)]
    if name is not None:
        found = [step for step in found if step.name == name]
        if not found:
            names = sorted({s.name for group in STEP_GROUPS for s in list_steps(group)})
            raise ConfigError(
                f"there is no step {name!r}; there are {', '.join(names)}{near(name, names)}"
            )
    if as_json:
        typer.echo(json.dumps([_step_json(step) for step in found], ensure_ascii=False))
    elif name is not None:
        _explain(name, [step.group for step in found], found[0].function, found[0].model)
    else:
        shown = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("under", "step", "what it does"):
            shown.add_column(title)
        for step in found:
            shown.add_row(step.group, step.name, step.summary)
        Console().print(shown)


def show_drivers(name: str | None, *, as_json: bool) -> None:
    """List the drivers, or print the help of one."""
    found = list_drivers()
    if name is not None:
        names = [driver.name for driver in found]
        found = [driver for driver in found if driver.name == name]
        if not found:
            raise ConfigError(
                f"there is no driver {name!r}; there are {', '.join(names)}{near(name, names)}"
            )
    if as_json:
        typer.echo(json.dumps([_driver_json(driver) for driver in found], ensure_ascii=False))
    elif name is not None and found[0].open is not None and found[0].model is not None:
        _explain(name, ["driver"], found[0].open, found[0].model)
    else:
        shown = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("driver", "usable", "what it reads"):
            shown.add_column(title)
        for driver in found:
            shown.add_row(driver.name, driver.problem or "yes", driver.summary)
        Console().print(shown)


def _explain(
    name: str, groups: list[str], function: Callable[..., Any], model: type[BaseModel]
) -> None:
    typer.echo(f"{name} ({', '.join(groups)})\n")
    typer.echo(inspect.getdoc(function) or "")
    defaults = {
        key: "required" if info.is_required() else info.default
        for key, info in model.model_fields.items()
    }
    typer.echo("\ndefaults: " + (", ".join(f"{k}={v!r}" for k, v in defaults.items()) or "none"))


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "group": step.group,
        "name": step.name,
        "kind": step.mark.kind,
        "version": step.mark.version,
        "summary": step.summary,
        "parameters": step.model.model_json_schema(),
    }


def _driver_json(driver: Driver) -> dict[str, Any]:
    return {
        "name": driver.name,
        "usable": not driver.problem,
        "problem": driver.problem,
        "summary": driver.summary,
        "parameters": driver.model.model_json_schema() if driver.model else None,
    }
