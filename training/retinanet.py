"""What a detector's outputs cost, and the boxes that they mean: RetinaNet, as SpineNet trains it.

Lin et al. 2017, "Focal loss for dense object detection" (arXiv 1708.02002); gamma, the Huber loss
and its weight from SpineNet's code (Du et al. 2020, arXiv 1912.05027; tensorflow/tpu,
``configs/retinanet_config.py`` and ``modeling/losses.py``).

Outputs are a tuple: class scores of each level, `[N, 9 * classes, H, W]`, then boxes of each,
`[N, 9 * 4, H, W]`, the nine anchors of a place one after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.anchors import LEVELS, PER_PLACE, anchors_of
from training.box_coding import decoded, encoded
from training.distributed import of_whole_batch
from training.matching import BACKGROUND, IGNORED, matched
from workspace.errors import InputError

ALPHA, GAMMA = 0.25, 1.5
DELTA, BOX_WEIGHT = 0.1, 50.0

CANDIDATES = 1000
"""Boxes of a level and an image at most that are looked at (torchvision's ``RetinaNet``)."""

LEAST_SCORE = 0.05
"""Of a box that is told (ibid.)."""

SAME = 0.5
"""Overlap beyond which two boxes of a class are of the same thing (ibid.)."""


def require_outputs(outputs: object, classes: int) -> None:
    """Do nothing if they are of a detector of so many classes.

    Raises:
        InputError: If not.
    """
    width = {0: PER_PLACE * classes, 1: PER_PLACE * 4}
    is_right = (
        isinstance(outputs, tuple | list)
        and len(outputs) == 2 * len(LEVELS)
        and all(
            part.ndim == 4 and part.shape[1] == width[place // len(LEVELS)]
            for place, part in enumerate(outputs)
        )
    )
    if not is_right:
        shapes = [tuple(part.shape) for part in outputs] if isinstance(outputs, tuple) else "one"
        msg = (
            f"a detector of {classes} classes gives {len(LEVELS)} levels of {width[0]} scores, "
            f"then as many of {width[1]} box channels, got {shapes}"
        )
        raise InputError(msg)


def require_levels(outputs: tuple[Tensor, ...], *, classes: int, size: int) -> None:
    """Do nothing if they are of a detector's five levels for images of ``size`` pixels a side.

    Raises:
        InputError: If not.
    """
    require_outputs(outputs, classes)
    expected = [(-(-size // 2**level),) * 2 for level in LEVELS]
    found = [(part.shape[2], part.shape[3]) for part in outputs]
    if found != expected * 2:
        msg = (
            f"a detector's levels for {size} pixels have {expected} places, got "
            f"{found[: len(LEVELS)]}"
        )
        raise InputError(msg)


def detection_loss(
    outputs: tuple[Tensor, ...], targets: Tensor, *, classes: int, base: float
) -> Tensor:
    """Focal loss plus fifty times the Huber loss of boxes, each by the anchors with a thing.

    One is added to their number, as in the code, so that there is always something to divide by.
    Where processes share a batch, their number is the whole batch's, as is the loss on average.
    A thing that counts less than 1 does so in its anchors' share of both, and in their number.

    Args:
        outputs: Of the network.
        targets: `[N, M, 5]`, see ``training.detection``; or `[N, M, 6]`, the last number how much
            a thing counts, of images that were mixed.
        classes: Of things.
        base: Of the anchors.
    """
    require_outputs(outputs, classes)
    scores, codes = _rows(outputs[: len(LEVELS)], classes), _rows(outputs[len(LEVELS) :], 4)
    anchors = torch.cat(_anchors(outputs, base))
    found = [matched(anchors, of_image) for of_image in targets]
    labels = torch.stack([label for label, _ in found])
    rows = torch.stack([row for _, row in found])
    boxes, is_thing = rows[..., :4], labels > BACKGROUND
    weights = rows[..., 4] if rows.shape[-1] > 4 else torch.ones_like(rows[..., 0])
    counted = is_thing * weights
    images = counted.new_full((), len(targets))
    of_all = of_whole_batch(torch.stack((counted.sum(), images)))
    count = (of_all[0] + 1.0) * (images / of_all[1])
    wanted = (labels[..., None] == torch.arange(classes, device=labels.device)).to(scores.dtype)
    shares = torch.where(is_thing, weights, (labels != IGNORED).to(weights))
    costs = focal_loss(scores, wanted) * shares[..., None]
    # Anchors without a thing have no box to be encoded: one of their own keeps the numbers finite.
    codes_wanted = encoded(torch.where(is_thing[..., None], boxes, anchors), anchors)
    far = functional.huber_loss(codes, codes_wanted, reduction="none", delta=DELTA)
    return costs.sum() / count + BOX_WEIGHT * (far * counted[..., None]).sum() / (4 * count)


def focal_loss(scores: Tensor, wanted: Tensor) -> Tensor:
    """Of each score, before the sigmoid, that is to be 0 or 1 (arXiv 1708.02002, equation 5)."""
    cost = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    missing = (scores.sigmoid() - wanted).abs()
    return (wanted * ALPHA + (1 - wanted) * (1 - ALPHA)) * missing**GAMMA * cost


@torch.no_grad()
def detections(
    outputs: tuple[Tensor, ...], *, classes: int, base: float, size: int, count: int
) -> Tensor:
    """The best boxes of each image, `[N, count, 6]`: left, top, right, bottom, score, class.

    Best first; where there are fewer, the class of what pads is -1 and its score 0.

    Args:
        outputs: Of the network.
        classes: Of things.
        base: Of the anchors.
        size: Pixels a side of the image, to which boxes are cut.
        count: Boxes of an image.
    """
    require_levels(outputs, classes=classes, size=size)
    levels = zip(
        outputs[: len(LEVELS)], outputs[len(LEVELS) :], _anchors(outputs, base), strict=True
    )
    parts = [_candidates(*level, classes) for level in levels]
    candidates = torch.cat(parts, dim=1)
    candidates[..., :4].clamp_(0, size)
    return torch.stack([_best(of_image, count) for of_image in candidates])


def _candidates(scores: Tensor, codes: Tensor, anchors: Tensor, classes: int) -> Tensor:
    """The best of a level, `[N, at most CANDIDATES, 6]`."""
    flat = _rows((scores,), classes).sigmoid().flatten(1)
    best, place = flat.topk(min(CANDIDATES, flat.shape[1]), dim=1)
    row = place // classes
    own = _rows((codes,), 4).gather(1, row[..., None].expand(-1, -1, 4))
    boxes = decoded(own, anchors[row])
    return torch.cat((boxes, best[..., None], (place % classes)[..., None].to(boxes)), dim=-1)


def _best(candidates: Tensor, count: int) -> Tensor:
    """`[count, 6]` of `[C, 6]`: no two of a class that lie on the same thing."""
    from torchvision.ops import batched_nms

    seen = candidates[candidates[:, 4] > LEAST_SCORE]
    kept = seen[batched_nms(seen[:, :4], seen[:, 4], seen[:, 5], SAME)[:count]]
    padding = kept.new_zeros((count - len(kept), 6))
    padding[:, 5] = -1
    return torch.cat((kept, padding))


def _anchors(outputs: tuple[Tensor, ...], base: float) -> tuple[Tensor, ...]:
    first = outputs[: len(LEVELS)]
    shapes = tuple((part.shape[2], part.shape[3]) for part in first)
    return anchors_of(shapes, base, first[0].device)


def _rows(levels: tuple[Tensor, ...], width: int) -> Tensor:
    """`[N, anchors, width]` float32 of levels `[N, 9 * width, H, W]`."""
    return torch.cat(
        [
            level.float().unflatten(1, (-1, width)).permute(0, 3, 4, 1, 2).flatten(1, 3)
            for level in levels
        ],
        dim=1,
    )
