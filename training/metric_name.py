"""What the one figure of a task is called: accuracy, or AP where networks find boxes.

Everywhere in the code and in JSON it is ``accuracy``; these names are for people.
"""

from __future__ import annotations

from enum import StrEnum

from search_space.architecture import Detector
from training.task import COCO, TaskName, create
from workspace import plugin
from workspace.errors import InputError, OperationError


class MetricName(StrEnum):
    """Figures of tasks, as people call them."""

    ACCURACY = "accuracy"
    """Top-1, of classifiers."""
    AP = "AP"
    """Average precision over IoU .50 to .95 and classes, of detectors (``average_precision``)."""

    @property
    def mark(self) -> str:
        """Before a figure of a sentence: what is no accuracy says so.

        >>> f"validation {MetricName.AP.mark}31.2%", f"validation {MetricName.ACCURACY.mark}91.2%"
        ('validation AP 31.2%', 'validation 91.2%')
        """
        return "" if self is MetricName.ACCURACY else f"{self} "

    @property
    def heading(self) -> str:
        """At the beginning of a heading."""
        return self[0].upper() + self[1:]


def metric_of(dataset: str) -> MetricName:
    """Of a data set by its name; it is not opened, and need not be there.

    Of a task of the user's own what its head says; accuracy where that cannot be loaded.

    >>> metric_of("digits"), metric_of("coco:/anywhere")
    (<MetricName.ACCURACY: 'accuracy'>, <MetricName.AP: 'AP'>)
    """
    if dataset.startswith(COCO) or dataset == TaskName.FASHION_SCENES:
        return MetricName.AP
    if plugin.is_reference(dataset):
        try:
            head = create(dataset).head
        except (InputError, OperationError):
            return MetricName.ACCURACY
        return MetricName.AP if isinstance(head, Detector) else MetricName.ACCURACY
    return MetricName.ACCURACY
