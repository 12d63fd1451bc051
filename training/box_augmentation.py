"""RandAugment and mixup of images with boxes.

RandAugment is without the operations that move things or hide them, so that boxes stay true. Mixup
is that of Zhang et al. 2019, "Bag of freebies for training object detection neural networks"
(arXiv 1902.04103), section 3.1: two images blended, the things of both to be found, each counting
in the loss as much as its image is there. The partner of an image is, as in
``training.augmentation``, the one at its place in the reversed batch, and it is the weaker one.

There is no CutMix: a rectangle of another image cuts things at will, and what is left of a thing
has no box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.augmentation import blended, in_pixels, normalised, own_shares
from training.framing import PAD
from training.stages import Regularization

if TYPE_CHECKING:
    from training.task import Preprocessing


def augmented_boxes(
    images: Tensor,
    targets: Tensor,
    *,
    strength: Regularization,
    preprocessing: Preprocessing | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """A batch after RandAugment and mixup, as strong as a stage asks for.

    Args:
        images: `[N, C, H, W]` float32, as ``Examples.batch`` gives them; left as they are.
        targets: `[N, M, 5]` float32: class, left, top, right, bottom.
        strength: How strong each is; 0 for none.
        preprocessing: What became of the pixels; None if they are in `[0, 1]`.
        generator: Draws everything, so that equal generators give equal batches on the CPU.

    Returns:
        Images of the same shape, and the targets as they came, or, where images were mixed,
        `[N, 2 * M, 6]`: of both images, the last number how much a thing counts in the loss.
    """
    if strength.randaugment > 0:
        from training.randaugment import IN_PLACE, randaugmented

        pixels = in_pixels(images, preprocessing)
        changed = randaugmented(pixels, strength.randaugment, generator, IN_PLACE)
        images = normalised(changed, preprocessing)
    if strength.mixup == 0:
        return images, targets
    weights = own_shares(len(images), strength.mixup, generator).to(images)
    own, partners = _weighted(targets, weights), _weighted(targets.flip(0), 1 - weights)
    return blended(images, weights), torch.cat((own, partners), dim=1)


def _weighted(targets: Tensor, weights: Tensor) -> Tensor:
    """`[N, M, 6]`: what there is nothing of is padding."""
    counted = weights.to(targets)[:, None, None].expand(-1, targets.shape[1], 1)
    made = torch.cat((targets, counted), dim=2)
    made[..., 0] = torch.where(made[..., 5] > 0, made[..., 0], PAD)
    return made
