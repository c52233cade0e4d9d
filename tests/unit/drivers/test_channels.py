import pytest

from dipstream.errors import ConfigError
from dipstream_drivers.channels import ChannelMap


@pytest.mark.parametrize(
    ("text", "raws", "assigned"),
    [
        (None, ["DAPI", "GFP"], {"DAPI": "DAPI", "GFP": "GFP"}),
        ("2=b,1=a", ["1", "2", "3"], {"1": "a", "2": "b"}),
        ("GFP,DAPI", ["DAPI", "GFP", "Cy5"], {"DAPI": "DAPI", "GFP": "GFP"}),
        ("n,r", ["ch0", "ch1"], {"ch0": "n", "ch1": "r"}),
        ("n", ["ch0", "ch1"], {"ch0": "n"}),
        ("x=y", ["ch0"], {}),
    ],
)
def test_assign(text: str | None, raws: list[str], assigned: dict[str, str]) -> None:
    assert ChannelMap.parse(text).assign(raws) == assigned


def test_not_positional() -> None:
    assert ChannelMap.parse("n,r").assign(["1"], positional=False) == {}


@pytest.mark.parametrize("text", ["", "a,", "a=b,c", "a,a", "a=b,a=c", "a=c,b=c", "=b", "a="])
def test_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="1=nuclei,2=reporter"):
        ChannelMap.parse(text)
