"""Links and divisions found against those that are there, image set after image set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dipstream.truth.compare import Comparison
from dipstream.truth.links import LinkScore

__all__ = ["DivisionScore", "Lineage"]

_TWO = 2

Tracks: TypeAlias = dict[int, tuple[int, int | None]]
"""Track → (time it was last seen, its partner then or None)."""


@dataclass(frozen=True, slots=True)
class DivisionScore:
    """How many divisions were found.

    Attributes
    ----------
    n_truth
        Mothers of which two daughters were seen, or one besides the mother herself.
    n_truth_found
        How many of them the run found.
    n_found
        Divisions that the run reports.
    n_right
        How many of those join a mother to her daughter.
    """

    n_truth: int
    n_truth_found: int
    n_found: int
    n_right: int


@dataclass(slots=True)
class _Place:
    """One position and plane, as far as it has been compared."""

    true: Tracks = field(default_factory=dict)
    found: Tracks = field(default_factory=dict)
    partners: dict[int, set[int]] = field(default_factory=dict)
    daughters: dict[int, set[int]] = field(default_factory=dict)
    found_mothers: set[int] = field(default_factory=set)
    last_t: int | None = None


class Lineage:
    """Scores tracks by pairs of objects; give it the sets of a place in order of time.

    A set that comes after a later one of its place is passed over: its links were counted across.

    A true link joins two consecutive appearances of one track among the sets compared, and is found
    if one found track joins the objects paired with its ends. A found link is right if its ends are
    paired with objects of one track, or with a mother and her daughter. This is `score_links`, but
    for the pairing, which is one to one here, and without keeping label images.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], _Place] = {}
        self._true_links = self._true_found = 0
        self._links = self._right = 0
        self._divisions = self._right_divisions = 0
        self._mothers = self._caught = 0

    def add(self, one: Comparison, found_parents: Mapping[int, int] | None = None) -> None:
        """Take in a set.

        Parameters
        ----------
        one
            The set.
        found_parents
            Found track → the track it divided from, where the run says so.
        """
        key = one.true.place
        place = self._places.setdefault((key.position, key.z), _Place())
        if place.last_t is not None and key.t <= place.last_t:
            return
        place.last_t = key.t
        true_tracks = one.true.track_ids.tolist()
        found_tracks = [track if track > 0 else None for track in one.found.track_ids.tolist()]
        partner_of_true: dict[int, int | None] = dict.fromkeys(true_tracks)
        partner_of_found: dict[int, int | None] = {t: None for t in found_tracks if t is not None}
        for i, j in one.pairs.tolist():
            found = found_tracks[j]
            if found is not None:
                partner_of_true[true_tracks[i]] = found
                partner_of_found[found] = true_tracks[i]
        parents = dict(zip(true_tracks, one.true.parent_ids.tolist(), strict=True))
        self._divide(place, partner_of_found, parents, found_parents or {})
        self._link(place, partner_of_true, partner_of_found, parents)
        for track, partner in partner_of_true.items():
            place.true[track] = key.t, partner
        for track, partner in partner_of_found.items():
            place.found[track] = key.t, partner
            if partner is not None:
                place.partners.setdefault(track, set()).add(partner)

    def links(self) -> LinkScore:
        """Return the score of the links so far."""
        return LinkScore(self._true_links, self._true_found, self._links, self._right)

    def divisions(self) -> DivisionScore:
        """Return the score of the divisions so far."""
        return DivisionScore(self._mothers, self._caught, self._divisions, self._right_divisions)

    def _link(
        self,
        place: _Place,
        partner_of_true: Mapping[int, int | None],
        partner_of_found: Mapping[int, int | None],
        parents: Mapping[int, int],
    ) -> None:
        for track, partner in partner_of_true.items():
            if track not in place.true:
                continue
            t, before = place.true[track]
            self._true_links += 1
            joined = partner is not None and partner == before and place.found[partner][0] == t
            self._true_found += joined
        for track, partner in partner_of_found.items():
            if track not in place.found:
                continue
            before = place.found[track][1]
            self._links += 1
            if partner is not None and before is not None:
                self._right += partner == before or parents[partner] == before

    def _divide(
        self,
        place: _Place,
        partner_of_found: Mapping[int, int | None],
        parents: Mapping[int, int],
        found_parents: Mapping[int, int],
    ) -> None:
        for track, parent in parents.items():
            if parent in place.true and track not in place.true:
                family = place.daughters.setdefault(parent, set())
                alone = len(family) < _TWO
                # A mother who keeps her number is one of the two that are there now.
                family |= {track, parent} if parent in parents else {track}
                if alone and len(family) >= _TWO:
                    self._mothers += 1
                    self._caught += parent in place.found_mothers
        reported: dict[int, bool] = {}  # a division may come with one new track or with two
        for track, partner in partner_of_found.items():
            mother = found_parents.get(track, 0)
            if track in place.found or not mother:
                continue
            true_mother = 0 if partner is None else parents[partner]
            right = bool(true_mother) and true_mother in place.partners.get(mother, ())
            reported[mother] = reported.get(mother, False) or right
            if right and true_mother not in place.found_mothers:
                place.found_mothers.add(true_mother)
                self._caught += len(place.daughters.get(true_mother, ())) >= _TWO
        self._divisions += len(reported)
        self._right_divisions += sum(reported.values())
