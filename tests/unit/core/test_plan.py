from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.config import preset_names
from dipstream.errors import ConfigError
from dipstream.pipeline import Plan, file_schema, open_plan
from dipstream.pipeline import plan as plan_module
from dipstream.registry import STEP_GROUPS, Step, list_steps

Make = Callable[[str], Plan]

FULL = """\
dipstream: 1
assemble: {channels: [DAPI, GFP], wait_s: 2}
correct:
  - dark_flat: {dark: dark.tif}
  - gaussian: {sigma_px: 1, channels: [GFP]}
objects:
  nuclei:
    channel: DAPI
    steps: [{gaussian: {sigma_px: 2}}, {threshold: {}}, {split: {}}]
  ring: {around: nuclei, outer_px: 4}
measure: [{shape: {}}, {intensity: {}}]
track: {nuclei: {lap: {}}}
"""
SHORT = "dipstream: 1\nobjects: {n: {steps: [{threshold: {}}, {split: {}}]}}\n"


@pytest.fixture(autouse=True)
def dark(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tif"
    tifffile.imwrite(path, np.full((4, 4), 5, "uint16"))
    return path


SAME = {
    "a comment": FULL + "# a comment\n",
    "parts in another order": "".join(
        [FULL[FULL.index("measure") :], FULL[: FULL.index("measure")]]
    ),
    "block style": FULL.replace(
        "assemble: {channels: [DAPI, GFP], wait_s: 2}",
        "assemble:\n  wait_s: 2.0\n  channels:\n  - DAPI\n  - GFP",
    ),
    "keys in another order": FULL.replace(
        "{sigma_px: 1, channels: [GFP]}", "{channels: [GFP], sigma_px: 1.0}"
    ),
    "a default written out": FULL.replace("{lap: {}}", "{lap: {max_gap: 1}}"),
    "a part's default written out": FULL.replace("wait_s: 2", "wait_s: 2, z: each"),
    "a ring's default written out": FULL.replace("outer_px: 4", "outer_px: 4, inner_px: 0"),
    "nothing instead of {}": FULL.replace("{shape: {}}", "{shape: }"),
}

OTHER = {
    "a parameter": FULL.replace("sigma_px: 2", "sigma_px: 2.5"),
    "another step": FULL.replace("{split: {}}", "{split: {}}, {clean: {}}"),
    "the order of steps": FULL.replace(
        "[{gaussian: {sigma_px: 2}},", "[{median: {}}, {gaussian: {sigma_px: 2}},"
    ),
    "a channel": FULL.replace("channel: DAPI", "channel: GFP"),
    "the channels of a correction": FULL.replace("channels: [GFP]", "channels: [DAPI]"),
    "all channels for a correction": FULL.replace(", channels: [GFP]", ""),
    "the patience": FULL.replace("wait_s: 2", "wait_s: 3"),
    "a ring": FULL.replace("outer_px: 4", "outer_px: 5"),
    "a name": FULL.replace("ring:", "cytoplasm:"),
    "the tracker": FULL.replace("{lap: {}}", "{lap: {max_gap: 2}}"),
    "no tracker": FULL[: FULL.index("track")],
    "one measurement less": FULL.replace("{shape: {}}, ", ""),
}


@pytest.mark.parametrize("case", SAME)
def test_what_means_the_same_has_the_same_hash(plan: Make, case: str) -> None:
    assert SAME[case] != FULL
    assert plan(SAME[case]).sha256 == plan(FULL).sha256


@pytest.mark.parametrize("case", OTHER)
def test_what_computes_something_else_has_another_hash(plan: Make, case: str) -> None:
    assert OTHER[case] != FULL
    assert plan(OTHER[case]).sha256 != plan(FULL).sha256


def test_the_content_of_a_file_is_part_of_the_hash_and_its_time_is_not(
    plan: Make, dark: Path
) -> None:
    before = plan(FULL).sha256
    content = dark.read_bytes()
    dark.write_bytes(content)
    assert plan(FULL).sha256 == before
    tifffile.imwrite(dark, np.full((4, 4), 6, "uint16"))
    assert plan(FULL).sha256 != before


def test_the_version_of_a_step_is_part_of_the_hash(
    plan: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = plan(FULL).sha256, plan_module.find_step

    def newer(group: str, name: str, where: str = "") -> Step:
        step = real(group, name, where)
        changed = replace(step.mark, version=step.mark.version + (name == "split"))
        return replace(step, mark=changed)

    monkeypatch.setattr(plan_module, "find_step", newer)
    assert plan(FULL).sha256 != before


@pytest.mark.parametrize("text", [FULL, SHORT])
def test_the_canonical_form_is_a_pipeline_with_the_same_hash(plan: Make, text: str) -> None:
    first = plan(text)
    again = plan(first.yaml())
    assert again.sha256 == first.sha256
    assert again.canonical == first.canonical
    assert again.yaml() == first.yaml()


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_plans_for_any_channels(name: str, plan: Make) -> None:
    preset = open_plan(name)
    assert preset.name == name
    assert plan(preset.yaml()).sha256 == preset.sha256
    for channels in (["ch0"], ["DAPI", "GFP"]):
        line = preset.compile(channels)
        assert line.channel_of(line.kinds[0]) == channels[0]
        (kind,) = line.kinds
        for channel in channels:
            assert f"intensity_mean_{channel}" in line.schemas[kind].names


def steps(text: str) -> str:
    return f"dipstream: 1\nobjects: {{n: {{steps: [{text}]}}}}\n"


REFUSED = {
    "threshold missing": (steps("{split: {}}"), ["steps[0]: split works on Mask", "Image here"]),
    "gaussian after threshold": (
        steps("{threshold: {}}, {gaussian: {}}"),
        ["steps[1]: gaussian works on Image", "receives Mask here", "the order is"],
    ),
    "split twice": (
        steps("{threshold: {}}, {split: {}}, {split: {}}"),
        ["steps[2]: split works on Mask", "receives Labels here"],
    ),
    "threshold twice": (
        steps("{threshold: {}}, {threshold: {}}"),
        ["steps[1]: threshold works on Image"],
    ),
    "clean of an image": (
        steps("{clean: {}}, {threshold: {}}"),
        ["steps[0]: clean works on Mask or Labels", "receives Image"],
    ),
    "never a mask": (steps("{gaussian: {}}"), ["never leaves the image", "threshold"]),
    "a step of another group": (
        steps("{lap: {}}"),
        ["objects.n.steps[0]", "no step 'lap'", "'lap' belongs under track"],
    ),
    "a misspelt step": (steps("{treshold: {}}"), ["no step 'treshold'", "did you mean threshold"]),
    "a misspelt parameter": (
        steps("{gaussian: {sgma_px: 1}}, {threshold: {}}"),
        ["objects.n.steps[0] (gaussian): sgma_px is not known", "did you mean sigma_px"],
    ),
    "a text for a number": (
        steps("{gaussian: {sigma_px: '1'}}, {threshold: {}}"),
        ["steps[0] (gaussian): sigma_px", "received '1'"],
    ),
    "a date for a number": (
        steps("{gaussian: {sigma_px: 2020-01-01}}, {threshold: {}}"),
        ["steps[0] (gaussian)", "plain numbers, texts and lists"],
    ),
    "channels as a text": (
        SHORT + "correct: [{gaussian: {channels: GFP}}]\n",
        ["correct[0] (gaussian)", "received channels 'GFP'", "`channels: [DAPI]`"],
    ),
    "a missing file": (
        SHORT + "correct: [{dark_flat: {dark: none.tif}}]\n",
        ["correct[0].dark", "none.tif cannot be read", "relative to the pipeline file"],
    ),
    "a folder for a file": (
        SHORT + "correct: [{dark_flat: {dark: .}}]\n",
        ["correct[0].dark", "cannot be read"],
    ),
    "a stack without project": (
        SHORT + "assemble: {z: stack}\n",
        ["assemble.z is `stack`", "`project: {}`"],
    ),
    "project of planes": (
        SHORT + "correct: [{project: {}}]\n",
        ["project needs whole stacks", "set it to `stack`"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_a_camera_opens(plan: Make, case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(ConfigError) as refused:
        plan(text)
    for word in words:
        assert word in str(refused.value)


def test_stacks_that_fit(plan: Make) -> None:
    plan(SHORT + "assemble: {z: stack}\ncorrect: [{project: {}}]\n")
    plan(SHORT + "assemble: {z: project}\n")


UNKNOWN = {
    "objects": (SHORT.replace("{n: {", "{n: {channel: Cy5, "), "objects.n.channel"),
    "measure": (SHORT + "measure: [{intensity: {channels: [DAPI, Cy5]}}]\n", "measure[0]"),
    "correct": (SHORT + "correct: [{gaussian: {channels: [Cy5]}}]\n", "correct[0]"),
    "align": (SHORT + "correct: [{align: {channel: Cy5}}]\n", "correct[0]"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_channel_that_is_not_there(plan: Make, case: str) -> None:
    text, where = UNKNOWN[case]
    ready = plan(text)
    with pytest.raises(ConfigError) as refused:
        ready.compile(["DAPI", "Cy3"])
    for word in (where, "'Cy5' is not there", "the source has DAPI, Cy3", "did you mean Cy3"):
        assert word in str(refused.value)
    ready.compile(["DAPI", "Cy5"])


def test_columns_that_come_twice(plan: Make) -> None:
    with pytest.raises(ConfigError, match=r"defined twice: area.*list each step"):
        plan(SHORT + "measure: [{shape: {}}, {shape: {}}]\n").compile(["DAPI"])


def test_no_channels_at_all(plan: Make) -> None:
    with pytest.raises(ConfigError, match="at least one channel"):
        plan(SHORT).compile([])


# The schema for editors.


def resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = part
    while "$ref" in found:
        found = schema["$defs"][found["$ref"].removeprefix("#/$defs/")]
    return found


def test_the_schema_has_every_step_with_its_parameters() -> None:
    schema = file_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    for group in STEP_GROUPS:
        options = schema["$defs"][group]["oneOf"]
        found = {option["required"][0]: option for option in options}
        assert list(found) == [step.name for step in list_steps(group)]
        for step in list_steps(group):
            assert found[step.name]["additionalProperties"] is False
            parameters = resolved(schema, found[step.name]["properties"][step.name])
            assert parameters["description"] == step.summary
            assert parameters["additionalProperties"] is False
            extra = {"channels"} if group == "correct" else set()
            assert set(parameters.get("properties", {})) == set(step.model.model_fields) | extra


@pytest.mark.parametrize("name", preset_names())
def test_presets_have_the_structure_of_the_schema(name: str) -> None:
    schema, canonical = file_schema(), open_plan(name).canonical
    assert set(canonical) <= set(schema["properties"])
    assert set(schema["required"]) <= set(canonical)

    def check(group: str, entry: dict[str, Any]) -> None:
        ((step, parameters),) = entry.items()
        known = resolved(schema, {"$ref": f"#/$defs/{group}_{step}"})
        assert set(parameters) <= set(known.get("properties", {}))

    for entry in canonical["measure"]:
        check("measure", entry)
    for entry in canonical["track"].values():
        check("track", entry)
    for one in canonical["objects"].values():
        for entry in one["steps"]:
            check("segment", entry)


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = file_schema()

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return here + [r for value in part.values() for r in references(value)]
        return [r for value in part for r in references(value)] if isinstance(part, list) else []

    for reference in references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"], reference
