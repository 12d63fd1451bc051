"""What does the search loop cost a trial, everything it keeps included, in time and in memory?

The space ``proxyless``, a Pixel 1's published latencies (``table:pixel1``), the soft reward at
75 ms and the analytic stand-in for accuracy, so that nothing is trained or timed: what is left is
the algorithm, the table, the store and the loop itself. Memory is how much the process grows from
the first tenth of the trials to the last, since what was imported is no matter of trials.

Run: ``python benchmarks/loop_overhead.py [--quick] [--algorithm NAME]``; one JSON object comes
last on stdout.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from controller.algorithm import Outcome, Proposal, SearchAlgorithm, create, settings_named
from controller.evaluation import Evaluation, EvaluationSettings
from controller.progress import Progress
from controller.reward import Reward, RewardMode
from controller.search import Search, SearchSettings
from controller.settings import AlgorithmName
from controller.study import Study
from latency.table_file import load
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from training.analytic import STAND_IN, AnalyticExecutor
from training.schedule import Schedule

TARGET_MS = 75.0


class Growth:
    """Notes how large this process is after the first tenth of the trials."""

    def __init__(self, trials: int) -> None:
        self._first = max(1, trials // 10)
        self._trials = trials
        self._start_bytes = 0

    def on_progress(self, progress: Progress) -> None:
        """See ``Observer.on_progress``."""
        if progress.told == self._first:
            self._start_bytes = psutil.Process().memory_info().rss

    @property
    def kb_per_trial(self) -> float:
        """Resident memory gained since then, for each trial since then."""
        grown = psutil.Process().memory_info().rss - self._start_bytes
        return grown / 1024 / max(1, self._trials - self._first)


class Clocked:
    """A search algorithm, and the time that it takes for itself."""

    def __init__(self, algorithm: SearchAlgorithm) -> None:
        self._algorithm = algorithm
        self.seconds = 0.0

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        start = time.perf_counter()
        proposals = self._algorithm.ask(count)
        self.seconds += time.perf_counter() - start
        return proposals

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        start = time.perf_counter()
        self._algorithm.tell(outcomes)
        self.seconds += time.perf_counter() - start


def searched(folder: Path, algorithm: str, trials: int) -> dict[str, object]:
    """The keys of the result, of one search in a new ``folder``."""
    space = ProxylessSpace()
    reward = Reward(mode=RewardMode.SOFT, target_ms=TARGET_MS)
    settings = EvaluationSettings(
        task="analytic", head=Classifier(classes=1000), schedule=Schedule(samples=1)
    )
    study = Study.in_folder(folder, config="benchmarks/loop_overhead.py")
    source = TableSource(load("pixel1"))
    evaluation = Evaluation(settings, source, AnalyticExecutor(), reward, study)
    searcher = Clocked(create(settings_named(algorithm, {}), space.points, 0))
    growth = Growth(trials)
    search = Search(SearchSettings(trials=trials), space, searcher, evaluation, study, growth)
    start = time.perf_counter()
    search.run()
    seconds = time.perf_counter() - start
    return {
        "problem": f"proxyless, table:pixel1, soft reward at {TARGET_MS:g} ms",
        "stand_in": STAND_IN,
        "algorithm": algorithm,
        "trials": study.counts()[1],
        "ms_per_trial": 1000 * seconds / trials,
        "algorithm_ms_per_trial": 1000 * searcher.seconds / trials,
        "kb_per_trial": growth.kb_per_trial,
        "study_kb_per_trial": (folder / "study.db").stat().st_size / 1024 / trials,
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, help="of the search (2000)")
    parser.add_argument("--quick", action="store_true", help="500 trials unless --trials is given")
    parser.add_argument(
        "--algorithm", default="evolution", choices=list(AlgorithmName), help="(evolution)"
    )
    arguments = parser.parse_args()
    trials = arguments.trials or (500 if arguments.quick else 2000)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(searched(Path(folder), arguments.algorithm, trials)))


if __name__ == "__main__":
    main()
