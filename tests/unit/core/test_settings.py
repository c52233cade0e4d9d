from pathlib import Path

import pytest

from dipstream.errors import ConfigError
from dipstream.settings import load_settings


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "user"))
    return tmp_path


def test_flags_before_environment_before_files_before_defaults(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().queue_mb == 512
    (working_folder / "user").mkdir()
    (working_folder / "user" / "dipstream.toml").write_text("queue_mb = 1\nworkers = 5\n")
    assert load_settings().queue_mb == 1
    (working_folder / "dipstream.toml").write_text('queue_mb = 2\npolicy = "stop"\n')
    assert load_settings().queue_mb == 2
    monkeypatch.setenv("DIPSTREAM_QUEUE_MB", "3")
    assert load_settings().queue_mb == 3
    assert load_settings(queue_mb=4).queue_mb == 4
    assert load_settings(queue_mb=None).queue_mb == 3, "None was not given"
    assert (load_settings().workers, load_settings().policy) == (5, "stop")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"policy": "drop"}, ["settings: policy", "received 'drop'", "drop-oldest"]),
        ({"workers": -1}, ["settings: workers", "received -1", "0"]),
        ({"workers": 65}, ["settings: workers", "received 65", "64"]),
        ({"queue_mb": 0}, ["settings: queue_mb", "received 0"]),
        ({"durability": "none"}, ["durability", "received 'none'", "full", "normal"]),
        ({"reorder_s": 0}, ["reorder_s", "received 0"]),
        ({"deadline_ms": 0}, ["deadline_ms", "received 0"]),
        ({"deadline_ms": float("inf")}, ["deadline_ms", "received inf", "finite"]),
        ({"on_change": "ignore"}, ["on_change", "'quarantine'", "'segment'"]),
        ({"worker": 2}, ["no setting worker", "allowed are", "workers"]),
    ],
)
def test_a_wrong_value_is_refused(flags: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(**flags)
    for word in words:
        assert word in str(refused.value)


def test_a_wrong_value_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPSTREAM_WORKERS", "many")
    with pytest.raises(ConfigError, match="workers: received 'many'"):
        load_settings()


def test_a_file_that_is_no_toml(working_folder: Path) -> None:
    (working_folder / "dipstream.toml").write_text("workers: 3\n")
    with pytest.raises(ConfigError, match=r"dipstream\.toml cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("workers", "cpus", "threads"), [(0, 2, 2), (0, 64, 4), (0, None, 1), (9, 2, 9)]
)
def test_threads(
    workers: int, cpus: int | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    assert load_settings(workers=workers).threads == threads


def test_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert load_settings().home == home
    monkeypatch.delenv("DIPSTREAM_HOME")
    assert load_settings().home.name == "dipstream"
