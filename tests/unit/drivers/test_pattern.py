from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipstream.errors import ConfigError
from dipstream_drivers.pattern import Pattern, natural_key


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("xy{position}-{channel}.png", "xy040-2.png", {"position": "040", "channel": "2"}),
        ("xy{p}-{c}.png", "xy040-2.png", {"position": "040", "channel": "2"}),
        ("xy{position}-{channel}.png", "xy-2.png", None),
        ("xy{position}-{channel}.png", "sub/xy1-2.png", {"position": "1", "channel": "2"}),
        ("t{t:03d}.tif", "t007.tif", {"t": 7}),
        ("t{t:03d}.tif", "t1007.tif", {"t": 1007}),
        ("t{t:03d}.tif", "t07.tif", None),
        ("t{t}.tif", "t12.tif", {"t": 12}),
        ("t{t:d}.tif", "tx.tif", None),
        ("{p}_{t}_{z}.tif", "a_b_3_4.tif", {"position": "a_b", "t": 3, "z": 4}),
        ("{c:d}.tif", "007.tif", {"channel": 7}),
        ("*_w{c}_?.tif", "plate_wGFP_x.tif", {"channel": "GFP"}),
        ("a{{{t}}}.tif", "a{5}.tif", {"t": 5}),
        ("a.b({t}).tif", "a.b(5).tif", {"t": 5}),
        ("a.b{t}.tif", "axb5.tif", None),
        ("pos{p}/t{t}.tif", "pos3/t5.tif", {"position": "3", "t": 5}),
        ("pos{p}/t{t}.tif", "x/pos3/t5.tif", None),
        ("**/t{t}.tif", "x/y/t5.tif", {"t": 5}),
        ("*/t{t}.tif", "x/y/t5.tif", None),
        ("{p}.tif", "a\nb.tif", {"position": "a\nb"}),
    ],
)
def test_parse(pattern: str, path: str, fields: dict[str, object] | None) -> None:
    assert Pattern.compile(pattern).parse(path) == fields


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{time}.tif", "no field {time}"),
        ("{t}{t}.tif", "comes twice"),
        ("{c}{channel}.tif", "comes twice"),
        ("a{t.tif", "no partner"),
        ("a}.tif", "no partner"),
        ("{}.tif", "no field {}"),
        ("{t:3d}.tif", "the form :3d"),
        ("{t:s}.tif", "the form :s"),
        ("plain.tif", "no field"),
        ("", "no field"),
    ],
)
def test_refused(pattern: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        Pattern.compile(pattern)
    assert says in str(error.value)
    assert "{position}" in str(error.value)
    assert repr(pattern) in str(error.value)


def test_natural_order() -> None:
    names = ["t10.tif", "t9.tif", "a", "t09.tif", "1", "", "t9b"]
    assert sorted(names, key=natural_key) == ["", "1", "a", "t09.tif", "t9.tif", "t9b", "t10.tif"]


@given(st.lists(st.text(max_size=8)))
def test_natural_key_always_compares(names: list[str]) -> None:
    assert len(sorted(names, key=natural_key)) == len(names)


@given(st.text(max_size=12))
def test_compile_never_raises_anything_else(text: str) -> None:
    with suppress(ConfigError):
        Pattern.compile(text).parse("x.tif")
