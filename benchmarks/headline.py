"""A search's networks against width-scaled fronts of MobileNetV2, V3-small and V4-conv-small.

Fashion-MNIST at 28 pixels, this computer as the device, fp32. In this order, each stage from where
a run that was stopped left it (``--log``):

1. ``rate``: one learning rate for all, of three, by the mean validation accuracy of one width of
   each baseline: tuned for them, not for ours.
2. ``targets``: MobileNetV2 is timed at two widths; each latency is the target of a search.
3. ``search``: ``surrogate`` in ``mnasnet``, hard reward, 120 short trainings for each target, of
   which the last 24 train the best again. Nothing but validation images decides.
4. ``train``: the three best of each search and every baseline, by one recipe and with the same
   seeds (``comparison/networks.py`` says what is done alike); accuracies are of the test split.
5. ``time``: the trained networks as our TFLite files, all in one batch of interleaved sessions.

A baseline's front is a line through those of its widths that no other of them beats, accuracy
over the logarithm of latency. ``speedup`` is its latency at the accuracy of one of ours over the
latency of ours, ``accuracy_gain`` (points) the accuracy of ours less its at the latency of ours;
each the mean over all of ours that the front reaches (of speed-ups the geometric one). Nothing is
extrapolated: of a network beyond an end of the front a bound is told, and no mean has it.
Intervals (95 %) are of ``comparison/resampling.py``: training noise pooled over all networks,
latency sessions drawn anew; they say nothing of other images, nor of another search.

Needs the extra ``train``. Run: ``python benchmarks/headline.py [--quick] [--log FOLDER]`` on a
computer with nothing else to do; one JSON object comes last on stdout. It takes some five hours on
two cores. Times are of this x86 computer: they test the method, no phone's speed.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.comparison.durations import EVALUATED, seconds_a_sample, timing_s
from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Baseline, Family, Network, Own
from benchmarks.comparison.rates import best_rate
from benchmarks.comparison.reported import Logs, reported
from benchmarks.comparison.script import Say, parser_of, run, seeds_of
from benchmarks.comparison.searches import LANES, searched
from benchmarks.comparison.timing import exported, timed
from benchmarks.comparison.trainings import Job, train
from benchmarks.comparison.verdicts import compared
from controller.candidate import Candidate
from pocketnas.config import SearchConfig
from search_space import space as spaces
from search_space.architecture import Classifier
from training.classification import SMALL_IMAGES
from training.schedule import Schedule

SIZE = 28
HEAD = Classifier(classes=10)
DATASET = "fashion-mnist"
DRAWN = 4
"""Networks of the space from which the plan works out what one of ours takes."""

SKIP_ABOVE = 1.5
"""Candidates slower than so many targets are timed and not trained."""

RATE_SEED = 100
"""Of the trainings that choose the learning rate; those that are reported have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        widths: Of each baseline.
        rate_widths: Of the networks that choose the learning rate.
        rates: Learning rates to choose from.
        samples: Training images that a reported network sees.
        seeds: Of each reported network.
        target_widths: Of MobileNetV2, whose latencies are the searches' targets.
        trials: Of each search.
        confirm: Of those, trainings of the best again.
        short_samples: Training images that a candidate sees.
        search_preset: How hard a candidate is timed.
        chosen: Networks that each search gives.
        final_preset: How hard what is reported is timed.
    """

    widths: Mapping[Family, tuple[float, ...]]
    rate_widths: Mapping[Family, float]
    rates: tuple[float, ...]
    samples: int
    seeds: int
    target_widths: tuple[float, ...]
    trials: int
    confirm: int
    short_samples: int
    search_preset: str
    chosen: int
    final_preset: str

    @property
    def baselines(self) -> list[Baseline]:
        """All of them."""
        return [Baseline(family=f, width=w) for f, widths in self.widths.items() for w in widths]

    @property
    def rate_jobs(self) -> dict[float, list[Job]]:
        """Trainings by learning rate."""
        networks = [Baseline(family=f, width=w) for f, w in self.rate_widths.items()]
        return {rate: [self.job(one, rate, RATE_SEED) for one in networks] for rate in self.rates}

    def job(self, network: Network, rate: float, seed: int, folder: Path | None = None) -> Job:
        """A training by the one recipe; the first seed leaves its weights in ``folder``."""
        schedule = Schedule(samples=self.samples, batch=64, learning_rate=rate)
        job = Job(network=network, seed=seed, schedule=schedule, size=SIZE, task=DATASET)
        if folder is None or seed > 0:
            return job
        return replace(job, checkpoint=folder / "weights" / f"{job.key}.safetensors")


FULL = Plan(
    widths={
        Family.MOBILENET_V2: (0.25, 0.35, 0.5, 0.75, 1.0),
        Family.MOBILENET_V3_SMALL: (0.35, 0.5, 0.75, 1.0),
        Family.MOBILENET_V4_CONV_SMALL: (0.35, 0.5, 0.75, 1.0),
    },
    rate_widths={
        Family.MOBILENET_V2: 0.35,
        Family.MOBILENET_V3_SMALL: 0.5,
        Family.MOBILENET_V4_CONV_SMALL: 0.35,
    },
    rates=(0.006, 0.012, 0.024),
    samples=300_000,
    seeds=2,
    target_widths=(0.35, 0.5),
    trials=120,
    confirm=24,
    short_samples=19_200,
    search_preset="search",
    chosen=3,
    final_preset="search/12",
)

QUICK = Plan(
    widths=dict.fromkeys(Family, (0.25, 0.5)),
    rate_widths={Family.MOBILENET_V2: 0.25},
    rates=(0.005, 0.01),
    samples=2_560,
    seeds=2,
    target_widths=(0.35,),
    trials=10,
    confirm=3,
    short_samples=640,
    search_preset="quick",
    chosen=2,
    final_preset="quick/3",
)


def chosen_rate(plan: Plan, log: Log, say: Say) -> float:
    """The learning rate with the best mean validation accuracy of the baselines.

    Raises:
        OperationError: If trainings diverged at every rate.
    """
    return best_rate(plan.rate_jobs, lambda jobs: train(jobs, log, say, processes=LANES), say)


def targets_ms(plan: Plan, log: Log) -> list[float]:
    """Latencies of MobileNetV2, untrained, at the widths that give the targets."""
    with tempfile.TemporaryDirectory() as files:
        networks = [Baseline(family=Family.MOBILENET_V2, width=w) for w in plan.target_widths]
        made = {one.name: exported(one.build(HEAD, 0), SIZE, Path(files))[0] for one in networks}
        found = timed(made, plan.final_preset, log)
    return [statistics.median(found[one.name]) for one in networks]


def search_config(plan: Plan, target_ms: float, more: Path | None) -> SearchConfig:
    """Settings of one search; a file of the user's goes first."""
    settings = {
        "space": "mnasnet",
        "space_options": {**SMALL_IMAGES, "width": "0.5", "stem_filters": "32"},
        "algorithm": "surrogate",
        "dataset": DATASET,
        "latency": "host",
        "reward": "hard",
        "batch": 64,
        "learning_rate": 0.01,
        "confirm": plan.confirm,
        "skip_above": SKIP_ABOVE,
    }
    if more is not None:
        given = SearchConfig.load(more, {"target_ms": target_ms}).model_dump(exclude_unset=True)
        settings.update(given)
    fixed = {
        "target_ms": round(target_ms, 6),
        "trials": plan.trials,
        "samples": plan.short_samples,
        "size": SIZE,
        "preset": plan.search_preset,
    }
    return SearchConfig.load(None, {**settings, **fixed})


def new_networks(
    found: Sequence[Candidate], known: Sequence[Own], count: int, name: str
) -> list[Own]:
    """The first of what a search found that no search before it did.

    Args:
        found: The best first.
        known: Of searches before.
        count: How many are wanted.
        name: Of the search.
    """
    before = {own.key for own in known}
    new = [one.architecture for one in found if one.architecture.key not in before][:count]
    return [Own(name=f"{name}-{place}", architecture=one) for place, one in enumerate(new, 1)]


def headline(plan: Plan, folder: Path, more: Path | None, say: Say) -> dict[str, object]:
    """All stages.

    Raises:
        InputError: If the folder holds something else, or the settings cannot be used.
        OperationError: If a stage cannot be done; what was done is kept.
    """
    logs = Logs.within(folder)
    rate = chosen_rate(plan, logs.trainings, say)
    say(f"targets: the latency of MobileNetV2 at widths {plan.target_widths}")
    targets = targets_ms(plan, logs.timings)
    ours: list[Own] = []
    for number, target_ms in enumerate(targets, 1):
        say(f"search {number} of {len(targets)}, target {target_ms:.4f} ms")
        config = search_config(plan, target_ms, more)
        count = plan.chosen + len(ours)  # as many are there if all of the others come again
        found = searched(folder / f"search-{number}", config, count, say)
        ours += new_networks(found, ours, plan.chosen, f"searched-{number}")
    networks: list[Network] = [*ours, *plan.baselines]
    jobs = [plan.job(one, rate, seed, folder) for seed in range(plan.seeds) for one in networks]
    rows = reported(jobs, plan.final_preset, logs, say, processes=LANES)
    names = [own.name for own in ours]
    fronts = {f: [b.name for b in plan.baselines if b.family is f] for f in plan.widths}
    return {
        **compared({row.name: row.found for row in rows}, names, fronts),
        "size": SIZE,
        "searches": len(targets),
        "short_trainings": plan.trials * len(targets),
        "targets_ms": targets,
        "samples": plan.samples,
        "learning_rate": rate,
        "seeds": plan.seeds,
        "networks": [row.to_json() for row in rows],
    }


def planned(plan: Plan, say: Say) -> float:
    """Say what each stage takes, from a few training steps of each network; hours in all."""
    say("training steps are timed for the plan")
    costs = {one.name: seconds_a_sample(one.build(HEAD, 0), SIZE) for one in plan.baselines}
    tuned = [costs[job.network.name] for own in plan.rate_jobs.values() for job in own]
    config = search_config(plan, 1.0, None)
    space = spaces.create(config.space, {**config.space_options, "size": str(SIZE)})
    rng = random.Random(0)
    drawn = [space.decode(space.points.sample(rng)) for _ in range(DRAWN)]
    own = statistics.fmean(seconds_a_sample(one.build(HEAD), SIZE) for one in drawn)
    searches, chosen = len(plan.target_widths), plan.chosen * len(plan.target_widths)
    candidate = timing_s(plan.search_preset) + own * (plan.short_samples + EVALUATED / 2) / LANES
    whole = plan.samples + EVALUATED
    hours = {
        "rate": sum(tuned) * whole / LANES / 3600,
        "search": searches * plan.trials * candidate / 3600,
        "train": plan.seeds * (sum(costs.values()) + chosen * own) * whole / LANES / 3600,
        "time": (len(costs) + chosen + searches) * timing_s(plan.final_preset) / 3600,
    }
    for stage, value in hours.items():
        say(f"plan: {stage} {value:.2f} hours")
    total = sum(hours.values())
    say(f"plan: {total:.2f} hours in all if nothing is in the log yet")
    return total


def main() -> None:
    """Run it as the command line says."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, help="trainings of each reported network")
    parser.add_argument("--search", type=Path, help="TOML of further settings of the searches")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    plan = replace(plan, seeds=seeds_of(parser, arguments.seeds, plan.seeds))
    run(
        parser,
        arguments,
        name="headline",
        planned=partial(planned, plan),
        benchmark=lambda folder, say: headline(plan, folder, arguments.search, say),
    )


if __name__ == "__main__":
    main()
