"""What mirrors are called: never with a password, and always as the database can keep it."""

import pytest

from dipstream.errors import ConfigError
from dipstream.mirror import check_address, is_database, resolved
from dipstream.mirror.address import Secrets, with_defaults
from dipstream.mirror.ddl import create_table, literal, short
from dipstream.settings import load_settings, without_password
from dipstream.table import Column, Schema


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://u:p@h:5/d", "postgresql://u@h:5/d"),
        ("postgresql://u:p%40@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgres://u:a@b:c/d@h/d", "postgres://u@h/d"),
        ("postgresql:///d?host=/run&password=p", "postgresql:///d?host=/run"),
        ("postgresql://h/d?PASSWORD=p&sslpassword=q&a=b", "postgresql://h/d?a=b"),
        ("/a/b:c@d", "/a/b:c@d"),
        ("C:\\mirror", "C:\\mirror"),
    ],
)
def test_without_password(given: str, shown: str) -> None:
    assert without_password(given) == shown


def test_secrets_are_taken_out_of_what_a_library_says() -> None:
    secrets = Secrets("postgresql://u:p%40ss@h/d?sslpassword=quiet")
    assert secrets.hide('missing "=" after "u:p%40ss" p@ss quiet') == (
        'missing "=" after "u:***" *** ***'
    )
    assert Secrets("postgresql://h/d").hide("nothing to hide") == "nothing to hide"


def test_every_call_ends_some_time_unless_the_url_says_otherwise() -> None:
    assert with_defaults("postgresql://h/d").startswith("postgresql://h/d?connect_timeout=5&")
    own = with_defaults("postgresql://h/d?connect_timeout=90")
    assert own.count("connect_timeout") == 1
    assert "tcp_user_timeout=30000" in own


def test_which_addresses_there_are() -> None:
    assert is_database("postgresql://h/d")
    assert is_database("postgres://h/d")
    assert not is_database("postgresql")
    check_address("some folder")
    for wrong in ("s3://u:secret@bucket/x", "", "  "):
        with pytest.raises(ConfigError) as refused:
            check_address(wrong)
        assert "secret" not in str(refused.value)


def test_folders_mean_the_same_from_everywhere(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolved("m") == str(tmp_path / "m")
    assert resolved("postgresql://h/d") == "postgresql://h/d"


def test_settings_take_one_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().mirror == ()
    assert load_settings(mirror=["a", "b"]).mirror == ("a", "b")
    monkeypatch.setenv("DIPSTREAM_MIRROR", "postgresql:///d?host=/a,/b")
    assert load_settings().mirror == ("postgresql:///d?host=/a,/b",)
    monkeypatch.setenv("DIPSTREAM_MIRROR", '["a", "postgresql://u:secret@h/d"]')
    chosen = load_settings()
    assert chosen.mirror == ("a", "postgresql://u:secret@h/d")
    assert chosen.model_dump(mode="json")["mirror"] == ["a", "postgresql://u@h/d"]
    monkeypatch.setenv("DIPSTREAM_MIRROR", '["a"')
    with pytest.raises(ConfigError):
        load_settings()


def test_names_that_the_database_would_cut() -> None:
    assert short("objects_nuclei") == "objects_nuclei"
    a, b = short("intensity_mean_" + "ä" * 40), short("intensity_mean_" + "ä" * 41)
    assert a != b
    assert max(len(a.encode()), len(b.encode())) <= 63
    assert short("intensity_mean_" + "ä" * 40) == a


def test_texts_and_comments_end_nothing() -> None:
    assert literal("it's \\ \0") == "'it''s \\ �'"
    column = Column("a\"b'", "float64", "µm", "what's $dipstream$ here; DROP", "step")
    statements = create_table('s"1', "objects_x", Schema((Column("set_id", "int64"), column)))
    assert '"s""1"."objects_x"' in statements[0]
    assert statements[-1].startswith("DO $dipstream_$ BEGIN COMMENT")
    assert "what''s $dipstream$ here; DROP [µm] (step)" in statements[-1]
