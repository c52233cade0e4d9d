"""The score of a run against a truth; both may still grow."""

from pathlib import Path

from dipstream.config import near
from dipstream.errors import ConfigError, DipstreamError, ReadError
from dipstream.score.belonging import doubts
from dipstream.score.found import FoundPlace, FoundSets
from dipstream.store import RunLock, RunReader
from dipstream.truth import Score, ScoreTally, TruthReader, compare, find_truth

__all__ = ["RunScore"]

_PATIENCE = 16


class RunScore:
    """The score of a run; each `update` takes in what has come since.

    Image sets are matched with the truth by position, t and z; one that spans a stack is held
    against its middle plane. What waits for its truth waits as a number: objects and label images
    are read when both sides are there.

    Parameters
    ----------
    run
        The run.
    truth
        The folder of truth, or one that holds it as ``truth/``.
    kind
        Type of objects; the first one by default.

    Attributes
    ----------
    without_truth
        Image sets that the truth does not have.
    not_comparable
        Image sets of another shape than the truth, with a broken label image, or of a position, t
        and z that was compared before.

    Raises
    ------
    ReadError
        If there is no truth.
    ConfigError
        If there is no such type of objects.
    """

    def __init__(self, run: RunReader, truth: Path, kind: str | None = None) -> None:
        self._run = run
        self._truth = TruthReader(find_truth(truth))
        self._kind = kind
        self._tally = ScoreTally(self._truth.record.pixel_um)
        self._found = FoundSets(run)
        self._waiting: list[FoundPlace] = []
        self._problem = ""
        self.without_truth = 0
        self.not_comparable = 0

    @property
    def pending(self) -> int:
        """Image sets that are in the table, but whose truth is not written yet."""
        return len(self._waiting)

    @property
    def running(self) -> bool:
        """Whether the run still grows."""
        return RunLock(self._run.folder).taken

    @property
    def kind(self) -> str | None:
        """The type of objects that is scored; None before the first image set."""
        kinds = self._run.object_types()
        if self._kind is not None and kinds and self._kind not in kinds:
            raise ConfigError(
                f"there are no objects {self._kind!r}; this run has {', '.join(kinds)}"
                f"{near(self._kind, kinds)}"
            )
        return self._kind or (kinds[0] if kinds else None)

    @property
    def warnings(self) -> list[str]:
        """What a person should know before believing the numbers."""
        said = doubts(self._run, self._truth)
        if self.not_comparable:
            sets = "image set was" if self.not_comparable == 1 else "image sets were"
            said.append(f"{self.not_comparable} {sets} not compared; {self._problem}")
        return said

    def update(self, *, last: bool = False) -> Score:
        """Compare what is new and return the score.

        Parameters
        ----------
        last
            Nothing more will come: what has no truth now is counted in `without_truth`.

        Raises
        ------
        ReadError
            If the truth is damaged; with `last`, if not one image set could be compared.
        """
        kind = self.kind
        if kind is not None:
            self._waiting += self._found.fresh(everything=last)
        self._truth.update()
        if kind is not None:
            self._compare(kind, self._ready(last=last))
        if last:
            self.without_truth += len(self._waiting)
            self._waiting = []
        score = self._tally.score()
        if last and not score.image_sets and self.without_truth + self.not_comparable:
            raise ReadError(self._nothing_in_common())
        return score

    def _ready(self, *, last: bool) -> list[FoundPlace]:
        """Take out those whose truth is there, or was given away before."""
        behind: set[tuple[str, int]] = set()
        ready, left = [], []
        for one in self._waiting:
            key = one.place.position, one.place.z
            if key not in behind and self._truth.knows(one.place):
                ready.append(one)
                continue
            left.append(one)
            # Tracks are followed in order of time: nothing overtakes a set of its place, unless
            # the truth itself went on without it.
            newest = self._truth.newest_t(one.place)
            if not last and (newest is None or newest - one.place.t < _PATIENCE):
                behind.add(key)
        self._waiting = left
        return ready

    def _compare(self, kind: str, ready: list[FoundPlace]) -> None:
        if not ready:
            return
        parents = self._found.parents(kind)
        for one, rows in self._found.read(kind, ready):
            true = self._truth.take(one.place)
            if true is None:
                self._set_aside(one, "another image set of the run has the same place")
                continue
            try:
                compared = compare(true, rows.found_set())
            except DipstreamError as error:
                self._set_aside(one, str(error))
            else:
                self._tally.add(compared, parents)

    def _set_aside(self, one: FoundPlace, why: str) -> None:
        self.not_comparable += 1
        place = one.place
        self._problem = self._problem or (
            f"the first one is position {place.position}, t={place.t}, z={place.z}: {why}"
        )

    def _nothing_in_common(self) -> str:
        if self.not_comparable:
            return (
                f"none of the {self.without_truth + self.not_comparable} image sets of the run can "
                f"be compared with the truth {self._truth.folder.path}; {self._problem}. Name the "
                "truth of the images that the run has read"
            )
        found = sorted(set(self._run.image_sets()["position"]))
        return (
            f"none of the {self.without_truth} image sets of the run is in the truth "
            f"{self._truth.folder.path}: the run has the positions {', '.join(found) or 'none'}, "
            f"the truth {', '.join(self._truth.positions()) or 'none'}. Name the truth of the "
            "images that the run has read"
        )
