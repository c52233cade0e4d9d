"""A run's folder, as the suites over the store need it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dipstream.store import RunFolder, RunRecord


def made_record(run_id: str = "one", **more: Any) -> RunRecord:
    return RunRecord(
        **{
            "run_id": run_id,
            "created_ns": time.time_ns(),
            "source": "sim:",
            "source_key": "[]",
            "pipeline_name": "nuclei",
            "pipeline": {"dipstream": 1, "µ": [1.5, None]},
            "pipeline_sha256": "0" * 64,
            "settings": {},
            "channels": ("DAPI", "µ"),
            **more,
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    # Characters that a URI would take for its own.
    path = tmp_path / "a run? #1 100%"
    path.mkdir()
    made = RunFolder(path)
    made.write(made_record())
    return made


@pytest.fixture
def record() -> Callable[..., RunRecord]:
    """Makes what `run.json` says."""
    return made_record
