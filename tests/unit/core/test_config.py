from pathlib import Path

import pytest

from dipstream.config import parse_pipeline, preset_names, read_pipeline
from dipstream.errors import ConfigError

OBJECTS = "objects: {nuclei: {steps: [{threshold: {}}]}}\n"
GOOD = "dipstream: 1\n" + OBJECTS

REFUSED = {
    "misspelt part": (GOOD + "mesure: []\n", ["mesure is not known", "allowed are", "measure"]),
    "misspelt part, near": (GOOD + "mesure: []\n", ["did you mean measure?"]),
    "misspelt key of assemble": (GOOD + "assemble: {chanels: [a]}\n", ["assemble.chanels"]),
    "misspelt key of an object": (
        "dipstream: 1\nobjects: {nuclei: {chanel: a, steps: [{threshold: {}}]}}\n",
        ["objects.nuclei.chanel"],
    ),
    "no objects": ("dipstream: 1\n", ["objects is missing"]),
    "objects without steps": ("dipstream: 1\nobjects: {nuclei: {steps: []}}\n", ["nuclei.steps"]),
    "no version": (
        OBJECTS,
        ["does not say which version", "start it with the line `dipstream: 1`"],
    ),
    "version 2": ("dipstream: 2\n" + OBJECTS, ["dipstream", "received 2", "1"]),
    "version as text": ("dipstream: '1'\n" + OBJECTS, ["dipstream", "received '1'"]),
    "a list": ("- dipstream: 1\n", ["holds list, not a mapping"]),
    "a number": ("42\n", ["holds int, not a mapping"]),
    "empty": ("", ["is empty"]),
    "a tag": (GOOD + "measure: [!!python/name:os.system {}]\n", ["line 3", "no tags", "Remove it"]),
    "an object's tag": (
        GOOD + "correct: !!python/object/apply:os.system ['true']\n",
        ["no tags", "python/object/apply"],
    ),
    "a table of the run": (
        "dipstream: 1\nobjects: {Frames: {steps: [{threshold: {}}]}}\n",
        ["objects cannot be called 'Frames'"],
    ),
    "a table of SQLite": (
        "dipstream: 1\nobjects: {sqlite_x: {steps: [{threshold: {}}]}}\n",
        ["objects cannot be called 'sqlite_x'"],
    ),
    "upper and lower case": (
        "dipstream: 1\nobjects: {n: {steps: [{threshold: {}}]}, N: {around: n, outer_px: 2}}\n",
        ["two kinds of objects are called 'n'"],
    ),
    "a key twice": (GOOD + OBJECTS, ["line", "'objects' stands here a second time"]),
    "a key twice, deeper": (
        "dipstream: 1\nobjects: {nuclei: {steps: [{threshold: {value: 1, value: 2}}]}}\n",
        ["'value' stands here a second time"],
    ),
    "no YAML": ("dipstream: [1\n", ["is no valid YAML", "Mend the file"]),
    "a step that is a text": (
        "dipstream: 1\nobjects: {nuclei: {steps: [threshold]}}\n",
        ["objects.nuclei.steps.0", "received 'threshold'", "gaussian: {sigma_px: 1.5}"],
    ),
    "two steps in one": (
        "dipstream: 1\nobjects: {nuclei: {steps: [{threshold: {}, split: {}}]}}\n",
        ["a step is written as one name with its parameters"],
    ),
    "parameters that are a list": (
        "dipstream: 1\nobjects: {nuclei: {steps: [{threshold: [1]}]}}\n",
        ["received [1] as the parameters of 'threshold'"],
    ),
    "a ring around nothing": (
        GOOD.replace("}}\n", "}, ring: {around: cells, outer_px: 3}}\n"),
        ["'ring' lies around 'cells'", "choose one of nuclei"],
    ),
    "a ring around a ring": (
        GOOD.replace("}}\n", "}, a: {around: nuclei, outer_px: 3}, b: {around: a, outer_px: 3}}\n"),
        ["'b' lies around 'a'", "choose one of nuclei"],
    ),
    "a ring inside out": (
        GOOD.replace("}}\n", "}, ring: {around: nuclei, inner_px: 3, outer_px: 3}}\n"),
        ["inner_px 3.0 and outer_px 3.0", "outer_px must be the larger"],
    ),
    "a misspelt key of a ring": (
        GOOD.replace("}}\n", "}, ring: {around: nuclei, outer: 3}}\n"),
        ["objects.ring.outer is not known"],
    ),
    "tracking of nothing": (
        GOOD + "track: {cells: {lap: {}}}\n",
        ["track names 'cells'", "the objects are nuclei"],
    ),
    "zero planes": (GOOD + "assemble: {planes: 0}\n", ["assemble.planes", "received 0"]),
    "no patience": (GOOD + "assemble: {wait_s: 0}\n", ["assemble.wait_s", "received 0"]),
    "z of another kind": (GOOD + "assemble: {z: all}\n", ["assemble.z", "received 'all'", "each"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_the_words_of_the_author(case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(ConfigError) as refused:
        parse_pipeline(text, name="mine.yaml")
    assert str(refused.value).startswith("mine.yaml")
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "frames",
        "image_sets",
        "tracks",
        "track_events",
        "events",
        "columns",
        "segments",
        "1st",
        "a b",
        "a-b",
        "",
        "a'; DROP TABLE frames; --",
    ],
)
def test_names_that_a_table_cannot_have(name: str) -> None:
    text = f'dipstream: 1\nobjects: {{"{name}": {{steps: [{{threshold: {{}}}}]}}}}\n'
    with pytest.raises(ConfigError, match="objects cannot be called"):
        parse_pipeline(text)


def test_what_is_left_out_has_its_default() -> None:
    file = parse_pipeline(GOOD)
    assert file.assemble.z == "each"
    assert file.assemble.channels is None
    assert file.measure == ()
    assert file.objects["nuclei"].steps[0].name == "threshold"  # type: ignore[union-attr]
    assert parse_pipeline(GOOD.replace("threshold: {}", "threshold: ")) == file


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\x00", b"\xff\xfe\x00", bytes(256)])
def test_a_binary_file_is_no_pipeline(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"image\.png"):
        read_pipeline(path)


def test_a_folder_or_a_missing_file_is_no_pipeline(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(ConfigError, match="there is no pipeline"):
            read_pipeline(path)
    with pytest.raises(ConfigError, match="did you mean nuclei"):
        read_pipeline("nuclie")


def test_relative_files_start_from_the_folder_of_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(GOOD)
    assert read_pipeline(tmp_path / "p.yaml")[1] == tmp_path


@pytest.mark.parametrize("name", preset_names())
def test_presets_parse(name: str) -> None:
    assert read_pipeline(name)[0].dipstream == 1
