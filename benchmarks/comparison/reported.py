"""What is reported of compared networks: trained with every seed, then timed all together."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison.log import Log
from benchmarks.comparison.resampling import Network as Found
from benchmarks.comparison.timing import exported, timed
from benchmarks.comparison.trainings import Job, Trained, loaded, require_trained, train

if TYPE_CHECKING:
    from exporters.cost import Cost


@dataclass(frozen=True, slots=True)
class Logs:
    """What a comparison is resumed from, besides the folders of its searches.

    Attributes:
        folder: Where they lie, and whatever else is kept.
        trainings: One line each.
        timings: One line a batch.
    """

    folder: Path
    trainings: Log
    timings: Log

    @classmethod
    def within(cls, folder: Path) -> Logs:
        """Those of a folder, new or not.

        Raises:
            InputError: If a file in it is no log.
        """
        return cls(folder, Log(folder / "trainings.jsonl"), Log(folder / "timings.jsonl"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A network with all that was found of it.

    Attributes:
        name: Among the others.
        key: What it computes.
        test: Accuracy on the test split by seed.
        validation: On the validation split.
        sessions_ms: Of its latency.
        cost: Parameters and multiply-adds.
    """

    name: str
    key: str
    test: tuple[float, ...]
    validation: tuple[float, ...]
    sessions_ms: tuple[float, ...]
    cost: Cost

    @property
    def found(self) -> Found:
        """What intervals are worked out from."""
        return Found(accuracies=self.test, sessions_ms=self.sessions_ms)

    def to_json(self) -> dict[str, object]:
        """A row for whoever reads the figures."""
        return {
            "name": self.name,
            "accuracy": statistics.fmean(self.test),
            "latency_ms": statistics.median(self.sessions_ms),
            "test": list(self.test),
            "validation": list(self.validation),
            "macs": self.cost.macs,
            "params": self.cost.params,
            "key": self.key,
        }


def reported(
    jobs: Sequence[Job], preset: str, logs: Logs, say: Callable[[str], None], *, processes: int
) -> list[Reported]:
    """Train what is not in the log yet, and time every network's first trained weights.

    Args:
        jobs: Networks by seeds, all at one size; one job of each network keeps its weights.
        preset: How hard to time, with the number of sessions.
        logs: What is resumed from.
        say: Is told how it goes.
        processes: Trainings at once.

    Raises:
        OperationError: If a network cannot be trained or timed.
    """
    results = train(jobs, logs.trainings, say, processes=processes)
    require_trained(jobs, results)
    keeping = {job.network.name: job for job in jobs if job.checkpoint is not None}
    made = {
        name: exported(loaded(job), job.size, logs.folder / "files")
        for name, job in keeping.items()
    }
    say(f"timing {len(made)} networks together")
    files = {name: artifact for name, (artifact, _) in made.items()}
    sessions = timed(files, preset, logs.timings)
    costs = {name: cost for name, (_, cost) in made.items()}
    return rows_of(jobs, results, sessions, costs)


def rows_of(
    jobs: Sequence[Job],
    results: Sequence[Trained],
    sessions: Mapping[str, tuple[float, ...]],
    costs: Mapping[str, Cost],
) -> list[Reported]:
    """A row for each network, in the order in which they first come.

    Args:
        jobs: Networks by seeds.
        results: Of each.
        sessions: In ms, by the name of the network.
        costs: By the same name.
    """
    by_name: dict[str, list[int]] = {}
    for place, job in enumerate(jobs):
        by_name.setdefault(job.network.name, []).append(place)
    return [
        Reported(
            name=name,
            key=jobs[places[0]].network.key,
            test=tuple(results[place].test for place in places),
            validation=tuple(results[place].validation for place in places),
            sessions_ms=sessions[name],
            cost=costs[name],
        )
        for name, places in by_name.items()
    ]
