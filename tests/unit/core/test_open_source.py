from pathlib import Path
from typing import Any

import pytest

from dipstream import sources
from dipstream.errors import ConfigError
from dipstream.registry import Driver, find_driver
from dipstream.source import BaseSource, SourceInfo
from dipstream.sources import open_source


class Opened(BaseSource):
    """Remembers how it was opened."""

    def __init__(self, driver: str, target: object, options: dict[str, Any]) -> None:
        super().__init__(SourceInfo("opened"))
        self.driver, self.target, self.options = driver, target, options

    def frames(self) -> Any:
        return iter(())


@pytest.fixture(autouse=True)
def any_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Real names and parameters, but nothing is opened."""
    monkeypatch.chdir(tmp_path)

    def find(name: str) -> Driver:
        real = find_driver(name)
        return Driver(
            name, lambda target, **given: Opened(name, target, given), real.model, real.summary
        )

    monkeypatch.setattr(sources, "find_driver", find)


TARGETS = [
    ("sim:", "sim", ""),
    ("SIM:", "sim", ""),
    ("sim:?n=3", "sim", ""),
    ("folder", "replay", "folder"),
    ("img_?.tif", "replay", "img_?.tif"),
    ("img_??=.tif", "replay", "img_??=.tif"),
    ("replay:img_?.tif", "replay", "img_?.tif"),
    ("replay:img_?.tif?fps=3", "replay", "img_?.tif"),
    ("replay:", "replay", ""),
    (r"C:\data\run 1", "replay", r"C:\data\run 1"),
    ("C:/data", "replay", "C:/data"),
    (r"ab:\data", "replay", r"ab:\data"),
    ("watch:in", "watch", "in"),
    ("/data/12:30/img.tif", "replay", "/data/12:30/img.tif"),
]


@pytest.mark.parametrize(("text", "driver", "target"), TARGETS)
def test_what_people_write(text: str, driver: str, target: str) -> None:
    opened: Any = open_source(text)
    assert (opened.driver, opened.target) == (driver, target)


def test_parameters_come_from_the_query_and_from_flags() -> None:
    opened: Any = open_source("sim:?n=3&fps=0&objective=60x1.40oil", seed=5, frames=None)
    given = opened.options
    assert (given["n"], given["fps"], given["seed"]) == (3, 0.0, 5)
    assert given["objective"] == "60x1.40oil"
    assert set(given) == {"n", "fps", "objective", "seed"}, "the driver has its own defaults"


def test_a_plus_in_a_query_is_a_plus() -> None:
    opened: Any = open_source("sim:?channels=DAPI+GFP")
    assert opened.options == {"channels": "DAPI+GFP"}


def test_an_existing_file_may_have_a_colon(tmp_path: Path) -> None:
    (tmp_path / "day1:b.tif").write_bytes(b"")
    opened: Any = open_source("day1:b.tif")
    assert (opened.driver, opened.target) == ("replay", "day1:b.tif")


def test_a_path_is_never_a_uri() -> None:
    opened: Any = open_source(Path("sim:"))
    assert (opened.driver, opened.target) == ("replay", "sim:")


def test_a_named_driver_gets_the_text_as_it_stands() -> None:
    opened: Any = open_source("sim:?n=3", driver="watch")
    assert (opened.driver, opened.target) == ("watch", "sim:?n=3")
    several: Any = open_source([Path("a"), "b"], driver="watch")
    assert several.target == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("nosuch:camera", {}, ["no driver 'nosuch'", "installed are", "sim"]),
        ("smi:?n=3", {}, ["did you mean sim"]),
        ("sim:?n=3&n=4", {}, ["'n' is given twice"]),
        ("sim:?n", {}, ["`sim:?name=value&name=value`"]),
        ("sim:", {"colour": 1}, ["colour is not known"]),
        ("sim:?nn=3", {}, ["nn is not known", "allowed are", "seed"]),
        ("sim:?n=three", {}, ["n: received 'three'"]),
        ("sim:", {"poll_s": 1.0}, ["poll_s is not known"]),
        ("folder", {"poll_s": 1.0}, ["poll_s is not known"]),
        ("sim:?fps=nan", {}, ["fps"]),
    ],
)
def test_refused(text: str, options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        open_source(text, **options)
    for word in words:
        assert word in str(refused.value)
