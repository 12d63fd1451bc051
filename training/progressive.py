"""Progressive learning: which stages a training has whose images and regularization grow.

EfficientNetV2 (Tan and Le 2021, arXiv 2104.00298) comes with two rules that do not agree: that of
the paper (algorithm 1, settings of table 6) and that of the released code (``main.py`` and
``effnetv2_configs.py`` of google/automl). Both are here by name, for the networks that they were
published for and, in proportion, for any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from search_space.architecture import Architecture
from search_space.catalog import create
from training.stages import Regularization, TrainingStage, check_covered
from workspace.errors import InputError


class Rule(StrEnum):
    """How stages lie between the start and the end of a growth.

    ``paper``: the first stage is the start and the last one the end, in equal steps. Sizes are
    rounded to the nearest pixel; the paper does not say how.

    ``code``: the size of the first stage is a step past the start already, and sizes are cut to
    whole pixels; strengths begin at the weakest. Dropout, whose growth the code computes and
    throws away, is that of the end throughout.
    """

    PAPER = "paper"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """From where to where a training grows.

    Attributes:
        start: Side of the images, in pixels, from which they grow.
        end: In the last stage; at least ``start``.
        weakest: Regularization in the first stage.
        strongest: In the last one.
        stages: How many, of equal length.
    """

    start: int
    end: int
    weakest: Regularization = field(default_factory=Regularization)
    strongest: Regularization = field(default_factory=Regularization)
    stages: int = 4

    def __post_init__(self) -> None:
        whole = all(type(each) is int for each in (self.start, self.end, self.stages))
        if not whole or not 1 <= self.start <= self.end:
            msg = (
                "image sizes must grow from a whole number of at least 1 to one no smaller, "
                f"got {self.start!r} to {self.end!r}"
            )
            raise InputError(msg)
        if self.stages < 1:
            msg = f"a training must have at least 1 stage, got {self.stages!r}"
            raise InputError(msg)
        if (self.weakest.dropout is None) != (self.strongest.dropout is None):
            msg = (
                "dropout must be given for start and end, or for neither, "
                f"got {self.weakest.dropout!r} and {self.strongest.dropout!r}"
            )
            raise InputError(msg)


def _paper(end: int, randaugment: float, mixup: float, dropout: float) -> Growth:
    """A column of table 6, whose minima are the same for all but mixup's, which is 0."""
    return Growth(
        start=128,
        end=end,
        weakest=Regularization(dropout=0.1, randaugment=5),
        strongest=Regularization(dropout=dropout, randaugment=randaugment, mixup=mixup),
    )


def _code(end: int, randaugment: float, mix: float, dropout: float) -> Growth:
    """A line of ``efficientnetv2_params``; CutMix is as strong as mixup."""
    return Growth(
        start=128,
        end=end,
        weakest=Regularization(dropout=dropout, randaugment=5 if randaugment else 0),
        strongest=Regularization(dropout=dropout, randaugment=randaugment, mixup=mix, cutmix=mix),
    )


PUBLISHED: Mapping[Rule, Mapping[str, Growth]] = MappingProxyType(
    {
        Rule.PAPER: MappingProxyType(
            {
                "efficientnetv2-s": _paper(300, 15, 0.0, 0.3),
                "efficientnetv2-m": _paper(380, 20, 0.2, 0.4),
                "efficientnetv2-l": _paper(380, 25, 0.5, 0.5),
            }
        ),
        Rule.CODE: MappingProxyType(
            {
                "efficientnetv2-s": _code(300, 10, 0.0, 0.2),
                "efficientnetv2-m": _code(384, 15, 0.2, 0.3),
                "efficientnetv2-l": _code(384, 20, 0.5, 0.4),
                "efficientnetv2-xl": _code(384, 20, 0.5, 0.4),
                # These take AutoAugment, which is not here, in every stage alike.
                "efficientnetv2-b0": _code(192, 0, 0.0, 0.2),
                "efficientnetv2-b1": _code(192, 0, 0.0, 0.2),
                "efficientnetv2-b2": _code(208, 0, 0.0, 0.3),
                "efficientnetv2-b3": _code(240, 0, 0.0, 0.3),
            }
        ),
    }
)
"""By the catalog's names of networks. Mixup of the paper's L is 0.4 in one transcription."""


def grown(rule: Rule, growth: Growth) -> tuple[TrainingStage, ...]:
    """The stages of a growth, by one of the two rules."""
    count, span = growth.stages, growth.end - growth.start
    weakest, strongest = growth.weakest, growth.strongest
    stages = []
    for number in range(count):
        share = number / (count - 1) if count > 1 else 1.0
        if rule is Rule.PAPER:
            size = int(growth.start + span * share + 0.5)
            dropout = _between(weakest.dropout, strongest.dropout, share)
        else:
            size = growth.start + span * (number + 1) // count
            dropout = strongest.dropout
        strength = Regularization(
            dropout=dropout,
            randaugment=_blend(weakest.randaugment, strongest.randaugment, share),
            mixup=_blend(weakest.mixup, strongest.mixup, share),
            cutmix=_blend(weakest.cutmix, strongest.cutmix, share),
        )
        until = (number + 1) / count
        stages.append(TrainingStage(until=until, size=size, regularization=strength))
    return tuple(stages)


def _blend(weakest: float, strongest: float, share: float) -> float:
    return weakest + (strongest - weakest) * share


def _between(weakest: float | None, strongest: float | None, share: float) -> float | None:
    """None is the network's own, at both ends."""
    if weakest is None or strongest is None:
        return None
    return _blend(weakest, strongest, share)


def growth_of(
    rule: Rule, network: Architecture, *, name: str = "", size: int | None = None
) -> Growth:
    """From where to where a network grows by a rule.

    A network that the rule was published for has the published numbers; where it is evaluated at
    another size than as published, or is to end at another, its sizes are in proportion. Any other
    one ends at its own size. By the paper's rule it begins in proportion to EfficientNetV2-S, at
    128 of 300 pixels, by the code's at half, as that code has it where no size is given; strengths
    are those of S, without the dropout of the code's, which is the network's own. No size in
    proportion is smaller than the network can run at.

    Args:
        rule: Which of the two.
        network: That is to be trained, at the size that it is evaluated at.
        name: Of it in the catalog; empty for any other.
        size: Side of the images in the end; None for the published share of the network's size, or
            that size.
    """
    known = PUBLISHED[rule].get(name)
    end = _end_of(network, known, name) if size is None else size
    if known is not None and end == known.end:
        return known
    like = known or _like_s(rule)
    start = int(end * like.start / like.end + 0.5)
    return replace(like, start=_least(network, max(1, start), end), end=end)


def _end_of(network: Architecture, known: Growth | None, name: str) -> int:
    """Where a network's growth ends by itself: at its size, or in proportion as published."""
    size = _size_of(network)
    if known is None:
        return size
    end = int(known.end * size / _size_of(create(name)) + 0.5)
    return _least(network, end, size)


def _like_s(rule: Rule) -> Growth:
    """What another network's is in proportion to."""
    small = PUBLISHED[rule]["efficientnetv2-s"]
    if rule is Rule.PAPER:
        return small
    weakest, strongest = (replace(each, dropout=None) for each in (small.weakest, small.strongest))
    return Growth(start=1, end=2, weakest=weakest, strongest=strongest)  # half the size


def _size_of(network: Architecture) -> int:
    return network.inputs[0].shape[-1]


def _least(network: Architecture, start: int, end: int) -> int:
    """The smallest size from ``start`` to ``end`` at which the network runs."""
    for size in range(start, end):
        try:
            network.at(size)
        except InputError:
            continue
        return size
    return end


def stages_for(
    asked: str, network: Architecture, *, name: str = "", size: int | None = None
) -> tuple[TrainingStage, ...]:
    """The stages that ``--progressive`` asks for.

    Args:
        asked: ``paper``, ``code``, or the path of a TOML file (see ``progressive_file``).
        network: That is to be trained.
        name: Of it in the catalog; empty for any other.
        size: Side of the images in the end, where no file says it; see ``growth_of``.

    Raises:
        InputError: If it is none of these, the file cannot be used, or the network cannot run at
            the size of a stage.
    """
    if asked in tuple(Rule):
        rule = Rule(asked)
        stages = grown(rule, growth_of(rule, network, name=name, size=size))
    elif asked.endswith(".toml") or Path(asked).is_file():
        from training.progressive_file import read_stages

        stages = read_stages(Path(asked))
    else:
        msg = f"--progressive takes {', '.join(Rule)} or the path of a TOML file, got {asked!r}"
        raise InputError(msg)
    check_covered(stages)
    check_sizes(stages, network)
    return stages


def check_sizes(stages: Sequence[TrainingStage], network: Architecture) -> None:
    """Check that a network runs at the size of every stage.

    Raises:
        InputError: If it does not; the text has the stage, and what the network needs.
    """
    for number, stage in enumerate(stages, start=1):
        try:
            network.at(stage.size)
        except InputError as error:
            msg = f"stage {number} of {len(stages)} trains at {stage.size} pixels: {error}"
            raise InputError(msg) from error
