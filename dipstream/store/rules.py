"""What must never be found in a run's table: one query a rule, and what its answer means."""

from collections.abc import Iterator
from dataclasses import dataclass

from dipstream.store.connection import quoted
from dipstream.store.schema import objects_table

__all__ = ["Rule", "fixed_rules", "object_rules"]

REPORT = (
    "another program has changed the table, or dipstream is at fault: keep the run's folder and "
    "report it"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A query that finds nothing in a sound table.

    Attributes
    ----------
    check
        Which part of the book it belongs to.
    sql
        The query; each row names one offender.
    problem
        The sentence for people; ``{n}`` is how many there are.
    advice
        What to do.
    settled
        Whether it only holds while nobody writes.
    """

    check: str
    sql: str
    problem: str
    advice: str = REPORT
    settled: bool = False


_STATES = "'pending', 'analysed', 'dropped', 'quarantined', 'late'"

_FRAMES = (
    Rule(
        "frames",
        f"SELECT 'frame ' || frame_id FROM frames WHERE state IS NULL OR state NOT IN ({_STATES})",
        "{n} frames are in no state of the book",
    ),
    Rule(
        "frames",
        "SELECT 'frames ' || (before + 1) || ' to ' || (frame_id - 1) FROM "
        "(SELECT frame_id, lag(frame_id, 1, -1) OVER (ORDER BY frame_id) AS before FROM frames) "
        "WHERE frame_id <> before + 1",
        "frames were received whose rows are missing, in {n} places",
    ),
    Rule(
        "frames",
        "SELECT 'frame ' || frame_id FROM frames "
        "WHERE state IN ('dropped', 'quarantined', 'late') AND coalesce(reason, '') = ''",
        "{n} frames were lost without a reason",
    ),
    Rule(
        "frames",
        "SELECT 'frame ' || frame_id FROM frames WHERE state = 'pending'",
        "{n} frames are still pending, and nobody writes the run: it ended before their analysis",
        "`dipstream resume RUN` analyses those that can be read again and says so of the others",
        settled=True,
    ),
    Rule(
        "keys",
        "SELECT 'segment ' || segment || ', number ' || seq FROM frames "
        "WHERE seq IS NOT NULL AND segment IS NOT NULL GROUP BY segment, seq HAVING count(*) > 1",
        "{n} numbers of the device's counter are there twice in their segment",
    ),
    Rule(
        "keys",
        "SELECT path || ', plane ' || coalesce(plane, 0) || ', version ' || version FROM frames "
        "WHERE path IS NOT NULL AND state = 'analysed' "
        "GROUP BY path, plane, channel, t, z, version HAVING count(*) > 1",
        "{n} planes of files were analysed twice",
    ),
    Rule(
        "keys",
        "SELECT 'position ' || position || ', t=' || t FROM image_sets "
        "GROUP BY segment, position, t, coalesce(z, -1) HAVING count(*) > 1",
        "{n} image sets are there twice",
    ),
)

_SETS = (
    Rule(
        "sets",
        "SELECT 'frame ' || f.frame_id FROM frames f LEFT JOIN image_sets s USING (set_id) "
        "WHERE f.set_id IS NOT NULL AND f.state <> 'pending' AND s.set_id IS NULL",
        "{n} frames name an image set that is not there",
    ),
    Rule(
        "sets",
        "SELECT 'frame ' || frame_id FROM frames WHERE state = 'analysed' AND set_id IS NULL",
        "{n} analysed frames are in no image set",
    ),
    Rule(
        "sets",
        # Frames and their set are written with one and the same time; frames of an earlier content
        # of the set have another one, and those that wait for another try are pending.
        "SELECT 'set ' || s.set_id || ' (' || count(f.frame_id) || ' of ' || s.n_frames || ')' "
        "FROM image_sets s LEFT JOIN frames f ON f.set_id = s.set_id "
        "AND f.committed_ns = s.committed_ns GROUP BY s.set_id "
        "HAVING count(f.frame_id) <> s.n_frames",
        "{n} image sets have another number of frames than they say",
    ),
    Rule(
        "sets",
        "SELECT 'frame ' || f.frame_id FROM frames f JOIN image_sets s ON s.set_id = f.set_id "
        "AND s.committed_ns = f.committed_ns WHERE f.state NOT IN (s.state, 'pending')",
        "{n} frames are in another state than their image set",
    ),
)

_COMMITS = (
    Rule(
        "commits",
        "SELECT 'after ' || before FROM (SELECT commit_number, lag(commit_number) OVER "
        "(ORDER BY commit_number) AS before FROM commits) WHERE commit_number <> before + 1",
        "the numbers of commits have {n} gaps",
    ),
    Rule(
        "commits",
        "SELECT 'commit ' || commit_number FROM (SELECT commit_number, epoch, max(epoch) OVER "
        "(ORDER BY commit_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest "
        "FROM commits) WHERE epoch < newest",
        "{n} commits come from a writer that had lost the run to another one",
    ),
    Rule(
        "commits",
        "SELECT 'commit ' || commit_number FROM commits "
        "WHERE epoch NOT IN (SELECT epoch FROM epochs)",
        "{n} commits come from no writer that is known",
    ),
    Rule(
        "commits",
        "SELECT 'set ' || s.set_id FROM image_sets s LEFT JOIN commits c ON c.set_id = s.set_id "
        "AND c.content_version = s.content_version AND c.content_hash IS s.content_hash "
        "WHERE c.commit_number IS NULL",
        "{n} image sets have no commit of their content",
    ),
    Rule(
        "commits",
        "SELECT 'commit ' || c.commit_number FROM commits c LEFT JOIN image_sets s USING (set_id) "
        "WHERE c.set_id IS NOT NULL "
        "AND (s.set_id IS NULL OR c.content_version > s.content_version)",
        "{n} commits speak of image sets that are not there",
    ),
    Rule(
        "commits",
        "SELECT 'set ' || set_id || ', version ' || content_version FROM commits "
        "WHERE set_id IS NOT NULL GROUP BY set_id, content_version HAVING count(*) > 1",
        "{n} image sets were committed twice with the same version",
    ),
    Rule(
        "commits",
        "SELECT 'frame ' || f.frame_id FROM frames f LEFT JOIN commits c USING (frame_id) "
        "WHERE f.set_id IS NULL AND f.state <> 'pending' AND c.commit_number IS NULL",
        "{n} frames that ended without an image set have no commit",
    ),
)

_TRACKS = (
    Rule(
        "tracks",
        "SELECT object_type || ' track ' || track_id FROM track_events "
        "GROUP BY object_type, track_id "
        "HAVING sum(kind IN ('start', 'division')) <> 1 "
        "OR min(event_id) <> min(CASE WHEN kind IN ('start', 'division') THEN event_id END)",
        "{n} tracks do not begin exactly once",
    ),
    Rule(
        "tracks",
        "SELECT object_type || ' track ' || track_id FROM track_events "
        "GROUP BY object_type, track_id HAVING sum(kind = 'end') > 1 "
        "OR max(CASE WHEN kind = 'end' THEN event_id END) < max(event_id)",
        "{n} tracks go on after their end",
    ),
    Rule(
        "tracks",
        "SELECT e.object_type || ' track ' || e.track_id FROM track_events e LEFT JOIN "
        "(SELECT DISTINCT object_type, track_id FROM track_events) p "
        "ON p.object_type = e.object_type AND p.track_id = e.parent_id "
        "WHERE e.parent_id IS NOT NULL AND p.track_id IS NULL",
        "{n} tracks come from a track that is not there",
    ),
    Rule(
        "tracks",
        "SELECT 'event ' || e.event_id FROM track_events e LEFT JOIN image_sets s USING (set_id) "
        "WHERE s.set_id IS NULL OR e.content_version > s.content_version",
        "{n} track events belong to no image set",
    ),
)


def fixed_rules() -> tuple[Rule, ...]:
    """Return the rules of the tables that every run has."""
    return (*_FRAMES, *_SETS, *_COMMITS, *_TRACKS)


def object_rules(kind: str) -> Iterator[Rule]:
    """Yield the rules of the objects of one type.

    That none is there twice is no rule: the table is stored by that key.
    """
    table, text = quoted(objects_table(kind)), kind.replace("'", "''")
    yield Rule(
        "objects",
        f"SELECT 'set ' || o.set_id FROM {table} o LEFT JOIN image_sets s USING (set_id) "
        "WHERE s.set_id IS NULL OR s.state <> 'analysed' GROUP BY o.set_id",
        f"there are {kind} without an analysed image set, of {{n}} sets",
    )
    valid = (
        f"FROM track_events e JOIN image_sets s USING (set_id) LEFT JOIN {table} o "
        f"ON o.set_id = e.set_id AND o.label = e.label WHERE e.object_type = '{text}' "
        "AND e.label IS NOT NULL AND e.content_version = s.content_version"
    )
    yield Rule(
        "tracks",
        f"SELECT 'event ' || e.event_id {valid} "
        "AND (o.label IS NULL OR o.track_id IS NOT e.track_id)",
        f"{{n}} track events speak of {kind} that are not there, or are in another track",
    )
    yield Rule(
        "tracks",
        f"SELECT tracked || ' in tracks, ' || told || ' told' FROM (SELECT "
        f"(SELECT count(*) FROM {table} WHERE track_id IS NOT NULL) AS tracked, "
        f"(SELECT count(*) {valid}) AS told) WHERE tracked <> told",
        f"there are not as many {kind} in tracks as track events that speak of them",
    )
