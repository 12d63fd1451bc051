"""Do learned connection weights make a better search? Networks of streams that watch motion.

AssembleNet's comparison (Ryoo et al., ICLR 2020, section 4) in small. Clips are
``generated-moving-fashion``, whose classes are motions that no single frame tells; networks are of
the space ``assemblenet``, two streams over frames and two over optical flow that they compute from
the frames. In this order, each stage from where a run that was stopped left it (``--log``):

1. ``first``: for each seed, the random networks that every method begins with, trained once for
   all of them.
2. ``search``: for each seed, random search, plain evolution, guided evolution, and guided
   evolution whose weights are shuffled before they guide. All have the same first networks, train
   as many different ones in all, and each in the same way: one that a search had before is told
   again and does not count. The larger the accuracy on the validation split, the better.
3. ``train``: each search's best network by that accuracy, trained anew and longer, with the same
   seed; and beside it a network of one stream over frames with as many multiply-adds as guided
   evolution's, as near as whole filters get (``macs_ratio``). Accuracies are of the test split.

``differences`` are in points with 95 % intervals of paired seeds (Student's t): ``above`` or
``below`` where they exclude 0, else ``not separated``. They are about this space, these clips and
trainings of so many samples. Computing the flow is no multiply-add in these counts.

Needs the extra ``train`` and Fashion-MNIST. Run: ``python benchmarks/guided_evolution.py [--quick]
[--log FOLDER]``; one JSON object comes last on stdout. It takes two to three hours on two cores.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import assert_never

from benchmarks.comparison.durations import seconds_of
from benchmarks.comparison.log import Log
from benchmarks.comparison.resampling import paired_difference
from benchmarks.comparison.script import Say, parser_of, run, seeds_of
from benchmarks.comparison.streams import Streams, retrained, searched, single_stream
from benchmarks.comparison.trainings import Job, Trained, require_trained, train
from controller.algorithm import (
    Evaluated,
    Failed,
    FailureKind,
    Goal,
    Objective,
    Outcome,
    Proposal,
    create,
)
from controller.counted_figures import cost_of
from controller.settings import (
    Ablation,
    AlgorithmSettings,
    EvolutionSettings,
    GuidedSettings,
    RandomSettings,
)
from search_space.architecture import Head, Json
from search_space.assemblenet_space import AssembleNetSpace
from search_space.assemblenet_spaces import assemblenet
from training.executor import TrainingError
from training.schedule import Schedule
from training.task import Split
from training.task import create as create_task
from workspace.errors import OperationError

LANES = 2
ASKS = 20
"""At most for each network that is to be trained, since a search may propose one again."""
SINGLE = "single_stream"


class Arm(StrEnum):
    """The searches that are compared."""

    RANDOM = "random"
    EVOLUTION = "evolution"
    GUIDED = "guided"
    GUIDED_SHUFFLED = "guided_shuffled"


PAIRS = (
    (Arm.EVOLUTION, Arm.RANDOM),
    (Arm.GUIDED, Arm.RANDOM),
    (Arm.GUIDED, Arm.EVOLUTION),
    (Arm.GUIDED, Arm.GUIDED_SHUFFLED),
    (Arm.GUIDED, SINGLE),
)
"""Whose test accuracy is expected to be the larger, and whose the smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        trials: Different networks of each search.
        population: Of the evolutions, and how many random ones come first.
        tournament: Of the evolutions.
        seeds: Of each search.
        samples: Training clips of a network of a search.
        final_samples: Training clips of what is reported.
        size: Of the clips, in pixels.
        frames: That networks see.
        width: Of the space.
        task: The data set.
    """

    trials: int
    population: int
    tournament: int
    seeds: int
    samples: int
    final_samples: int
    size: int = 32
    frames: int = 8
    width: float = 0.0625
    task: str = "generated-moving-fashion"

    @property
    def space(self) -> AssembleNetSpace:
        """Where all search."""
        return assemblenet(
            {
                "size": str(self.size),
                "frames": str(self.frames),
                "channels": "1",
                "strides": "small",
                "width": str(self.width),
                "repeats": "1,2,1,2",
                "nodes": "3",
                "dilations": "1,2,4" if self.frames > 4 else "1,2",
                "flow_iterations": "10",
            }
        )

    @property
    def head(self) -> Head:
        """What networks end in."""
        return create_task(self.task).head

    def settings(self, arm: Arm) -> AlgorithmSettings:
        """Of a search."""
        guided = GuidedSettings(population=self.population, tournament=self.tournament)
        match arm:
            case Arm.RANDOM:
                return RandomSettings()
            case Arm.EVOLUTION:
                return EvolutionSettings(population=self.population, tournament=self.tournament)
            case Arm.GUIDED:
                return guided
            case Arm.GUIDED_SHUFFLED:
                return replace(guided, ablation=Ablation.SHUFFLED_WEIGHTS)
        assert_never(arm)

    def job(self, network: Streams, seed: int, *, final: bool = False) -> Job:
        """A training."""
        samples = self.final_samples if final else self.samples
        return Job(
            network=network,
            seed=seed,
            schedule=Schedule(samples=samples, batch=32, learning_rate=0.01),
            size=self.size,
            task=self.task,
        )


FULL = Plan(trials=24, population=8, tournament=4, seeds=5, samples=3200, final_samples=9600)
QUICK = Plan(trials=3, population=2, tournament=2, seeds=2, samples=64, final_samples=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search of a plan; crosses from one process to another.

    Attributes:
        plan: How long it is.
        seed: Of the algorithm and of the trainings.
        arm: Its algorithm; None for the first networks alone, which are the same for all.
        folder: Of the logs of all searches.
    """

    plan: Plan
    seed: int
    arm: Arm | None
    folder: Path

    @property
    def name(self) -> str:
        """For people, and of its log."""
        return f"{self.arm or 'first'}-{self.seed}"

    @property
    def log(self) -> Log:
        """Where its trainings are kept."""
        return Log(self.folder / f"{self.name}.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A network that a search trained.

    Attributes:
        network: What it is.
        validation: Its accuracy; None if the training failed.
    """

    network: Streams
    validation: float | None


def tried(search: Search) -> list[Tried]:
    """Run a search, or what is left of it; all different networks that it tried, in order.

    Raises:
        OperationError: If it finds too few.
    """
    plan, space = search.plan, search.plan.space
    own, first = search.log, replace(search, arm=None).log
    algorithm = create(plan.settings(search.arm or Arm.RANDOM), space.points, search.seed)
    wanted = plan.trials if search.arm else plan.population
    found: dict[str, Tried] = {}
    for _ in range(ASKS * wanted):
        if len(found) == wanted:
            return list(found.values())
        (proposal,) = algorithm.ask(1)
        network = Streams(name=search.name, architecture=space.decode(proposal.point))
        job = plan.job(network, search.seed)
        facts = own.find(job.key) or first.find(job.key)
        if facts is None:
            facts = _trained(job)
            own.add(job.key, facts)
        outcome = outcome_of(proposal, facts)
        algorithm.tell([outcome])
        reward = outcome.reward if isinstance(outcome, Evaluated) else None
        found.setdefault(network.key, Tried(network=network, validation=reward))
    msg = f"the search {search.name} found {len(found)} different networks, {wanted} are wanted"
    raise OperationError(msg)


def outcome_of(proposal: Proposal, facts: Mapping[str, Json]) -> Outcome:
    """What an algorithm is told of a training that a log has."""
    failure = str(facts.get("failure", ""))
    if failure:
        return Failed(proposal=proposal, kind=FailureKind.TRAINING, text=failure)
    accuracy, gates = float(str(facts["validation"])), facts["gates"]
    assert isinstance(gates, dict)
    feedback = {
        name: tuple(float(str(value)) for value in values)
        for name, values in gates.items()
        if isinstance(values, list)
    }
    objective = Objective(name="accuracy", value=accuracy, goal=Goal.MAXIMIZE)
    return Evaluated(
        proposal=proposal, objectives=(objective,), reward=accuracy, feedback=feedback
    )


def best_of(search: Search, found: Sequence[Tried]) -> Streams:
    """The network with the largest validation accuracy, the first of equals.

    Raises:
        OperationError: If no training gave one.
    """
    evaluated = [(one.validation, one) for one in found if one.validation is not None]
    if not evaluated:
        msg = f"no network of the search {search.name} could be trained"
        raise OperationError(msg)
    return max(evaluated, key=lambda pair: pair[0])[1].network


def benchmark(plan: Plan, folder: Path, say: Say, *, processes: int = LANES) -> dict[str, object]:
    """All stages.

    Raises:
        InputError: If a file of the folder is no log.
        OperationError: If a training cannot be done; what was done is kept.
    """
    logs, seeds = folder / "searches", range(plan.seeds)
    for split in Split:  # made here, before two processes want them
        create_task(plan.task).examples(split, plan.size)
    firsts = [Search(plan=plan, seed=seed, arm=None, folder=logs) for seed in seeds]
    with _mapper(processes) as mapped:
        for search, found in mapped(firsts):
            say(f"{search.name}: {len(found)} networks")
        searches = [replace(search, arm=arm) for search in firsts for arm in Arm]
        best: dict[tuple[str, int], Streams] = {}
        for search, found in mapped(searches):
            assert search.arm is not None
            chosen = best_of(search, found)
            best[search.arm, search.seed] = replace(chosen, name=search.arm)
            accuracy = max(one.validation or 0.0 for one in found)
            say(f"{search.name}: {accuracy:.2%} of the validation split")
    for seed in seeds:
        macs = cost_of(best[Arm.GUIDED, seed].architecture, plan.head).macs
        best[SINGLE, seed] = single_stream(plan.space.frame, plan.head, macs)
    names = [*Arm, SINGLE]
    jobs = [plan.job(best[name, seed], seed, final=True) for seed in seeds for name in names]
    log = Log(folder / "trainings.jsonl")
    results = train(jobs, log, say, processes=processes, fit=retrained)
    require_trained(jobs, results)
    rows = {name: results[place :: len(names)] for place, name in enumerate(names)}
    nets = {name: [best[name, seed] for seed in seeds] for name in names}
    return {**compared(rows), **_described(plan, nets)}


def compared(rows: Mapping[str, Sequence[Trained]]) -> dict[str, object]:
    """Mean test accuracies, and paired differences in points with their verdicts.

    Args:
        rows: By name, one a seed, in the order of seeds.
    """
    differences: dict[str, object] = {}
    for larger, smaller in PAIRS:
        ours, theirs = ([100 * one.test for one in rows[name]] for name in (larger, smaller))
        found = paired_difference(ours, theirs)
        differences[f"{larger} - {smaller}"] = {**asdict(found), "verdict": found.above(0.0)}
    return {
        "accuracy": {name: statistics.fmean(o.test for o in own) for name, own in rows.items()},
        "differences": differences,
        "test": {name: [one.test for one in own] for name, own in rows.items()},
        "validation": {name: [one.validation for one in own] for name, own in rows.items()},
    }


def _described(plan: Plan, networks: Mapping[str, Sequence[Streams]]) -> dict[str, object]:
    """What was compared."""
    macs = {
        name: [cost_of(one.architecture, plan.head).macs for one in own]
        for name, own in networks.items()
    }
    return {
        "macs": macs,
        "macs_ratio": [a / b for a, b in zip(macs[SINGLE], macs[Arm.GUIDED], strict=True)],
        "keys": {name: [one.key for one in own] for name, own in networks.items()},
        "dataset": plan.task,
        "trials": plan.trials,
        "samples": plan.samples,
        "final_samples": plan.final_samples,
        "seeds": plan.seeds,
    }


def planned(plan: Plan, say: Say) -> float:
    """Say what each stage takes, from a few training steps; hours in all."""
    say("training steps are timed for the plan")
    each_s = statistics.fmean(_seconds_a_sample(plan, seed) for seed in range(3))
    new = plan.trials - plan.population
    searched_samples = plan.seeds * (plan.samples + VALIDATED)
    samples = {
        "first": searched_samples * plan.population,
        "search": searched_samples * new * len(Arm),
        "train": plan.seeds * (len(Arm) + 1) * (plan.final_samples + 3 * VALIDATED),
    }
    hours = {stage: count * each_s / LANES / 3600 for stage, count in samples.items()}
    for stage, value in hours.items():
        say(f"plan: {stage} {value:.2f} hours")
    total = sum(hours.values())
    say(f"plan: {total:.2f} hours in all if nothing is in the log yet")
    return total


VALIDATED = 400
"""The validation split of 1,200 clips in training clips: forward alone takes about a third."""


def _seconds_a_sample(plan: Plan, seed: int) -> float:
    """Of training a random network."""
    import torch

    space = plan.space
    network = space.decode(space.points.sample(random.Random(seed)))
    clips = (torch.rand(32, *spec.shape) for spec in network.inputs)
    return seconds_of(network.build(plan.head), *clips)


def _trained(job: Job) -> dict[str, Json]:
    """A training as a log has it."""
    try:
        result = searched(job)
    except TrainingError as error:
        return {"failure": str(error)}
    gates: dict[str, Json] = {name: list(own) for name, own in result.feedback.items()}
    return {"validation": result.accuracy, "gates": gates, "seconds": round(result.seconds, 2)}


def _paired(search: Search) -> tuple[Search, list[Tried]]:
    return search, tried(search)


Mapped = Callable[[Sequence[Search]], Iterable[tuple[Search, list[Tried]]]]


@contextmanager
def _mapper(processes: int) -> Iterator[Mapped]:
    """Something that runs searches and gives each with what it tried; 0 for this process."""
    if not processes:
        yield partial(map, _paired)
        return
    with get_context("spawn").Pool(processes) as pool:
        yield partial(pool.imap_unordered, _paired)


def main() -> None:
    """Run it as the command line says."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, help="of each search, at least 2")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    plan = replace(plan, seeds=seeds_of(parser, arguments.seeds, plan.seeds))
    run(
        parser,
        arguments,
        name="guided_evolution",
        planned=partial(planned, plan),
        benchmark=partial(benchmark, plan),
        times="of no network: nothing is timed but the trainings",
    )


if __name__ == "__main__":
    main()
