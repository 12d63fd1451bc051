"""What keeps a network from learning a batch by heart: RandAugment, mixup and CutMix.

As EfficientNetV2's code does it (``efficientnetv2/datasets.py`` of google/automl): the partner of
an image is the one at its place in the reversed batch; where both mixup and CutMix are asked for,
the first half of the batch gets one and the second half the other. Clips are taken as images are,
all frames of one alike. ``training.box_augmentation`` is for images with boxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from training.stages import Regularization

if TYPE_CHECKING:
    from training.task import Preprocessing


def augmented(
    images: Tensor,
    targets: Tensor,
    *,
    strength: Regularization,
    classes: int,
    preprocessing: Preprocessing | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """A batch after RandAugment, mixup and CutMix, as strong as a stage asks for.

    Args:
        images: `[N, C, H, W]` float32, or clips `[N, C, T, H, W]`, as ``Examples.batch`` gives
            them; left as they are.
        targets: `[N]` int64; of several labels each `[N, classes]` float32.
        strength: How strong each is; 0 for none.
        classes: That targets count.
        preprocessing: What became of the pixels; None if they are in `[0, 1]`.
        generator: Draws everything, so that equal generators give equal batches on the CPU.

    Returns:
        Images of the same shape, and the targets as they came, or, where images were mixed,
        `[N, classes]` float32: the share of each class in each image.
    """
    if strength.randaugment > 0:
        from training.randaugment import randaugmented, randaugmented_clips

        change = randaugmented_clips if images.ndim == 5 else randaugmented
        pixels = in_pixels(images, preprocessing)
        images = normalised(change(pixels, strength.randaugment, generator), preprocessing)
    if strength.mixup == 0 and strength.cutmix == 0:
        return images, targets
    is_counted = targets.ndim == 1
    shares = functional.one_hot(targets, classes) if is_counted else targets
    shares = shares.to(images.dtype)
    if strength.mixup > 0 and strength.cutmix > 0:
        half = len(images) // 2
        first = _mixed_up(images[:half], shares[:half], strength.mixup, generator)
        second = _cut_and_mixed(images[half:], shares[half:], strength.cutmix, generator)
        return torch.cat((first[0], second[0])), torch.cat((first[1], second[1]))
    if strength.mixup > 0:
        return _mixed_up(images, shares, strength.mixup, generator)
    return _cut_and_mixed(images, shares, strength.cutmix, generator)


def in_pixels(images: Tensor, preprocessing: Preprocessing | None) -> Tensor:
    """In `[0, 1]`."""
    if preprocessing is None:
        return images
    mean, std = _channels(images, preprocessing)
    return images.mul(std).add_(mean).clamp_(0, 1)


def normalised(pixels: Tensor, preprocessing: Preprocessing | None) -> Tensor:
    """What ``in_pixels`` was given."""
    if preprocessing is None:
        return pixels
    mean, std = _channels(pixels, preprocessing)
    return pixels.sub(mean).div_(std)


def _channels(images: Tensor, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, `[C, 1, 1]`, of clips `[C, 1, 1, 1]`."""
    mean, std = (
        images.new_tensor(values).reshape(-1, *[1] * (images.ndim - 2))
        for values in (preprocessing.mean, preprocessing.std)
    )
    return mean, std


def _mixed_up(
    images: Tensor, shares: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image over its partner, itself the stronger (Zhang et al. 2018, section 2)."""
    weights = own_shares(len(images), alpha, generator).to(images)
    mixed = shares.flip(0).lerp(shares, weights[:, None])
    return blended(images, weights), mixed


def own_shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """`[count]` float64: what each image has of itself once it is mixed, at least a half."""
    weights = _beta(count, alpha, generator)
    return torch.maximum(weights, 1 - weights)


def blended(images: Tensor, weights: Tensor) -> Tensor:
    """Each of `[N, …]` over its partner, as strong as `[N]` weights say."""
    return images.flip(0).lerp(images, weights.reshape(-1, *[1] * (images.ndim - 1)))


def _cut_and_mixed(
    images: Tensor, shares: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image with a rectangle of its partner (Yun et al. 2019, section 3.2).

    The rectangle covers one minus a weight of the image, less where it reaches over the edge; the
    targets go by what it covers in the end.
    """
    count, (height, width) = len(images), images.shape[-2:]
    cut = (1 - _beta(count, alpha, generator)).sqrt()
    inside = torch.ones(count, height, width, dtype=torch.bool)
    for axis, length in ((1, height), (2, width)):
        centre = torch.randint(length, (count,), generator=generator)
        half = (cut * length).long() // 2
        places = torch.arange(length)
        along = (places >= (centre - half)[:, None]) & (places < (centre + half)[:, None])
        inside &= along.unsqueeze(3 - axis)
    inside = inside.to(images.device)
    covered = inside.flatten(1).to(shares.dtype).mean(1, keepdim=True)
    everywhere = inside.reshape(count, *[1] * (images.ndim - 3), height, width)
    pasted = torch.where(everywhere, images.flip(0), images)
    return pasted, shares.lerp(shares.flip(0), covered)


def _beta(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """`[count]` draws of Beta(alpha, alpha); torch's own take the global generator alone."""
    import numpy as np

    seed = int(torch.randint(2**62, (), generator=generator))
    drawn = np.random.Generator(np.random.PCG64(seed)).beta(alpha, alpha, count)
    return torch.from_numpy(drawn)
