"""What progressive learning is tried on, with which schedules, and how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.comparison.networks import Own
from benchmarks.comparison.stage_arms import Arm, stages_of
from benchmarks.comparison.trainings import Job
from search_space.chain import Activation, ChainArchitecture, Op, Stage, Stem
from training.progressive import Rule, stages_for
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage

FIRST_CHOOSING_SEED = 100
"""Of the trainings that choose; those that are reported have others, from 0 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is trained on what.

    Attributes:
        dataset: Name of the task.
        network: At the images' own size.
        candidates: Schedules to choose from, by name; each ends at that size.
    """

    dataset: str
    network: Own
    candidates: Mapping[str, tuple[TrainingStage, ...]]

    @property
    def size(self) -> int:
        """The images' own, in pixels."""
        return self.network.architecture.inputs[0].shape[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        problem: What is trained on what.
        budgets: Training images of the baseline, the fewest first.
        main: That of them at which arms are compared.
        more: Further ones of them at which progressive learning is trained too.
        rates: Learning rates to choose from.
        candidates: Names of those of the problem's schedules that are tried.
        choosing: Seeds of what chooses a schedule.
        seeds: Of what is reported.
    """

    problem: Problem
    budgets: tuple[int, ...]
    main: int
    more: tuple[int, ...]
    rates: tuple[float, ...]
    candidates: tuple[str, ...]
    choosing: int
    seeds: int

    def job(
        self, samples: int, rate: float, seed: int, stages: tuple[TrainingStage, ...] = ()
    ) -> Job:
        """A training."""
        schedule = Schedule(samples=samples, batch=64, learning_rate=rate, stages=stages)
        problem = self.problem
        return Job(
            network=problem.network,
            seed=seed,
            schedule=schedule,
            size=problem.size,
            task=problem.dataset,
        )

    @property
    def choosing_seeds(self) -> range:
        """Of the trainings that choose."""
        return range(FIRST_CHOOSING_SEED, FIRST_CHOOSING_SEED + self.choosing)

    @property
    def rate_jobs(self) -> dict[tuple[int, float], Job]:
        """By budget and rate."""
        return {
            (samples, rate): self.job(samples, rate, FIRST_CHOOSING_SEED)
            for samples in self.budgets
            for rate in self.rates
        }

    def candidate_jobs(self, rate: float) -> dict[str, list[Job]]:
        """By schedule, the baseline (``""``) among them, with each choosing seed."""
        known = self.problem.candidates
        schedules = {"": (), **{name: known[name] for name in self.candidates}}
        return {
            name: [self.job(self.main, rate, seed, stages) for seed in self.choosing_seeds]
            for name, stages in schedules.items()
        }

    def compared(
        self, rates: Mapping[int, float], stages: Sequence[TrainingStage]
    ) -> dict[tuple[Arm, int, int], Job]:
        """By arm, budget and seed, in the order in which they are trained."""
        arms = [(arm, self.main) for arm in Arm]
        arms += [(Arm.PROGRESSIVE, samples) for samples in self.more]
        arms += [(Arm.BASELINE, each) for each in self.budgets if each != self.main]
        return {
            (arm, samples, seed): self.job(
                samples, rates[samples], seed, stages_of(arm, stages, seed)
            )
            for seed in range(self.seeds)
            for arm, samples in arms
        }


def free(shape: Mapping[int, float], strongest: Regularization) -> tuple[TrainingStage, ...]:
    """Stages of sizes that end at shares of the training, regularization in equal steps from none.

    Args:
        shape: Where each size ends, by size.
        strongest: Regularization of the last.
    """
    steps = max(1, len(shape) - 1)
    names = ("dropout", "randaugment", "mixup", "cutmix")
    return tuple(
        TrainingStage(
            until=until,
            size=size,
            regularization=Regularization(
                **{name: (getattr(strongest, name) or 0.0) * number / steps for name in names}
            ),
        )
        for number, (size, until) in enumerate(shape.items())
    )


def _chain(size: int, stem_stride: int, strides: tuple[int, int, int]) -> ChainArchitecture:
    """MBConv blocks of 12 to 64 channels."""
    blocks = zip((16, 32, 64), (3, 4, 4), (1, 1, 2), strides, strict=True)
    return ChainArchitecture(
        size=size,
        channels=1,
        stem=Stem(filters=12, stride=stem_stride),
        stages=tuple(
            Stage(op=Op.MBCONV, kernel=3, filters=filters, expansion=e, repeats=r, stride=s)
            for filters, e, r, s in blocks
        ),
        head_filters=128,
        activation=Activation.RELU6,
        dropout=DROPOUT,
    )


DROPOUT = 0.2
"""Of the networks, where no stage says otherwise."""

_LIGHT = Regularization(dropout=DROPOUT)
_MIXED = Regularization(dropout=DROPOUT, mixup=0.1, cutmix=0.1)


def _problem(
    dataset: str,
    architecture: ChainArchitecture,
    shapes: Sequence[Mapping[int, float]],
    mixed: Sequence[Mapping[int, float]],
) -> Problem:
    """With both published rules in proportion, and free schedules of these shapes."""
    named = {_named(shape): free(shape, _LIGHT) for shape in shapes}
    named |= {f"{_named(shape)} mixed": free(shape, _MIXED) for shape in mixed}
    rules = {rule.value: stages_for(rule, architecture) for rule in Rule}
    return Problem(
        dataset=dataset,
        network=Own(name="mbconv", architecture=architecture),
        candidates={**rules, **named},
    )


def _named(shape: Mapping[int, float]) -> str:
    """Like ``20:0.3, 28:1``."""
    return ", ".join(f"{size}:{until:g}" for size, until in shape.items())


FASHION = _problem(
    "fashion-mnist",
    _chain(28, 1, (2, 2, 1)),
    (
        {16: 0.4, 20: 0.7, 28: 1.0},
        {20: 0.5, 28: 1.0},
        {20: 0.4, 24: 0.7, 28: 1.0},
        {24: 0.6, 28: 1.0},
        {20: 0.3, 28: 1.0},
        {16: 0.2, 24: 0.4, 28: 1.0},
    ),
    ({16: 0.4, 20: 0.7, 28: 1.0},),
)
"""Fashion-MNIST at its own size; the network has 60,000 parameters."""

SCENES = _problem(
    "generated-fashion-scene-classes",
    _chain(96, 2, (2, 2, 2)),
    (
        {48: 0.4, 64: 0.7, 96: 1.0},
        {64: 0.5, 96: 1.0},
        {64: 0.4, 80: 0.7, 96: 1.0},
        {80: 0.6, 96: 1.0},
        {64: 0.3, 96: 1.0},
        {48: 0.2, 72: 0.4, 96: 1.0},
    ),
    ({48: 0.4, 64: 0.7, 96: 1.0},),
)
"""Generated scenes with detail at 96 pixels."""

PLANS: Mapping[str, Plan] = {
    "fashion-mnist": Plan(
        problem=FASHION,
        budgets=(62_500, 125_000, 250_000, 375_000),
        main=250_000,
        more=(375_000,),
        rates=(0.005, 0.01, 0.02),
        candidates=tuple(FASHION.candidates),
        choosing=2,
        seeds=5,
    ),
    "scenes": Plan(
        problem=SCENES,
        budgets=(20_000, 40_000, 80_000, 120_000),
        main=80_000,
        more=(120_000,),
        rates=(0.005, 0.01, 0.02),
        candidates=tuple(SCENES.candidates),
        choosing=2,
        seeds=5,
    ),
}
"""Whole runs, by the problem's name."""

QUICK = Plan(
    problem=FASHION,
    budgets=(1_280, 2_560),
    main=2_560,
    more=(),
    rates=(0.01,),
    candidates=("16:0.4, 20:0.7, 28:1", "16:0.4, 20:0.7, 28:1 mixed"),
    choosing=1,
    seeds=2,
)
