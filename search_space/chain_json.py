"""A chain of stages as a JSON document.

Version 2 has stochastic depth, and stages with an activation of their own and with channels that
their expansion multiplies. A chain without any of them is written as version 1, to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping

from search_space.architecture import Family, Json
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.document import Fields

VERSION = 2
"""Raised when a document means something else than before; older ones stay readable."""


def to_document(chain: ChainArchitecture) -> dict[str, Json]:
    """Every field of its version, also those without effect: ``from_document`` gives an equal."""
    version = _version(chain)
    stem: dict[str, Json] = {
        "filters": chain.stem.filters,
        "kernel": chain.stem.kernel,
        "stride": chain.stem.stride,
    }
    document: dict[str, Json] = {
        "family": str(chain.family),
        "version": version,
        "size": chain.size,
        "channels": chain.channels,
        "stem": stem,
        "stages": [_stage_to_document(stage, version) for stage in chain.stages],
        "head_filters": chain.head_filters,
        "activation": str(chain.activation),
        "dropout": chain.dropout,
    }
    return document if version == 1 else {**document, "stochastic_depth": chain.stochastic_depth}


def from_document(document: Mapping[str, Json]) -> ChainArchitecture:
    """The chain that ``to_document`` wrote, now or in an earlier version.

    Raises:
        InputError: If a field is missing, unknown, or of a value that it cannot have.
    """
    fields = Fields(document, "a chain of stages")
    fields.expect("family", Family.CHAIN.value)
    version = fields.number_up_to("version", VERSION)
    chain = ChainArchitecture(
        size=fields.integer("size"),
        channels=fields.integer("channels"),
        stem=_stem_from_document(fields.inner("stem")),
        stages=tuple(_stage_from_document(item, version) for item in fields.items("stages")),
        head_filters=fields.integer("head_filters"),
        activation=fields.member("activation", Activation),
        dropout=fields.number("dropout"),
        stochastic_depth=fields.number("stochastic_depth") if version > 1 else 0.0,
    )
    fields.end()
    return chain


def _version(chain: ChainArchitecture) -> int:
    """The first that can say all of it."""
    plain = all(stage.expands is None and stage.activation is None for stage in chain.stages)
    return 1 if plain and not chain.stochastic_depth else VERSION


def _stem_from_document(fields: Fields) -> Stem:
    stem = Stem(
        filters=fields.integer("filters"),
        kernel=fields.integer("kernel"),
        stride=fields.integer("stride"),
    )
    fields.end()
    return stem


def _stage_to_document(stage: Stage, version: int) -> dict[str, Json]:
    document: dict[str, Json] = {
        "op": str(stage.op),
        "kernel": stage.kernel,
        "stride": stage.stride,
        "expansion": stage.expansion,
        "filters": stage.filters,
        "repeats": stage.repeats,
        "se_ratio": stage.se_ratio,
        "skip": str(stage.skip),
    }
    if version == 1:
        return document
    own = None if stage.activation is None else str(stage.activation)
    return {**document, "expands": stage.expands, "activation": own}


def _stage_from_document(item: Json, version: int) -> Stage:
    fields = Fields(item, "a stage")
    stage = Stage(
        op=fields.member("op", Op),
        kernel=fields.integer("kernel"),
        stride=fields.integer("stride"),
        expansion=fields.integer("expansion"),
        filters=fields.integer("filters"),
        repeats=fields.integer("repeats"),
        se_ratio=fields.number("se_ratio"),
        skip=fields.member("skip", Skip),
        expands=fields.optional_integer("expands") if version > 1 else None,
        activation=fields.optional_member("activation", Activation) if version > 1 else None,
    )
    fields.end()
    return stage
