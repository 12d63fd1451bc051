"""Does a search that stops trainings early end as well, and for how many samples?

Two searches a seed over the 729 networks of ``fashion-mbconv`` (Fashion-MNIST, 14 pixels), by the
surrogate, for the soft reward with millions of multiply-adds in place of a latency (target: their
median). One trains every candidate to its end; trainings that the problem's log has
(``data/fashion_mbconv.py``) are taken from there. The other stops early and takes none from it:
with the same trainer, schedule and seed, what it trains to its end must equal the log to the last
digit, which is counted. What either chose is judged by whole trainings with both of the log's
seeds.

Needs the extra ``train``. Run: ``python benchmarks/early_stopping.py [--quick] [--seeds N]
[--trials N] [--folder DIR]``; with ``--folder`` a run that was stopped goes on. One JSON object
comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.data.fashion_mbconv import (
    HEAD,
    LOG,
    POINTS,
    SCHEDULE,
    SEEDS,
    digits,
    network,
    points,
    read,
)
from controller.algorithm import create, settings_named
from controller.candidate import Candidate
from controller.early_stopping import EarlyStopping, StoppingSettings
from controller.evaluation import Evaluation, EvaluationSettings
from controller.finish import best
from controller.progress import Progress
from controller.reward import Reward, RewardMode
from controller.search import Search, SearchSettings
from controller.study import Study
from latency.measurement import Verdict
from latency.source import LatencyEstimate, LatencyRequest, NetworkSubject, Origin
from search_space.chain import ChainArchitecture
from search_space.decisions import Point
from search_space.layers import layers
from training.executor import Executor, TrainingJob, TrainingResult
from training.local_executor import LocalExecutor

WINDOW = 2


class FashionSpace:
    """The networks of the problem; a ``SearchSpace``."""

    name = "fashion-mbconv"
    points = POINTS
    count = POINTS.count

    def decode(self, point: Point) -> ChainArchitecture:
        """See ``SearchSpace``."""
        return network(POINTS.checked(point))

    def encode(self, architecture: object) -> Point:
        """See ``SearchSpace``."""
        return next(p for p in points() if network(p) == architecture)


class MacsStandIn:
    """Answers millions of multiply-adds as if they were milliseconds; a ``LatencySource``."""

    name = "macs-standin"
    lanes = 1
    on_this_computer = False

    def __init__(self, macs: Mapping[str, float]) -> None:
        self._macs = macs

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyEstimate]:
        """See ``LatencySource``."""
        for request in requests:
            assert isinstance(request.subject, NetworkSubject)
            value = self._macs[request.subject.architecture.key]
            yield LatencyEstimate(
                request_id=request.id,
                latency_ms=value,
                low_ms=value,
                high_ms=value,
                origin=Origin.TABLE,
                source=self.name,
                coverage=1.0,
                verdict=Verdict.STABLE,
            )

    def close(self) -> None:
        """Nothing is open."""


class Remembered:
    """Answers trainings by the log, where it has them, and makes the others; an ``Executor``.

    Args:
        executor: Makes them.
        log: Accuracies of whole trainings, by network's key and seed.
    """

    on_this_computer = True
    deterministic = True
    stops_early = False

    def __init__(self, executor: Executor, log: Mapping[tuple[str, int], float]) -> None:
        self._executor = executor
        self._log = log
        self.lanes = executor.lanes

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        """See ``Executor.submit``."""
        accuracy = self._log.get((job.architecture.key, job.seed))
        if accuracy is None:
            return self._executor.submit(job)
        future: Future[TrainingResult] = Future()
        samples = job.schedule.samples
        future.set_result(TrainingResult(accuracy=accuracy, samples=samples, seconds=0.0))
        return future

    def close(self) -> None:
        """See ``Executor.close``."""
        self._executor.close()


class Told:
    """Says how a search goes, a line for each trial."""

    def __init__(self, name: str) -> None:
        self._name = name

    def on_progress(self, progress: Progress) -> None:
        """See ``Observer``."""
        kind = type(progress.outcome).__name__.lower()
        sys.stderr.write(f"{self._name}: {progress.told}/{progress.trials} {kind}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the problem before.

    Attributes:
        log: Accuracies of whole trainings, by network's key and seed.
        macs: In millions, by network's key.
        reward: Soft, at the median of these.
    """

    log: Mapping[tuple[str, int], float]
    macs: Mapping[str, float]
    reward: Reward

    @classmethod
    def of(cls, log: Path) -> Known:
        """With the trainings that a log has."""
        keys = {digits(point): network(point).key for point in points()}
        macs = {
            keys[digits(point)]: sum(layer.macs for layer in layers(network(point), HEAD)) / 1e6
            for point in points()
        }
        return cls(
            log={(keys[point], seed): found for (point, seed), found in read(log).items()},
            macs=macs,
            reward=Reward(mode=RewardMode.SOFT, target_ms=statistics.median(macs.values())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One search.

    Attributes:
        worth: Of the network that it chose.
        samples: That its trainings saw.
        seconds: That they took here; 0 where they are from the log.
        finished: Accuracies of trainings that went to their end, by keys.
    """

    worth: float
    samples: int
    seconds: float
    finished: Mapping[str, float]

    @classmethod
    def of(cls, candidates: Sequence[Candidate], worth: float) -> Ended:
        """From the candidates that were trained for themselves."""
        results = [(c.key, c.training) for c in candidates if c.training is not None]
        return cls(
            worth=worth,
            samples=sum(result.samples for _, result in results),
            seconds=sum(result.seconds for _, result in results),
            finished={key: result.accuracy for key, result in results if not result.stopped},
        )


def searched(folder: Path, known: Known, seed: int, trials: int, *, early: bool) -> Ended:
    """One search, taken up where it was if the folder holds it."""
    stopping = StoppingSettings()
    rungs = stopping.samples(SCHEDULE.samples, SCHEDULE.batch)
    executor: Executor = LocalExecutor(lanes=WINDOW, threads=1)
    whole = Remembered(executor, known.log)
    folder.mkdir(parents=True, exist_ok=True)
    study = Study.in_folder(folder, config="benchmarks/early_stopping.py", exist_ok=True)
    evaluation = Evaluation(
        EvaluationSettings(
            task="fashion-mnist", head=HEAD, schedule=SCHEDULE, seed=SEEDS[seed % len(SEEDS)]
        ),
        MacsStandIn(known.macs),
        executor if early else whole,
        known.reward,
        study,
    )
    search = Search(
        SearchSettings(trials=trials, window=WINDOW),
        FashionSpace(),
        create(settings_named("surrogate", {}), POINTS, seed, reward=known.reward),
        evaluation,
        study,
        Told(folder.name),
        stopping=EarlyStopping(stopping, rungs, known.reward) if early else None,
    )
    try:
        search.run()
        chosen = best(study, known.reward)
        assert chosen is not None
        accuracies = [
            whole.submit(replace(evaluation.job(0, chosen.candidate.architecture), seed=one))
            for one in SEEDS
        ]
        accuracy = statistics.fmean(future.result().accuracy for future in accuracies)
    finally:
        evaluation.close()
        executor.close()
    trainings = [c for c in study.told() if c.training is not None and c.same_as is None]
    study.close()
    return Ended.of(trainings, known.reward.value(accuracy, chosen.latency.latency_ms))


def compared(folder: Path, known: Known, seeds: int, trials: int) -> dict[str, object]:
    """The keys of the result."""
    whole, early = [], []
    for seed in range(seeds):
        whole.append(searched(folder / f"{seed}-whole", known, seed, trials, early=False))
        early.append(searched(folder / f"{seed}-early", known, seed, trials, early=True))
    both = [
        (known.log[key, SEEDS[seed % len(SEEDS)]], accuracy)
        for seed, one in enumerate(early)
        for key, accuracy in one.finished.items()
        if (key, SEEDS[seed % len(SEEDS)]) in known.log
    ]
    differences = [b.worth - a.worth for a, b in zip(whole, early, strict=True)]
    return {
        "problem": f"fashion-mbconv, soft reward at {known.reward.target_ms:.3g} million MACs",
        "seeds": seeds,
        "trials": trials,
        "reward_whole": [one.worth for one in whole],
        "reward_early": [one.worth for one in early],
        "difference": statistics.fmean(differences),
        "samples_whole": [one.samples for one in whole],
        "samples_early": [one.samples for one in early],
        "share_of_samples": sum(one.samples for one in early) / sum(one.samples for one in whole),
        "finished_early": [len(one.finished) for one in early],
        "training_s_early": [round(one.seconds) for one in early],
        "in_the_log_too": len(both),
        "equal_to_the_log": sum(a == b for a, b in both),
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, help="searches of each kind (3)")
    parser.add_argument("--trials", type=int, help="of each search (60)")
    parser.add_argument("--quick", action="store_true", help="1 seed and 14 trials")
    parser.add_argument("--folder", type=Path, help="where searches are kept, to go on later")
    arguments = parser.parse_args()
    seeds = arguments.seeds or (1 if arguments.quick else 3)
    trials = arguments.trials or (14 if arguments.quick else 60)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        found = compared(arguments.folder or Path(temporary), Known.of(LOG), seeds, trials)
    print(json.dumps({**found, "hours": round((time.monotonic() - started) / 3600, 3)}))


if __name__ == "__main__":
    main()
