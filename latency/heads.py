"""Which heads tables and predictors have networks of, as their files name them."""

from __future__ import annotations

from search_space.architecture import Classifier, Detector, Head
from workspace.errors import InputError

CLASSIFIER, DETECTOR = "classifier", "detector"
"""Kinds of heads."""


def kind_of(head: Head) -> str:
    """The kind of a head.

    Raises:
        InputError: If it is one whose networks have no parts that are told apart.
    """
    match head:
        case Classifier():
            return CLASSIFIER
        case Detector():
            return DETECTOR
    msg = f"tables and predictors are of classifiers or detectors, not of networks with {head!r}"
    raise InputError(msg)


def of_kind(kind: str, classes: int) -> Classifier | Detector:
    """The head of a kind, of so many classes.

    Raises:
        ValueError: If there is no such kind.
    """
    require_kind(kind)
    return Detector(classes=classes) if kind == DETECTOR else Classifier(classes=classes)


def require_kind(kind: str) -> None:
    """Do nothing if there is such a kind.

    Raises:
        ValueError: If there is none.
    """
    if kind not in (CLASSIFIER, DETECTOR):
        msg = f"networks are of heads {CLASSIFIER} or {DETECTOR}, got {kind!r}"
        raise ValueError(msg)
