"""The networks of comparisons: ours, and timm's baselines for small images, built the same way.

One rule for all, so that what differs is the architecture: weights are drawn by ``drawn`` from the
network and the seed of the training; one grey channel; dropout 0.2 before the classifier;
convolutions with a stride pad as TensorFlow's 'SAME' does, so that no file needs a PAD.

Baselines halve the image where ``Strides.SMALL`` of our spaces does: of their five convolutions
of stride 2 the first two and the last keep it, the others get stride 1, so that 28 pixels become
14, 7 and 4. All else is timm's, each width rounded as timm does it. So MobileNetV2's last
convolution has 1,280 filters at every width up to 1, that of our spaces for small images 256.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol, cast

from search_space.architecture import Architecture, Classifier, Detector, Head

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from collections.abc import Callable

    from torch import nn

DROPOUT = 0.2
"""Of ``ChainArchitecture``, and so of ours."""


class Network(Protocol):
    """What is trained and timed; crosses from one process to another."""

    @property
    def name(self) -> str:
        """Among the others, for people."""
        ...

    @property
    def key(self) -> str:
        """What it computes, untrained: equal keys, equal networks."""
        ...

    def build(self, head: Head, seed: int) -> nn.Module:
        """Untrained, for grey images; equal seeds give equal weights."""
        ...


class Family(StrEnum):
    """timm's networks that ours are compared with."""

    MOBILENET_V2 = "mobilenetv2"
    MOBILENET_V3_SMALL = "mobilenetv3_small"
    MOBILENET_V4_CONV_SMALL = "mobilenetv4_conv_small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One of timm's networks at a width; a ``Network``.

    Attributes:
        family: Which.
        width: Multiplies its channels.
    """

    family: Family
    width: float

    @property
    def name(self) -> str:
        """Like ``mobilenetv2@0.35``."""
        return f"{self.family}@{self.width:g}"

    @property
    def key(self) -> str:
        """The name, and timm's version."""
        return f"timm-{version('timm')} {self.name} small strides"

    def build(self, head: Head, seed: int) -> nn.Module:
        """See ``Network``; output `[N, classes]`.

        Raises:
            ValueError: If ``head`` is no classifier.
        """
        if not isinstance(head, Classifier):
            msg = f"a baseline is a classifier, got {head!r}"
            raise ValueError(msg)
        module = _generator(self.family)(
            _VARIANTS[self.family],
            self.width,
            num_classes=head.classes,
            in_chans=1,
            drop_rate=DROPOUT,
            pad_type="same",
        )
        _halve_three_times(module)
        return drawn(module, f"{self.name}/{seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A network of a space; a ``Network``.

    Attributes:
        name: Among the others.
        architecture: What it is.
    """

    name: str
    architecture: Architecture

    @property
    def key(self) -> str:
        """The architecture's."""
        return self.architecture.key

    def build(self, head: Head, seed: int) -> nn.Module:
        """See ``Network``; output `[N, classes]`, or a detector's ten tensors."""
        module = self.architecture.build(head)
        if isinstance(head, Detector):
            return drawn_detector(module, f"{self.key}/{seed}")
        return drawn(module, f"{self.key}/{seed}")


def drawn(module: nn.Module, key: str) -> nn.Module:
    """A classifier with weights from a key, as ``search_space.blocks.draw_weights`` has them.

    Except for its last layer, which is uniform within 1 / sqrt(inputs), as torch has it. MnasNet's
    and timm's 1 / sqrt(classes) is for a thousand classes: with ten it made scores so large at
    first that baselines at width 0.35, whose last layers have 1,280 inputs, got to 79.3 % (V2) and
    78.5 % (V4-conv-small) of the validation split after 60,000 images instead of 81.6 and 83.3 %
    (one seed).
    """
    import torch
    from torch.nn import Linear

    from search_space.blocks import draw_weights

    draw_weights(module, key)
    *_, last = (part for part in module.modules() if isinstance(part, Linear))
    with torch.no_grad():
        last.weight.mul_((last.out_features / last.in_features) ** 0.5)
    return module


def drawn_detector(module: nn.Module, key: str) -> nn.Module:
    """A detector with weights from a key, its heads begun as RetinaNet's are."""
    from search_space.blocks import draw_weights
    from search_space.retinanet import RetinaNetHead

    draw_weights(module, key)
    for part in module.modules():
        if isinstance(part, RetinaNetHead):
            part.start()
    return module


_VARIANTS = {
    Family.MOBILENET_V2: "mobilenetv2_100",
    Family.MOBILENET_V3_SMALL: "mobilenetv3_small_100",
    Family.MOBILENET_V4_CONV_SMALL: "mobilenetv4_conv_small",
}
"""Names that timm has a configuration for; the width is another argument."""


def _generator(family: Family) -> Callable[..., nn.Module]:
    """The builder in timm at any width; its public names have a few fixed widths only."""
    from timm.models import efficientnet, mobilenetv3

    made = {
        Family.MOBILENET_V2: efficientnet._gen_mobilenet_v2,
        Family.MOBILENET_V3_SMALL: mobilenetv3._gen_mobilenet_v3,
        Family.MOBILENET_V4_CONV_SMALL: mobilenetv3._gen_mobilenet_v4,
    }
    return cast("Callable[..., nn.Module]", made[family])


def _halve_three_times(module: nn.Module) -> None:
    """Leave their stride to the first two convolutions that have one, and to the last."""
    from torch.nn import Conv2d

    halving = [
        part for part in module.modules() if isinstance(part, Conv2d) and part.stride == (2, 2)
    ]
    if len(halving) != 5:
        msg = f"expected five convolutions of stride 2, found {len(halving)}"
        raise ValueError(msg)
    for part in halving[2:-1]:
        part.stride = (1, 1)
