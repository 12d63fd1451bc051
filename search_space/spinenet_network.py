"""Scale-permuted networks as torch modules: the backbone and its two heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from search_space.blocks import activation_module, draw_weights
from search_space.permuted_blocks import STEM, Block, BlockKind
from search_space.retinanet import RetinaNetHead
from search_space.spinenet import OUTPUT_LEVELS, feature_name
from search_space.spinenet_layers import (
    Enlarge,
    Resampling,
    SameMaxPool2d,
    activated,
    group,
    norm_as_published,
)

if TYPE_CHECKING:
    from search_space.architecture import Classifier, Detector
    from search_space.spinenet import ScalePermutedArchitecture


class PermutedStem(nn.Module):
    """What makes features 0 and 1 of an image."""

    def __init__(self, network: ScalePermutedArchitecture) -> None:
        super().__init__()
        stem, activation = network.stem, network.activation
        first_level, second_level = network.stem_levels
        mobile = network.mobile is not None
        stride = stem.reduction // 2 if mobile else 2
        parts = activated(network.channels, stem.filters, stem.kernel, activation, stride)
        if not mobile and stem.reduction == 4:
            parts.append(SameMaxPool2d(3, 2))
        self.image = nn.Sequential(*parts)
        kind = BlockKind.MBCONV if mobile else BlockKind.BOTTLENECK
        self.first = group(network, kind, first_level, stem.filters)
        channels = network.channels_of(first_level, kind)
        self.second = group(network, kind, second_level, channels, stride=2 if mobile else 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`[N, C, H, W]` to two features."""
        first: Tensor = self.first(self.image(image))
        second: Tensor = self.second(first)
        return first, second


class PermutedBlock(nn.Module):
    """One block with the resamplings of its parents.

    Args:
        network: What it is in.
        number: Of its feature.
        block: Where in it.
        sources: Level and kind of its parents.
        drop_rate: Of stochastic depth.
    """

    theta: nn.Parameter | None
    """`[2]` float32: what the gates of its parents are sigmoids of; None without gates."""

    def __init__(
        self,
        network: ScalePermutedArchitecture,
        number: int,
        block: Block,
        sources: list[tuple[int, BlockKind]],
        drop_rate: float,
    ) -> None:
        super().__init__()
        self.block = block
        self.name = feature_name(number)
        self.stride = network.stride_at(block.level)
        target = (block.level, block.kind)
        self.resamplings = nn.ModuleList(Resampling(network, source, target) for source in sources)
        self.activation = activation_module(network.activation)
        channels = network.channels_of(*target)
        self.body = group(network, block.kind, block.level, channels, drop_rate)
        gates = nn.Parameter(torch.zeros(len(sources))) if network.gated else None
        self.register_parameter("theta", gates)

    def gates(self) -> Mapping[str, tuple[float, ...]]:
        """What its parents are multiplied by, in (0, 1), by its name; nothing without gates."""
        if self.theta is None:
            return {}
        return {self.name: tuple(map(float, torch.sigmoid(self.theta.detach())))}

    def forward(self, features: list[Tensor], height: int, width: int) -> Tensor:
        """Its feature, from those before and the size of the image."""
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        parents = zip(self.resamplings, self.block.parents, strict=True)
        first, second = (resample(features[parent], rows, columns) for resample, parent in parents)
        if self.theta is not None:
            gates = torch.sigmoid(self.theta)
            first, second = first * gates[0], second * gates[1]
        merged: Tensor = first + second
        for each in self.block.adds:
            merged = merged + features[each]
        made: Tensor = self.body(self.activation(merged))
        return made


class PermutedBackbone(nn.Module):
    """Stem, blocks and endpoints: an image to P3, …, P7; blocks that nobody needs are left out."""

    def __init__(self, network: ScalePermutedArchitecture) -> None:
        super().__init__()
        blocks, levels = network.live_blocks, network.stem_levels
        kind = BlockKind.BOTTLENECK if network.mobile is None else BlockKind.MBCONV
        known = [(level, kind) for level in levels] + [(b.level, b.kind) for b in blocks]
        self.stem = PermutedStem(network)
        self.blocks = nn.ModuleList(
            PermutedBlock(
                network, number, block, [known[parent] for parent in block.parents], rate
            )
            for number, (block, rate) in enumerate(
                zip(blocks, network.drop_rates, strict=True), start=STEM
            )
        )
        places = {b.level: i for i, b in enumerate(blocks, start=STEM) if b.is_output}
        self.outputs = [places[level] for level in OUTPUT_LEVELS]
        self.endpoints = nn.ModuleList(
            nn.Sequential(
                *activated(
                    network.channels_of(*known[place]),
                    network.endpoint_filters,
                    1,
                    network.activation,
                )
            )
            for place in self.outputs
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """`[N, C, H, W]` to five features `[N, endpoint filters, H / 2^l, W / 2^l]`."""
        height, width = image.shape[2], image.shape[3]
        features = list(self.stem(image))
        for block in self.blocks:
            features.append(block(features, height, width))
        ends = zip(self.endpoints, self.outputs, strict=True)
        return tuple(endpoint(features[place]) for endpoint, place in ends)


class PermutedClassifier(nn.Module):
    """A backbone, the mean of its levels at the size of P3, and a dense layer."""

    def __init__(self, network: ScalePermutedArchitecture, head: Classifier) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch draws first, to no effect
            self.backbone = PermutedBackbone(network)
            deeper = range(1, len(OUTPUT_LEVELS))
            self.enlargements = nn.ModuleList(Enlarge(levels) for levels in deeper)
            self.classifier = nn.Linear(network.endpoint_filters, head.classes)
        norm_as_published(self)
        draw_weights(self, network.weights_key)

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, classes]`."""
        whole, *deeper = self.backbone(image)
        rows, columns = whole.shape[2], whole.shape[3]
        for enlarge, feature in zip(self.enlargements, deeper, strict=True):
            whole = whole + enlarge(feature, rows, columns)
        mean = (whole / len(OUTPUT_LEVELS)).mean((2, 3))
        scores: Tensor = self.classifier(mean)
        return scores


class PermutedDetector(nn.Module):
    """A backbone and RetinaNet's heads.

    Attributes:
        output_names: What exported files call the ten outputs.
    """

    output_names: ClassVar[tuple[str, ...]] = tuple(
        f"{what}_p{level}" for what in ("class_logits", "box_codes") for level in OUTPUT_LEVELS
    )

    def __init__(self, network: ScalePermutedArchitecture, head: Detector) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch draws first, to no effect
            self.backbone = PermutedBackbone(network)
            self.head = RetinaNetHead(
                channels=network.endpoint_filters,
                classes=head.classes,
                levels=len(OUTPUT_LEVELS),
                convs=network.head_convs,
                filters=network.head_filters,
                activation=network.activation,
                separable=network.mobile is not None and network.mobile.separable_heads,
            )
        norm_as_published(self)
        draw_weights(self, network.weights_key)
        self.head.start()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """`[N, C, H, W]` to class logits of each level, then boxes of each level."""
        outputs: tuple[Tensor, ...] = self.head(self.backbone(image))
        return outputs
