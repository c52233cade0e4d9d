"""A score in words, where there is one to tell and where there is not."""

from dipstream.truth import Score

__all__ = ["f1_words", "iou_words", "link_words"]


def f1_words(score: Score) -> str:
    """Return the F1 by centroid."""
    return "nothing there, nothing found" if score.f1 is None else f"F1 {score.f1:.3f}"


def iou_words(score: Score) -> str:
    """Return the F1 by overlap; nothing without label images, or without objects."""
    if score.f1_iou50 is None:
        return ""
    of = "" if score.iou_image_sets == score.image_sets else f" of {score.iou_image_sets} sets"
    return f"F1 at IoU 0.5 {score.f1_iou50:.3f}{of}"


def link_words(score: Score) -> str:
    """Return the share of true links that was found."""
    if not score.tracked:
        return "not tracked"
    if score.link_recall is None:
        return "no links to find"
    return f"links {100 * score.link_recall:.1f} %"
