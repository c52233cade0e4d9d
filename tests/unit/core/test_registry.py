import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from dipstream import registry
from dipstream.errors import ConfigError
from dipstream.registry import Step, file_parameters, make_model
from dipstream.sources import open_source
from dipstream.steps import Image, Labels, Mask
from dipstream.steps.step import FileInput, mark_of, ordered, pure


@pure()
def example(
    image: Image,
    *,
    size_px: int = 3,
    sigma_px: Annotated[float, Field(gt=0)] = 1.0,
    channels: tuple[str, ...] | None = None,
    method: Literal["a", "b"] = "a",
    dark: Annotated[Path | None, FileInput()] = None,
    flag: bool = False,
) -> Image:
    """Do nothing.

    At length.
    """
    return image


def step(function: Callable[..., Any] = example) -> Step:
    mark = mark_of(function)
    assert mark is not None
    return Step("correct", function.__name__, function, mark, make_model(function, "example"))


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"sigma_px": 2}, "sigma_px", 2.0),
        ({"channels": ["a", "b"]}, "channels", ("a", "b")),
        ({"channels": None}, "channels", None),
        ({"dark": "dark.tif"}, "dark", Path("dark.tif")),
        ({}, "size_px", 3),
        ({"flag": True}, "flag", True),
    ],
)
def test_parameters_that_are_right(given: dict[str, Any], name: str, value: object) -> None:
    found = getattr(step().configure(given, "here"), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size_px": "3"}, ["size_px: received '3'"]),
        ({"size_px": 3.5}, ["size_px: received 3.5"]),
        ({"size_px": True}, ["size_px: received True"]),
        ({"flag": 1}, ["flag: received 1"]),
        ({"flag": "yes"}, ["flag: received 'yes'"]),
        ({"sigma_px": 0}, ["sigma_px: received 0", "greater than 0"]),
        ({"sigma_px": float("nan")}, ["sigma_px"]),
        ({"sigma_px": float("inf")}, ["sigma_px"]),
        ({"channels": "DAPI"}, ["channels: received 'DAPI'"]),
        ({"channels": [1]}, ["channels", "received 1"]),
        ({"method": "c"}, ["method: received 'c'", "'a' or 'b'"]),
        ({"sgma_px": 1}, ["sgma_px is not known", "allowed are size_px", "did you mean sigma_px"]),
        ({"dark": {1, 2}}, ["plain numbers, texts and lists"]),
        ({"size_px": 1, "sigma_px": -1, "x": 0}, ["sigma_px", "x is not known"]),
    ],
)
def test_parameters_that_are_wrong(given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        step().configure(given, "correct[0] (example)")
    assert str(refused.value).startswith("correct[0] (example)")
    for word in words:
        assert word in str(refused.value)


def test_a_step_without_parameters_says_so() -> None:
    def bare(image: Image) -> Image:
        return image

    with pytest.raises(ConfigError, match="no parameters at all"):
        step(pure()(bare)).configure({"a": 1}, "here")


def test_files_are_known_by_their_annotation() -> None:
    assert file_parameters(make_model(example, "example")) == ["dark"]


def test_a_parameter_without_a_type_is_refused() -> None:
    def loose(image: Image, *, size_px=3) -> Image:  # type: ignore[no-untyped-def]
        return image

    with pytest.raises(ConfigError, match=r"loose: the parameter 'size_px' has no type"):
        make_model(loose, "loose")


def test_keywords_without_names_are_refused() -> None:
    def open_ended(image: Image, **rest: Any) -> Image:
        return image

    with pytest.raises(ConfigError, match=r"\*\*rest is not allowed; name every parameter"):
        make_model(open_ended, "open_ended")


# What a plug-in could register.


def unmarked(image: Image) -> Image:
    return image


@pure()
def silent_measure(labels: Labels, images: Any) -> dict[str, Any]:
    return {}


@pure()
def pure_tracker(state: Any, objects: Any) -> Any:
    return state, objects


@pure()
def odd_chain(image: str) -> Mask:
    raise NotImplementedError


@ordered()
def good_tracker(state: Any, objects: Any) -> Any:
    """Follow nothing."""
    return state, objects


def open_loose(target: str, **rest: Any) -> None:
    """Open anything."""


def open_nothing(target: str, *, n: int = 1) -> str:
    """Open nothing."""
    return "no source"


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Adds entry points to those that are installed; `here:name` is a name of this module."""
    module = ModuleType("plugged_in_by_a_test")
    module.__dict__.update({k: v for k, v in globals().items() if callable(v)})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    caches = (registry._entries, registry._load_step, registry._load_driver)
    added: list[EntryPoint] = []
    real = registry.entry_points

    def entry_points(group: str) -> list[EntryPoint]:
        return [*real(group=group), *(one for one in added if one.group == group)]

    def add(group: str, name: str, value: str) -> None:
        added.append(EntryPoint(name, value.replace("here:", f"{module.__name__}:"), group))
        for one in caches:
            one.cache_clear()

    monkeypatch.setattr(registry, "entry_points", entry_points)
    yield add
    monkeypatch.undo()
    for one in caches:
        one.cache_clear()


@pytest.mark.parametrize(
    ("group", "value", "words"),
    [
        ("correct", "here:unmarked", ["not marked", "dipstream.steps.pure or ordered"]),
        ("measure", "here:silent_measure", ["does not say its columns"]),
        ("track", "here:pure_tracker", ["must be an ordered step"]),
        ("segment", "here:odd_chain", ["goes from or to", "Image, Mask, Labels"]),
        ("segment", "here:silent_measure", ["goes from or to"]),
        ("correct", "no_such_module_at_all:f", ["cannot be loaded", "no_such_module_at_all"]),
        ("correct", "here:no_such_name", ["cannot be loaded", "no_such_name"]),
    ],
)
def test_a_step_that_does_not_fit_is_refused(
    plugged: Callable[[str, str, str], None], group: str, value: str, words: list[str]
) -> None:
    plugged(f"dipstream.{group}", "newcomer", value)
    with pytest.raises(ConfigError) as refused:
        registry.find_step(group, "newcomer")
    for word in ["newcomer", *words]:
        assert word in str(refused.value)


def test_a_step_of_a_plug_in_is_found(plugged: Callable[[str, str, str], None]) -> None:
    plugged("dipstream.track", "newcomer", "here:good_tracker")
    found = registry.find_step("track", "newcomer")
    assert (found.summary, found.mark.kind) == ("Follow nothing.", "ordered")
    assert "newcomer" in [one.name for one in registry.list_steps("track")]


def test_an_unknown_step_names_the_near_ones_and_the_right_place() -> None:
    with pytest.raises(ConfigError, match=r"correct\[0\].*did you mean gaussian"):
        registry.find_step("correct", "gausian", "correct[0]")
    with pytest.raises(ConfigError, match="'lap' belongs under track"):
        registry.find_step("measure", "lap")
    with pytest.raises(ConfigError, match="'gaussian' belongs under correct or segment"):
        registry.find_step("track", "gaussian")


def test_a_driver_whose_library_is_missing_is_listed(
    plugged: Callable[[str, str, str], None],
) -> None:
    plugged("dipstream.drivers", "vendor", "no_such_vendor_sdk:open_camera")
    vendor = next(one for one in registry.list_drivers() if one.name == "vendor")
    assert "no_such_vendor_sdk" in vendor.problem
    assert "sim" in [one.name for one in registry.list_drivers()]
    with pytest.raises(ConfigError, match=r"'vendor' cannot be used: No module.*no_such_vendor"):
        open_source("vendor:")


@pytest.mark.parametrize("problem", ["OSError('libvendor.so: cannot open')", "RuntimeError('no')"])
def test_a_vendor_library_that_fails_otherwise_is_listed_too(
    plugged: Callable[[str, str, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: str,
) -> None:
    (tmp_path / "failing_vendor.py").write_text(f"raise {problem}\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugged("dipstream.drivers", "vendor", "failing_vendor:open_camera")
    vendor = next(one for one in registry.list_drivers() if one.name == "vendor")
    assert vendor.problem
    with open_source("sim:?n=1&frames=1"):
        pass


def test_a_driver_that_does_not_fit_harms_no_other(
    plugged: Callable[[str, str, str], None],
) -> None:
    plugged("dipstream.drivers", "loose", "here:open_loose")
    with open_source("sim:?n=1&frames=1"):
        pass
    loose = next(one for one in registry.list_drivers() if one.name == "loose")
    assert "**rest" in loose.problem


def test_what_a_driver_returns_must_be_a_source(
    plugged: Callable[[str, str, str], None],
) -> None:
    plugged("dipstream.drivers", "nothing", "here:open_nothing")
    from dipstream.errors import SourceError  # noqa: PLC0415

    with pytest.raises(SourceError, match="returned str, which is no Source"):
        open_source("nothing:")
