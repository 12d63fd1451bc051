"""Which heads tables and predictors have networks of, as their files name them."""

from __future__ import annotations

from collections.abc import Mapping

from search_space.architecture import Classifier, Detector, Head, VideoClassifier

CLASSIFIER, DETECTOR, VIDEO_CLASSIFIER = "classifier", "detector", "videoclassifier"
"""Kinds of heads."""

_HEADS: Mapping[str, type[Head]] = {
    CLASSIFIER: Classifier,
    DETECTOR: Detector,
    VIDEO_CLASSIFIER: VideoClassifier,
}


def kind_of(head: Head) -> str:
    """The kind of a head."""
    return next(name for name, kind in _HEADS.items() if isinstance(head, kind))


def of_kind(kind: str, classes: int) -> Head:
    """The head of a kind, of so many classes.

    Raises:
        ValueError: If there is no such kind.
    """
    require_kind(kind)
    return _HEADS[kind](classes=classes)


def require_kind(kind: str) -> None:
    """Do nothing if there is such a kind.

    Raises:
        ValueError: If there is none.
    """
    if kind not in _HEADS:
        msg = f"networks are of heads {', '.join(_HEADS)}, got {kind!r}"
        raise ValueError(msg)
