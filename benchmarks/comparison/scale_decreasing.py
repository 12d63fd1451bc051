"""What scale-permuted networks are compared with: the same blocks by falling scale, and an FPN."""

from __future__ import annotations

from dataclasses import replace

from search_space.permuted_blocks import STEM, Block, BlockKind, connected
from search_space.spinenet import OUTPUT_LEVELS, ScalePermutedArchitecture
from search_space.spinenet_space import SpineNetSpace


def scale_decreasing(space: SpineNetSpace) -> ScalePermutedArchitecture:
    """The blocks of a space without adjustments, in order of their levels, then a pyramid.

    Each intermediate block reads the two features before it, so that the chain has nothing but
    short connections (arXiv 1912.05027, section 3: a backbone of falling scale, as ResNet's). The
    outputs are a feature pyramid (Lin et al., CVPR 2017): P5 of the two last features, P4 and P3
    each of the last feature of its level and the output above; P6 and P7 of the two features that
    are next below in resolution, P6 of P5 and the chain's end, P7 of P6 and P5, as RetinaNet has
    them. So blocks, their number at each level, their layers and resamplings are those of the
    space; order and connections are not searched.

    Args:
        space: Of bottlenecks or others; the first kind is taken.
    """
    kind = space.kinds[0]
    blocks: list[Block] = []
    last: dict[int, int] = {}
    for place, level in enumerate(sorted(space.bases)):
        feature = place + STEM
        blocks.append(_block(level, kind, (feature - 2, feature - 1)))
        last[level] = feature
    end = len(blocks) + STEM - 1
    outputs: dict[int, int] = {}

    def output(level: int, first: int, second: int) -> None:
        blocks.append(_block(level, kind, (first, second), is_output=True))
        outputs[level] = len(blocks) + STEM - 1

    deepest = 5
    output(deepest, end - 1, end)
    for level in range(deepest - 1, OUTPUT_LEVELS[0] - 1, -1):
        output(level, last[level], outputs[level + 1])
    output(6, end, outputs[5])
    output(7, outputs[5], outputs[6])
    return replace(space.frame, blocks=connected(blocks))


def _block(
    level: int, kind: BlockKind, parents: tuple[int, int], *, is_output: bool = False
) -> Block:
    return Block(level=level, kind=kind, parents=parents, is_output=is_output)
