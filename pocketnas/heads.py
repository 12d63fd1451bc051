"""Whether networks can end in what a data set needs."""

from __future__ import annotations

from search_space.architecture import (
    Architecture,
    Classifier,
    Detector,
    Head,
    VideoClassifier,
)
from workspace.errors import InputError


def require_head(architecture: Architecture, head: Head, dataset: str) -> None:
    """Do nothing if a network can end in a data set's head; by its shapes alone, in no time.

    Args:
        architecture: Of the network.
        head: That the data set needs.
        dataset: Its name.

    Raises:
        InputError: If not.
    """
    if isinstance(head, Classifier):
        if any(len(spec.shape) != 3 for spec in architecture.inputs):
            msg = f"{dataset!r} has images, and the network takes clips: give it videos"
            raise InputError(msg)
        return
    import torch

    from training.retinanet import require_levels

    shapes = [spec.shape for spec in architecture.inputs]
    try:
        with torch.device("meta"), torch.no_grad():
            network = architecture.build(head).eval()
            outputs = network(*(torch.zeros(1, *shape) for shape in shapes))
            if isinstance(head, Detector):
                require_levels(outputs, classes=head.classes, size=shapes[0][-1])
            if isinstance(head, VideoClassifier) and outputs.shape != (1, head.classes):
                msg = f"a score for each of {head.classes} classes, got {list(outputs.shape)}"
                raise InputError(msg)
    except InputError as error:
        msg = f"{dataset!r} needs networks that end in {head}: {error}"
        raise InputError(msg) from error
