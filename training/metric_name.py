"""What the one figure of a data set is called, for people: accuracy, AP, mAP.

In the code and in JSON it is ``accuracy`` everywhere. A task says its name itself
(``task.metric_name``); here it is found by the name of a data set, which need not be there.
"""

from __future__ import annotations

from training.clip_settings import ClipSettings
from training.task import (
    ACCURACY,
    AP,
    COCO,
    FOLDER,
    MAP,
    VIDEO_LIST,
    VIDEOS,
    TaskName,
    create,
    metric_name,
)
from training.video_list import has_several_labels
from workspace.errors import InputError, OperationError


def metric_of(dataset: str) -> str:
    """Of a data set by its name.

    A list of videos is asked by its first line, a task of the user's own itself; what cannot be
    opened, or is no data set at all, has an accuracy.

    >>> metric_of("digits"), metric_of("coco:/anywhere")
    ('accuracy', 'AP')
    """
    if dataset.startswith(COCO) or dataset == TaskName.FASHION_SCENES:
        return AP
    if dataset.startswith((FOLDER, VIDEOS)) or dataset in set(TaskName):
        return ACCURACY
    try:
        if dataset.startswith(VIDEO_LIST):
            path, _ = ClipSettings.parse(dataset.removeprefix(VIDEO_LIST))
            return MAP if has_several_labels(path) else ACCURACY
        return metric_name(create(dataset))
    except (InputError, OperationError):
        return ACCURACY


def marked(metric: str, value: float) -> str:
    """A figure in a sentence; what is no accuracy says what it is.

    >>> marked(AP, 0.312), marked(ACCURACY, 0.912)
    ('AP 31.20%', '91.20%')
    """
    return f"{value:.2%}" if metric == ACCURACY else f"{metric} {value:.2%}"


def heading(metric: str) -> str:
    """At the beginning of a heading.

    >>> heading(ACCURACY), heading("mAP")
    ('Accuracy', 'mAP')
    """
    return "Accuracy" if metric == ACCURACY else metric
