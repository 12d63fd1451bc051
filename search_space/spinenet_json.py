"""A scale-permuted network as a JSON document.

Version 2 has gates. A network without them is written as version 1, to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping

from search_space.architecture import Family, Json
from search_space.chain import Activation
from search_space.document import Fields
from search_space.permuted_blocks import Block, BlockKind
from search_space.spinenet import MobileBlocks, PermutedStem, ScalePermutedArchitecture
from workspace.errors import InputError

VERSION = 2
"""Raised when a document means something else than before; older ones stay readable."""


def to_document(network: ScalePermutedArchitecture) -> dict[str, Json]:
    """Every field, also those without effect: ``from_document`` gives an equal."""
    document: dict[str, Json] = {
        "family": str(network.family),
        "version": VERSION if network.gated else 1,
        "size": network.size,
        "channels": network.channels,
        "stem": {
            "filters": network.stem.filters,
            "kernel": network.stem.kernel,
            "reduction": network.stem.reduction,
        },
        "blocks": [_block_to_document(block) for block in network.blocks],
        "repeats": network.repeats,
        "filter_scale": network.filter_scale,
        "alpha": network.alpha,
        "endpoint_filters": network.endpoint_filters,
        "head_convs": network.head_convs,
        "head_filters": network.head_filters,
        "activation": str(network.activation),
        "stochastic_depth": network.stochastic_depth,
        "mobile": None if network.mobile is None else _mobile_to_document(network.mobile),
    }
    return {**document, "gated": True} if network.gated else document


def from_document(document: Mapping[str, Json]) -> ScalePermutedArchitecture:
    """The network that ``to_document`` wrote; blocks may be in any order after what they read.

    Raises:
        InputError: If a field is missing, unknown, or of a value that it cannot have.
    """
    fields = Fields(document, "a scale-permuted network")
    fields.expect("family", Family.SCALE_PERMUTED.value)
    version = fields.number_up_to("version", VERSION)
    network = ScalePermutedArchitecture(
        size=fields.integer("size"),
        channels=fields.integer("channels"),
        stem=_stem_from_document(fields.inner("stem")),
        blocks=tuple(_block_from_document(item) for item in fields.items("blocks")),
        repeats=fields.integer("repeats"),
        filter_scale=fields.number("filter_scale"),
        alpha=fields.number("alpha"),
        endpoint_filters=fields.integer("endpoint_filters"),
        head_convs=fields.integer("head_convs"),
        head_filters=fields.integer("head_filters"),
        activation=fields.member("activation", Activation),
        stochastic_depth=fields.number("stochastic_depth"),
        mobile=_mobile_from_document(fields.optional_inner("mobile")),
        gated=fields.truth("gated") if version > 1 else False,
    )
    fields.end()
    return network


def _stem_from_document(fields: Fields) -> PermutedStem:
    stem = PermutedStem(
        filters=fields.integer("filters"),
        kernel=fields.integer("kernel"),
        reduction=fields.integer("reduction"),
    )
    fields.end()
    return stem


def _block_to_document(block: Block) -> dict[str, Json]:
    return {
        "level": block.level,
        "kind": str(block.kind),
        "parents": list(block.parents),
        "adds": list(block.adds),
        "is_output": block.is_output,
    }


def _block_from_document(item: Json) -> Block:
    fields = Fields(item, "a block")
    parents = _features(fields.items("parents"))
    if len(parents) != 2:
        msg = f"'parents' of a block must be two features, got {list(parents)!r}"
        raise InputError(msg)
    block = Block(
        level=fields.integer("level"),
        kind=fields.member("kind", BlockKind),
        parents=(parents[0], parents[1]),
        adds=_features(fields.items("adds")),
        is_output=fields.truth("is_output"),
    )
    fields.end()
    return block


def _features(items: list[Json]) -> tuple[int, ...]:
    found = []
    for item in items:
        if type(item) is not int:
            msg = f"a block reads features by their numbers, got {item!r}"
            raise InputError(msg)
        found.append(item)
    return tuple(found)


def _mobile_to_document(mobile: MobileBlocks) -> dict[str, Json]:
    return {
        "expansion": mobile.expansion,
        "kernel": mobile.kernel,
        "se_ratio": mobile.se_ratio,
        "separable_heads": mobile.separable_heads,
    }


def _mobile_from_document(fields: Fields | None) -> MobileBlocks | None:
    if fields is None:
        return None
    mobile = MobileBlocks(
        expansion=fields.integer("expansion"),
        kernel=fields.integer("kernel"),
        se_ratio=fields.number("se_ratio"),
        separable_heads=fields.truth("separable_heads"),
    )
    fields.end()
    return mobile
