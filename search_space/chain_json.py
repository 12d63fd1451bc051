"""A chain of stages as a JSON document."""

from __future__ import annotations

from collections.abc import Mapping

from search_space.architecture import Family, Json
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.document import Fields

VERSION = 1
"""Raised when a document means something else than before; older ones stay readable."""


def to_document(chain: ChainArchitecture) -> dict[str, Json]:
    """Every field, also those without effect, so that ``from_document`` gives an equal value."""
    stem: dict[str, Json] = {
        "filters": chain.stem.filters,
        "kernel": chain.stem.kernel,
        "stride": chain.stem.stride,
    }
    return {
        "family": str(chain.family),
        "version": VERSION,
        "size": chain.size,
        "channels": chain.channels,
        "stem": stem,
        "stages": [_stage_to_document(stage) for stage in chain.stages],
        "head_filters": chain.head_filters,
        "activation": str(chain.activation),
        "dropout": chain.dropout,
    }


def from_document(document: Mapping[str, Json]) -> ChainArchitecture:
    """The chain that ``to_document`` wrote.

    Raises:
        InputError: If a field is missing, unknown, or of a value that it cannot have.
    """
    fields = Fields(document, "a chain of stages")
    fields.expect("family", Family.CHAIN.value)
    fields.expect("version", VERSION)
    chain = ChainArchitecture(
        size=fields.integer("size"),
        channels=fields.integer("channels"),
        stem=_stem_from_document(fields.inner("stem")),
        stages=tuple(_stage_from_document(item) for item in fields.items("stages")),
        head_filters=fields.integer("head_filters"),
        activation=fields.member("activation", Activation),
        dropout=fields.number("dropout"),
    )
    fields.end()
    return chain


def _stem_from_document(fields: Fields) -> Stem:
    stem = Stem(
        filters=fields.integer("filters"),
        kernel=fields.integer("kernel"),
        stride=fields.integer("stride"),
    )
    fields.end()
    return stem


def _stage_to_document(stage: Stage) -> dict[str, Json]:
    return {
        "op": str(stage.op),
        "kernel": stage.kernel,
        "stride": stage.stride,
        "expansion": stage.expansion,
        "filters": stage.filters,
        "repeats": stage.repeats,
        "se_ratio": stage.se_ratio,
        "skip": str(stage.skip),
    }


def _stage_from_document(item: Json) -> Stage:
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
    )
    fields.end()
    return stage
