"""Ground truth: written beside a run, read back, and held against what was found."""

from typing import TYPE_CHECKING

from dipstream.on_use import on_use
from dipstream.truth.book import TruthBook
from dipstream.truth.challenge import CtcTruth, read_ctc_truth
from dipstream.truth.compare import Comparison, FoundSet, compare
from dipstream.truth.folder import FramePlace, SetPlace, TruthFolder, TruthRecord
from dipstream.truth.links import LinkScore, score_links
from dipstream.truth.objects import (
    IOU_THRESHOLDS,
    ObjectMatch,
    average_precision,
    f1_score,
    match_objects,
)
from dipstream.truth.recorder import TruthRecorder, truth_record
from dipstream.truth.score import Score, ScoreTally
from dipstream.truth.true_set import TrueSet

if TYPE_CHECKING:
    from dipstream.truth.reader import TruthReader, find_truth

__all__ = [
    "IOU_THRESHOLDS",
    "Comparison",
    "CtcTruth",
    "FoundSet",
    "FramePlace",
    "LinkScore",
    "ObjectMatch",
    "Score",
    "ScoreTally",
    "SetPlace",
    "TrueSet",
    "TruthBook",
    "TruthFolder",
    "TruthReader",
    "TruthRecord",
    "TruthRecorder",
    "average_precision",
    "compare",
    "f1_score",
    "find_truth",
    "match_objects",
    "read_ctc_truth",
    "score_links",
    "truth_record",
]

# Reading it back takes pandas, which simulating does not.
__getattr__ = on_use(
    __name__,
    {"TruthReader": "dipstream.truth.reader", "find_truth": "dipstream.truth.reader"},
)
