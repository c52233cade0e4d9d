"""Random lives of a run: sources, policies and faults in any order; the book is checked always.

Hypothesis makes up the sequences. The campaign plays 10,000 of them, the short form as many as
some 15 s allow, always the same ones.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dipstream.pipeline import Plan, open_plan
from dipstream.store.verify import verify_run
from tests.faults.golden import content
from tests.faults.played_run import CHANNELS, Conditions, Fault, Kind, Run, Shot
from tests.faults.simple import SIMPLE

LONG = bool(os.environ.get("DIPSTREAM_CAMPAIGN"))
SEQUENCES = int(os.environ.get("DIPSTREAM_SEQUENCES", "10000" if LONG else "80"))
POLICIES = ("block", "spill", "drop-oldest", "thin", "stop")
KEEPS_ALL = ("block", "spill")
# Memory where there is some to be had: thousands of runs are made and thrown away.
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None
FAULTS: tuple[Fault, ...] = ("none", "crash before", "crash after", "write", "source")


class Life(RuleBasedStateMachine):
    """One run, from its first frame to the end of its last session."""

    plan: Plan

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=SCRATCH, prefix="lives-of-runs-"))
        self.conditions = Conditions()
        self.held = self.conditions.held()
        self.held.__enter__()
        self.script: list[Shot] = []
        self.t, self.seq = 0, 0
        self.kept_all = True
        self.open_rewritten = False
        self.commits: list[tuple[Any, ...]] = []
        self.seen: set[int] = set()
        self.clean = True

    @initialize(source=st.sampled_from(["camera", "replayed camera", "files"]))
    def begin(self, source: str) -> None:
        self.live, self.files = source == "camera", source == "files"
        self.run = Run(self.home / "run", self.plan, live=self.live)
        (self.home / "in").mkdir()

    def teardown(self) -> None:
        try:
            if hasattr(self, "run"):
                self._end()
        finally:
            self.held.__exit__(None, None, None)
            shutil.rmtree(self.home, ignore_errors=True)

    # What comes next.

    @rule(n=st.integers(1, 6), position=st.sampled_from(["0", "1"]))
    def several_frames(self, n: int, position: str) -> None:
        self.frames(n, position)

    def frames(self, n: int, position: str) -> None:
        for _ in range(n):
            for channel in CHANNELS:
                self._show(self.t, channel, position)
            self.t += 1

    @rule(n=st.integers(1, 3))
    @precondition(lambda self: not self.files)
    def gap(self, n: int) -> None:
        self.seq += n

    @rule()
    @precondition(lambda self: self.live and self.script)
    def counter_begins_anew(self) -> None:
        self.seq = 0

    @rule(channel=st.sampled_from(CHANNELS), alone=st.booleans())
    def bad_frame(self, channel: str, alone: bool) -> None:
        for one in CHANNELS:
            if one == channel:
                self._show(self.t, one, "0", "bad")
            elif not alone:
                self._show(self.t, one, "0")
        self.t += 1

    @rule()
    def poisoned_set(self) -> None:
        self.conditions.poisoned |= {self.t}
        self.frames(1, "0")

    @rule()
    def half_a_set(self) -> None:
        self._show(self.t, CHANNELS[0], "0")
        self.t += 1

    @rule(back=st.integers(1, 5))
    @precondition(lambda self: self.t > 0 and not self.files)
    def late_frame(self, back: int) -> None:
        for channel in CHANNELS:
            self._show(max(self.t - back, 0), channel, "0", "late")

    @rule(data=st.data())
    @precondition(lambda self: self.files and self.script)
    def rewritten(self, data: st.DataObject) -> None:
        times = sorted({shot.t for shot in self.script if shot.kind == "good"})
        if not times:
            return
        t = data.draw(st.sampled_from(times))
        old = [shot for shot in self.script if shot.t == t]
        version = max(shot.version for shot in old) + 1
        whole = {shot.channel for shot in old} == set(CHANNELS)
        self.open_rewritten |= t == self.script[-1].t and not whole
        for shot in [one for one in old if one.version == version - 1]:
            self._show(t, shot.channel, shot.position, "good", version, shot.path)

    # What is done.

    @rule(
        policy=st.sampled_from(POLICIES),
        fault=st.sampled_from(FAULTS),
        at=st.integers(1, 12),
        slow=st.booleans(),
    )
    @precondition(lambda self: self.script)
    def session(self, policy: str, fault: Fault, at: int, slow: bool) -> None:
        self.conditions.slow_s = 0.001 if slow else 0.0
        self._play(policy, fault, at)

    # What must be true.

    @invariant()
    def the_book_is_right(self) -> None:
        if not hasattr(self, "run") or not self.run.folder.table.exists():
            return
        found = verify_run(self.run.folder)
        problems = [
            f"{one.check}: {one.problem}"
            for one in found.findings
            if (self.clean or ("pending" not in one.problem and "spill" not in one.problem))
        ]
        assert not problems, problems
        self._check_commits()
        self._check_published()

    def _any(self, kind: Kind) -> bool:
        return any(shot.kind == kind for shot in self.script)

    def _check_commits(self) -> None:
        if not self.run.rows("SELECT 1 FROM sqlite_master WHERE name = 'commits'"):
            assert not self.commits
            return
        commits = self.run.rows(
            "SELECT commit_number, set_id, content_version, frame_id, content_hash, epoch "
            "FROM commits ORDER BY commit_number"
        )
        assert commits[: len(self.commits)] == self.commits, "a commit is lost, or was changed"
        assert [one[0] for one in commits] == list(range(1, len(commits) + 1))
        self.commits = commits

    def _check_published(self) -> None:
        rows = self.run.rows("SELECT set_id, state, n_objects, content_version FROM image_sets")
        found = {set_id: rest for set_id, *rest in rows}
        for set_id, objects in self.run.published.items():
            assert set_id in found, "an image set was published and is not there"
            state, n_objects, version = found[set_id]
            assert version == 1 or self.files, "nobody wrote it anew"
            assert version > 1 or (state, n_objects) == ("analysed", objects)

    def _show(
        self,
        t: int,
        channel: str,
        position: str,
        kind: Kind = "good",
        version: int = 1,
        path: str = "",
    ) -> None:
        number = len(self.script)
        if self.files and not path:
            path = str(self.home / "in" / f"{number}.bin")
            Path(path).write_bytes(b"1")
        seq = None if self.files else self.seq
        self.script.append(Shot(number, seq, t, channel, position, kind, version, path))
        self.seq += 1

    def _play(self, policy: str, fault: Fault = "none", at: int = 0) -> None:
        session = self.run.play(self.script, policy, fault, at)
        self.kept_all &= policy in KEEPS_ALL
        # A run that stopped with an error leaves to the next session what it had not taken again.
        self.clean = not session.hit and not session.error
        if not session.hit:
            assert session.problems == ()
            assert not session.error or fault == "source" or policy == "stop", session.error
        self.seen |= {shot.number for shot in session.yielded}
        ((rows,),) = self.run.rows("SELECT count(*) FROM frames")
        assert rows <= len(self.seen), "a frame has two rows"
        if not session.hit and not self.live:
            due = self.seen if self.clean else {shot.number for shot in session.yielded}
            assert rows >= len(due), "a frame has no row"

    def _end(self) -> None:
        """Play what is left without a fault, and compare with a run that never had one."""
        if not self.script:
            return
        self.conditions.slow_s = 0
        self._play("block")
        self.the_book_is_right()
        states = dict(self.run.rows("SELECT state, count(*) FROM frames GROUP BY state"))
        assert states.get("pending", 0) == 0
        # A session's end closes what is open: a frame that is late, or the other version of one,
        # then meets a closed set where it would have met an open one.
        if self.live or not self.kept_all or self._any("late") or self.open_rewritten:
            return
        golden = Run(self.home / "golden", self.plan, live=False)
        golden.play(self.script, "block", "none", 0)
        expected, found = content(golden.folder.path), content(self.run.folder.path)
        for table, rows in expected.items():
            lacking, more = set(rows) - set(found[table]), set(found[table]) - set(rows)
            assert not lacking, f"{table} lacks {sorted(lacking)}, has {sorted(more)}"
            assert found[table] == rows, table


@pytest.mark.timeout(7200 if LONG else 240)
def test_lives_of_a_run(tmp_path: Path) -> None:
    pipeline = tmp_path / "simple.yaml"
    pipeline.write_text(SIMPLE, encoding="utf-8")
    Life.plan = open_plan(pipeline)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=12,
            deadline=None,
            derandomize=not LONG,
            database=None,
            print_blob=False,
            phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
