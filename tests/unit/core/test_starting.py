"""What a program does before its first frame: nothing that could wait."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dipstream.one_heap import without_collecting

PIPELINE = """\
dipstream: 1
objects:
  nuclei:
    steps: [{threshold: {method: manual, value: 50}}, {split: {method: none}}]
measure: [{shape: {}}, {intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 10}}}
"""
HEAVY = ("pandas", "pyarrow.dataset", "pyarrow.compute", "pyarrow.parquet", "scipy.linalg")
CODE = f"""
import json, sys
from pathlib import Path
import dipstream.cli.resume
from dipstream.service import resume, start

home = Path(sys.argv[1])
options = {{"poll_s": 0.05}}
run = start(home / "in", home / "simple.yaml", home=home, driver="watch", options=options)
next(iter(run))
run.stop()
run.wait()
again = resume(run.run_id, home=home)
while again.reader.accounting()["analysed"] < 4 and not again.poll(0.05):
    pass
again.stop()
again.wait()
imported = [name for name in {HEAVY!r} if name in sys.modules]

import numpy as np
from numba import njit
from numba.np import linalg

matrix = np.arange(4.0).reshape(2, 2)
product = njit(lambda a, b: a @ b)(matrix, matrix)
print(json.dumps({{
    "imported": imported,
    "analysed": run.reader.accounting()["analysed"],
    "asks": linalg.ensure_blas.__module__,
    "product": bool(np.array_equal(product, matrix @ matrix)),
}}))
"""


def test_a_run_starts_and_goes_on_without_what_takes_long_to_import(tmp_path: Path) -> None:
    """Importing pandas and scipy.linalg takes as long as all that a run needs."""
    (tmp_path / "in").mkdir()
    (tmp_path / "simple.yaml").write_text(PIPELINE)
    for t in range(4):
        pixels = np.full((64, 64), 10, "uint16")
        pixels[10 + t : 20 + t, 10:20] = 200
        tifffile.imwrite(tmp_path / "in" / f"{t}.tif", pixels)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "imported": [],
        "analysed": 4,
        # What keeps numba from importing scipy.linalg leaves it as it was.
        "asks": "numba.np.linalg",
        "product": True,
    }


def test_garbage_is_looked_for_again_afterwards() -> None:
    assert gc.isenabled()
    with without_collecting():
        with without_collecting():
            pass
        assert not gc.isenabled(), "the inner one leaves it to the outer one"
    assert gc.isenabled()
    with pytest.raises(ValueError, match="x"), without_collecting():
        raise ValueError("x")
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled(), "somebody else has turned it off"
    finally:
        gc.enable()
        gc.unfreeze()
