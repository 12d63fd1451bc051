"""RandAugment (Cubuk et al. 2020, arXiv 1909.13719) as EfficientNetV2's code has it.

Operations and what a magnitude means are those of ``efficientnetv2/autoaugment.py`` of
google/automl: two layers, each image gets one of 16 operations in each. There a larger magnitude
means more bits for posterize and a higher threshold for solarize, so that both fade out.

It departs in four things. Lengths are shares of the image's side, as large as the code's at 300
pixels: the code moves an image of 128 pixels as far as one of 384. Contrast blends with the mean
grey, as it does in PIL, where the code has the number of pixels in place of the mean. Posterize
keeps at least one bit. Grey images, which have no colour, do without that operation. Clips, which
the paper has none of, are changed in all frames alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as transforms

LAYERS = 2
"""Operations on each image."""

FILL = 128 / 255
"""What an image has where an operation leaves nothing."""

_SIDE = 300
"""Of the images, in pixels, at which lengths are those of the published code."""


class Operation(StrEnum):
    """What may be done to an image."""

    AUTOCONTRAST = "autocontrast"
    EQUALIZE = "equalize"
    INVERT = "invert"
    ROTATE = "rotate"
    POSTERIZE = "posterize"
    SOLARIZE = "solarize"
    COLOR = "color"
    CONTRAST = "contrast"
    BRIGHTNESS = "brightness"
    SHARPNESS = "sharpness"
    SHEAR_X = "shear-x"
    SHEAR_Y = "shear-y"
    TRANSLATE_X = "translate-x"
    TRANSLATE_Y = "translate-y"
    CUTOUT = "cutout"
    SOLARIZE_ADD = "solarize-add"


MOVING = frozenset(
    {
        Operation.ROTATE,
        Operation.SHEAR_X,
        Operation.SHEAR_Y,
        Operation.TRANSLATE_X,
        Operation.TRANSLATE_Y,
    }
)
"""Operations after which things are elsewhere."""

IN_PLACE = tuple(each for each in Operation if each not in {*MOVING, Operation.CUTOUT})
"""Operations that leave things where they are, and to be seen."""

EVERY = tuple(Operation)
"""Operations that images with labels take."""

Change = Callable[[Tensor, Operation, float, torch.Generator], Tensor]


def randaugmented(
    images: Tensor,
    magnitude: float,
    generator: torch.Generator,
    operations: Sequence[Operation] = EVERY,
) -> Tensor:
    """Images `[N, C, H, W]` of pixels in `[0, 1]`, each changed by operations of its own.

    Args:
        images: Left as they are.
        magnitude: Published are 5 to 25; it need not be whole.
        generator: Draws operations, directions and places.
        operations: Those that are drawn from.
    """
    return _each_changed(images, magnitude, generator, operations, changed)


def randaugmented_clips(clips: Tensor, magnitude: float, generator: torch.Generator) -> Tensor:
    """Clips `[N, C, T, H, W]`, likewise: all frames of one by the same operations, all alike."""
    return _each_changed(clips, magnitude, generator, EVERY, changed_clips)


def _each_changed(
    images: Tensor,
    magnitude: float,
    generator: torch.Generator,
    operations: Sequence[Operation],
    change: Change,
) -> Tensor:
    grey = images.shape[1] == 1
    choices = [each for each in operations if not (grey and each is Operation.COLOR)]
    images = images.clone()
    for _ in range(LAYERS):
        drawn = torch.randint(len(choices), (len(images),), generator=generator)
        for number, operation in enumerate(choices):
            chosen = (drawn == number).nonzero().flatten().to(images.device)
            if len(chosen):
                images[chosen] = change(images[chosen], operation, magnitude, generator)
    return images


def changed_clips(
    clips: Tensor, operation: Operation, magnitude: float, generator: torch.Generator
) -> Tensor:
    """All of `[N, C, T, H, W]` by one operation.

    Where pixels go, and the square that is lost, is the same in each frame: frames are channels.
    Sharpness is of each frame; all else is of the whole clip: frames lie one below the other.
    """
    if operation in MOVING or operation is Operation.CUTOUT:
        frames_as_channels = clips.flatten(1, 2)
        made = changed(frames_as_channels, operation, magnitude, generator)
        return made.reshape(clips.shape)
    if operation is Operation.SHARPNESS:
        frames = clips.transpose(1, 2)
        made = changed(frames.flatten(0, 1), operation, magnitude, generator)
        return made.reshape(frames.shape).transpose(1, 2)
    return changed(clips.flatten(2, 3), operation, magnitude, generator).reshape(clips.shape)


def changed(
    images: Tensor, operation: Operation, magnitude: float, generator: torch.Generator
) -> Tensor:
    """All of `[N, C, H, W]` by one operation; directions and places are drawn one by one."""
    level = magnitude / 10
    match operation:
        case Operation.AUTOCONTRAST:
            result = transforms.autocontrast(images)
        case Operation.EQUALIZE:
            result = transforms.equalize(images)
        case Operation.INVERT:
            result = 1 - images
        case Operation.POSTERIZE:
            result = transforms.posterize(images, bits=min(max(int(level * 4), 1), 8))
        case Operation.SOLARIZE:
            result = torch.where(images < int(level * 256) / 255, images, 1 - images)
        case Operation.SOLARIZE_ADD:
            brighter = (images + int(level * 110) / 255).clamp(max=1)
            result = torch.where(images < FILL, brighter, images)
        case Operation.COLOR:
            result = transforms.adjust_saturation(images, level * 1.8 + 0.1)
        case Operation.CONTRAST:
            result = transforms.adjust_contrast(images, level * 1.8 + 0.1)
        case Operation.BRIGHTNESS:
            result = transforms.adjust_brightness(images, level * 1.8 + 0.1)
        case Operation.SHARPNESS:
            result = transforms.adjust_sharpness(images, level * 1.8 + 0.1)
        case Operation.CUTOUT:
            result = _cut_out(images, level * 40 / _SIDE, generator)
        case (
            Operation.ROTATE
            | Operation.SHEAR_X
            | Operation.SHEAR_Y
            | Operation.TRANSLATE_X
            | Operation.TRANSLATE_Y
        ):
            result = _moved(images, operation, level, generator)
        case _:
            assert_never(operation)
    changed_images: Tensor = result
    return changed_images


def _cut_out(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A square around a place drawn anywhere is lost; half its side is a share of the image's."""
    count, _, height, width = images.shape
    lost = torch.ones(count, 1, height, width, dtype=torch.bool)
    for axis, length in ((2, height), (3, width)):
        half = round(share * length)
        centre = torch.randint(length, (count, 1), generator=generator)
        places = torch.arange(length)
        inside = (places >= centre - half) & (places < centre + half)
        lost &= inside.view(count, 1, *((length, 1) if axis == 2 else (1, length)))
    return images.masked_fill(lost.to(images.device), FILL)


def _moved(
    images: Tensor, operation: Operation, level: float, generator: torch.Generator
) -> Tensor:
    """Turned, sheared or shifted, one way or the other, taking the nearest pixel."""
    count, _, height, width = images.shape
    way = torch.randint(2, (count,), generator=generator) * 2.0 - 1
    # Of each place, in pixels from the centre, where its pixel comes from.
    matrix = torch.eye(2, 3).repeat(count, 1, 1)
    match operation:
        case Operation.ROTATE:
            angle = way * math.radians(level * 30)
            matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
            matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin(), angle.sin()
        case Operation.SHEAR_X:  # the first row stays
            matrix[:, 0, 1] = way * level * 0.3
            matrix[:, 0, 2] = way * level * 0.3 * (height - 1) / 2
        case Operation.SHEAR_Y:
            matrix[:, 1, 0] = way * level * 0.3
            matrix[:, 1, 2] = way * level * 0.3 * (width - 1) / 2
        case Operation.TRANSLATE_X:
            matrix[:, 0, 2] = way * level * 100 / _SIDE * width
        case _:
            matrix[:, 1, 2] = way * level * 100 / _SIDE * height
    return _sampled(images, matrix.to(images.device))


def _sampled(images: Tensor, matrix: Tensor) -> Tensor:
    """The pixels at the places `[N, 2, 3]` of a transform about the centre, in pixels."""
    count, _, height, width = images.shape
    half = images.new_tensor([width / 2, height / 2])
    to_grid = torch.cat([half, half.new_ones(1)]) / half[:, None]
    grid = functional.affine_grid(
        (matrix * to_grid).to(images.dtype), [count, 1, height, width], align_corners=False
    )
    moved = functional.grid_sample(
        images - FILL, grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return (moved + FILL).clamp_(0, 1)
