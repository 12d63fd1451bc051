"""Whether networks can end in what a data set needs."""

from __future__ import annotations

from search_space.architecture import Architecture, Classifier, Detector, Head
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
        return
    import torch

    from training.retinanet import require_levels

    shape = architecture.inputs[0].shape
    try:
        with torch.device("meta"), torch.no_grad():
            network = architecture.build(head).eval()
            if isinstance(head, Detector):
                outputs = network(torch.zeros(1, *shape))
                require_levels(outputs, classes=head.classes, size=shape[-1])
    except InputError as error:
        msg = f"{dataset!r} needs networks that end in {head}: {error}"
        raise InputError(msg) from error
