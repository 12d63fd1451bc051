"""Does a search that predicts and measures where it decides find the same front for less?

Both searches draw the same networks of the ``proxyless`` space for small images, random search of
one seed, and replay the accuracies of one stored run (every network of the pool trained on digits;
``--train`` makes it anew, and without one it is made first). One measures every candidate on this
computer, the other is ``hybrid`` with a predictor that starts from ten measured networks, chosen
by design, and from no other device; the ten are counted. The networks of all fronts are then
measured again together, ten interleaved sessions each. ``hypervolume_ratio`` is the hybrid's
hypervolume over the other's, with the pool's least accuracy and 1.1 times its greatest latency as
the reference point; ``times_fewer`` the device-seconds of the one over those of the other. A
measurement that both need is made once and counted for both.

Run: ``python benchmarks/hybrid.py [--quick]`` on a computer with nothing else to do; one JSON
object comes last on stdout. Times are of this x86 computer: they test the method, no phone's
speed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from controller.evaluation import Evaluation, EvaluationSettings
from controller.finish import front
from controller.pareto import FrontPoint, hypervolume
from controller.progress import Progress
from controller.random_search import RandomSearch
from controller.reward import Reward, RewardMode
from controller.search import Search, SearchSettings
from controller.study import Study
from latency.device_prior import DevicePrior
from latency.hybrid_source import HybridSource
from latency.predictor import Predictor
from latency.predictor_design import first_choice
from latency.predictor_file import PredictorRecord
from latency.predictor_source import PredictorSource, measured_on
from latency.signatures import parts_of
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    SourceSettings,
    create,
)
from latency.table_plan import random_networks
from search_space.architecture import Architecture, Classifier
from search_space.decisions import Choice, DecisionSpace, Point
from search_space.space import create as create_space
from training.classification import SMALL_IMAGES
from training.executor import TrainingJob, TrainingResult
from training.local_executor import LocalExecutor
from training.schedule import Schedule
from workspace.errors import InputError, OperationError

STORED = Path(__file__).resolve().parent / "data" / "hybrid_accuracies.json"
HEAD = Classifier(classes=10)
POOL, TRIALS, FIRST, SEEDS = 160, 300, 10, 5
PRESET = "table"
"""Five sessions, half as long as those of ``search``: all of it is done in half an hour."""
OPTIONS = {"size": "28", "channels": "1", "strides": SMALL_IMAGES["strides"]}


class Pool:
    """The networks of the stored run, as a space; a ``SearchSpace``."""

    name = "pool"

    def __init__(self, count: int) -> None:
        space = create_space("proxyless", OPTIONS)
        self.subjects = random_networks(space, HEAD, count, seed=7)
        choice = Choice(name="network", options=tuple(str(i) for i in range(count)))
        self.points = DecisionSpace(choices=(choice,))
        self.count = count

    def decode(self, point: Point) -> Architecture:
        """The network of that number."""
        (number,) = self.points.checked(point)
        return self.subjects[number].architecture

    def encode(self, architecture: Architecture) -> Point:
        """Its number.

        Raises:
            InputError: If it is not in the pool.
        """
        for number, subject in enumerate(self.subjects):
            if subject.architecture == architecture:
                return (number,)
        msg = f"{architecture.key} is not in the pool"
        raise InputError(msg)


class Replayed:
    """Answers trainings by what a stored run found; an ``Executor``."""

    lanes = 1
    on_this_computer = False
    deterministic = True
    stops_early = False

    def __init__(self, accuracies: dict[str, float]) -> None:
        self._accuracies = accuracies

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        """See ``Executor.submit``; the future is done."""
        future: Future[TrainingResult] = Future()
        accuracy = self._accuracies[job.architecture.key]
        future.set_result(
            TrainingResult(accuracy=accuracy, samples=0, seconds=0.0, stand_in="replayed")
        )
        return future

    def close(self) -> None:
        """Nothing is open."""


class Counted:
    """A source of devices, and the device-seconds of what it was asked for; a ``LatencySource``.

    What is asked again is answered as before, and counted again.
    """

    def __init__(
        self, source: LatencySource, known: dict[str, tuple[LatencyEstimate, float]]
    ) -> None:
        self._source, self._known = source, known
        self.name, self.lanes = source.name, 1
        self.on_this_computer = False  # nothing is trained beside it
        self.seconds, self.count = 0.0, 0

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``."""
        for request in requests:
            assert isinstance(request.subject, NetworkSubject)
            key = request.subject.architecture.key
            if key not in self._known:
                start = time.monotonic()
                (answer,) = self._source.estimate([request])
                if not isinstance(answer, LatencyEstimate):
                    yield answer
                    continue
                self._known[key] = (answer, time.monotonic() - start)
                sys.stderr.write(f"{len(self._known)} measured\n")
            found, seconds = self._known[key]
            self.seconds += seconds
            self.count += 1
            yield replace(found, request_id=request.id)

    def close(self) -> None:
        """It is another's to close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one search ended with.

    Attributes:
        keys: Of the networks on its front.
        seconds: Of the device.
        measured: Answers of the device.
    """

    keys: tuple[str, ...]
    seconds: float
    measured: int


class Quiet:
    """Is told how a search goes, and says nothing."""

    def on_progress(self, progress: Progress) -> None:
        """See ``Observer``."""


def searched(
    pool: Pool,
    source: LatencySource,
    counted: Counted,
    seed: int,
    trials: int,
    target_ms: float,
    accuracies: dict[str, float],
) -> Found:
    """One search with a source."""
    settings = EvaluationSettings(
        task="replayed", head=HEAD, schedule=Schedule(samples=1), preset=PRESET
    )
    reward = Reward(mode=RewardMode.HARD, target_ms=target_ms)
    with tempfile.TemporaryDirectory() as folder:
        study = Study.in_folder(Path(folder), config="benchmarks/hybrid.py")
        evaluation = Evaluation(settings, source, Replayed(accuracies), reward, study)
        algorithm = RandomSearch(pool.points, seed=seed)
        Search(SearchSettings(trials=trials), pool, algorithm, evaluation, study, Quiet()).run()
        keys = tuple(member.candidate.key for member in front(study, reward))
        study.close()
    return Found(keys=keys, seconds=counted.seconds, measured=counted.count)


def hybrid(pool: Pool, counted: Counted) -> HybridSource:
    """A predictor from ten measured networks of the pool, and the device."""
    networks = [parts_of(each.architecture, HEAD) for each in pool.subjects]
    prior = DevicePrior.of([], networks)
    chosen = first_choice(prior, networks, FIRST)
    requests = [
        LatencyRequest(id=str(place), subject=pool.subjects[place], preset=PRESET)
        for place in chosen
    ]
    measured = [
        measured_on(networks[int(answer.request_id)], answer)
        for answer in counted.estimate(requests)
        if isinstance(answer, LatencyEstimate)
    ]
    record = PredictorRecord(
        name="predictor:benchmark",
        predictor=Predictor.of(prior, measured),
        space="pool",
        classes=HEAD.classes,
        conditions={},
        networks=(),
    )
    return HybridSource(PredictorSource(record), counted, "hybrid:predictor:benchmark,host")


def judged(
    whole: Found,
    mixed: Found,
    accuracies: dict[str, float],
    again: dict[str, float],
    reference: tuple[float, float],
) -> dict[str, float]:
    """The front of a search that measured all against that of ``hybrid``."""
    areas = [
        hypervolume(
            [
                FrontPoint(index=i, losses=(-accuracies[key], again[key]))
                for i, key in enumerate(found.keys)
            ],
            (-reference[0], reference[1]),
        )
        for found in (whole, mixed)
    ]
    return {
        "hypervolume_ratio": areas[1] / areas[0],
        "times_fewer": whole.seconds / mixed.seconds,
        "device_s": whole.seconds,
        "hybrid_device_s": mixed.seconds,
        "measured": whole.measured,
        "hybrid_measured": mixed.measured,
    }


def measured_again(source: LatencySource, pool: Pool, keys: Sequence[str]) -> dict[str, float]:
    """Latencies of networks, together.

    Raises:
        OperationError: If one cannot be measured, without which the fronts do not compare.
    """
    by_key = {each.architecture.key: each for each in pool.subjects}
    requests = [
        LatencyRequest(id=key, subject=by_key[key], preset=f"{PRESET}/10")
        for key in dict.fromkeys(keys)
    ]
    found = {}
    for answer in source.estimate(requests):
        if not isinstance(answer, LatencyEstimate):
            msg = f"a front was not measured again: {answer}"
            raise OperationError(msg)
        found[answer.request_id] = answer.latency_ms
    return found


def trained(pool: Pool) -> dict[str, float]:
    """The stored run: every network of the pool, trained on digits."""
    executor = LocalExecutor()
    found = {}
    try:
        for number, subject in enumerate(pool.subjects):
            job = TrainingJob(
                id=str(number),
                architecture=subject.architecture,
                task="digits",
                schedule=Schedule(samples=1000, batch=16, learning_rate=0.02),
                seed=0,
                deadline_s=600.0,
                checkpoint="",
            )
            found[subject.architecture.key] = executor.submit(job).result().accuracy
            sys.stderr.write(f"{number}: {found[subject.architecture.key]:.4f}\n")
    finally:
        executor.close()
    return found


def compared(
    pool: Pool, source: LatencySource, accuracies: dict[str, float], seeds: int, trials: int
) -> dict[str, object]:
    """Both searches for each seed."""
    known: dict[str, tuple[LatencyEstimate, float]] = {}
    pairs: list[tuple[Found, Found]] = []
    everything = Counted(source, known)
    requests = [
        LatencyRequest(id=str(i), subject=each, preset=PRESET)
        for i, each in enumerate(pool.subjects)
    ]
    latencies = [
        answer.latency_ms
        for answer in everything.estimate(requests)
        if isinstance(answer, LatencyEstimate)
    ]
    target_ms = statistics.median(latencies)
    reference = min(accuracies.values()), 1.1 * max(latencies)
    for seed in range(seeds):
        one, other = Counted(source, known), Counted(source, known)
        whole = searched(pool, one, one, seed, trials, target_ms, accuracies)
        mixed = searched(pool, hybrid(pool, other), other, seed, trials, target_ms, accuracies)
        pairs.append((whole, mixed))
        sys.stderr.write(f"seed {seed}: {whole.measured} and {mixed.measured} measured\n")
    ends = [key for pair in pairs for found in pair for key in found.keys]
    again = measured_again(source, pool, ends)
    runs = [judged(*pair, accuracies, again, reference) for pair in pairs]
    return {
        "seeds": seeds,
        "trials": trials,
        "target_ms": target_ms,
        "reference_accuracy": reference[0],
        "reference_ms": reference[1],
        "least_hypervolume_ratio": min(run["hypervolume_ratio"] for run in runs),
        "hypervolume_ratio": statistics.fmean(run["hypervolume_ratio"] for run in runs),
        "times_fewer": statistics.fmean(run["times_fewer"] for run in runs),
        "least_times_fewer": min(run["times_fewer"] for run in runs),
        "runs": runs,
        "times": "of this x86 computer: they test the method, no phone's speed",
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, 24 networks")
    parser.add_argument("--train", action="store_true", help="make the stored run anew")
    parser.add_argument("--accuracies", type=Path, default=STORED, help="the stored run")
    arguments = parser.parse_args()
    count, seeds, trials = (24, 1, 36) if arguments.quick else (POOL, SEEDS, TRIALS)
    pool = Pool(count)
    if arguments.accuracies.exists() and not arguments.train:
        accuracies: dict[str, float] = json.loads(arguments.accuracies.read_text())
    else:
        accuracies = trained(pool)
    if arguments.train:
        arguments.accuracies.write_text(json.dumps(accuracies, indent=1) + "\n")
    source = create("host", SourceSettings(reuse=False))  # seconds of now, not of an earlier run
    try:
        found = compared(pool, source, accuracies, seeds, trials)
    finally:
        source.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
