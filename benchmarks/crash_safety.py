"""Does a search that is killed at random points end as one that is left alone?

For each algorithm a search runs in a process of its own, is killed with SIGKILL at a random point,
resumed, killed again …, and is then resumed to its end. Its trials (index, point, parents, note,
network, figures, reward, and the order in which they were told) are compared with those of the
same search left alone. Space ``proxyless``, ``table:pixel1``, ordered mode, the analytic stand-in
for accuracy: nothing is trained. A trial takes no time so, and a search would be over before it
could be killed; each training is therefore slowed down by up to ``--delay-ms``, in this script and
not in the product.

Most kills come when a random number of further trials is told, plus a random part of a trial; one
in five at a random moment of a process's first 0.6 s: while it starts, opens the study, replays.

Run: ``python benchmarks/crash_safety.py [--quick]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from controller import run_folder
from controller.algorithm import create, settings_named
from controller.candidate import Candidate
from controller.evaluation import Evaluation, EvaluationSettings
from controller.finish import front
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
from training.executor import TrainingJob, TrainingResult
from training.schedule import Schedule

REWARD = Reward(mode=RewardMode.SOFT, target_ms=75.0)
PATIENCE_S = 300.0
"""How long a process may take to tell one more trial, or to end."""

ALGORITHMS = tuple(name for name in AlgorithmName if name is not AlgorithmName.GUIDED)
"""Guided evolution needs networks whose connections carry weights, which chains have not."""


class SlowExecutor:
    """The analytic stand-in, each answer late by a random part of ``delay_s``; two at once."""

    lanes = 2
    on_this_computer = False
    deterministic = True
    stops_early = False

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._pool = ThreadPoolExecutor(self.lanes)
        self._answers = AnalyticExecutor()

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        """See ``Executor.submit``."""
        return self._pool.submit(self._late, job)

    def close(self) -> None:
        """See ``Executor.close``."""
        self._pool.shutdown(cancel_futures=True)

    def _late(self, job: TrainingJob) -> TrainingResult:
        time.sleep(random.random() * self._delay_s)
        return self._answers.submit(job).result()


class Silent:
    """An observer that shows nothing."""

    def on_progress(self, progress: Progress) -> None:
        """See ``Observer.on_progress``."""


def search(folder: Path, algorithm: str, trials: int, delay_s: float) -> None:
    """Begin a search in ``folder``, or go on with the one that is there, and run it to its end."""
    marker = folder / "config.toml"
    with run_folder.resume(folder) if marker.exists() else run_folder.create(folder):
        marker.touch()
        study = Study.in_folder(folder, config="benchmarks/crash_safety.py", exist_ok=True)
        space = ProxylessSpace()
        settings = EvaluationSettings(
            task="analytic", head=Classifier(classes=1000), schedule=Schedule(samples=1)
        )
        source, executor = TableSource(load("pixel1")), SlowExecutor(delay_s)
        evaluation = Evaluation(settings, source, executor, REWARD, study)
        searcher = create(settings_named(algorithm, {}), space.points, 0)
        length = SearchSettings(trials=trials)
        Search(length, space, searcher, evaluation, study, Silent()).run()
        evaluation.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One search, and how it is run."""

    algorithm: str
    trials: int
    delay_s: float

    def started(self, folder: Path) -> subprocess.Popen[bytes]:
        """A process that begins or resumes it in ``folder``."""
        command = [sys.executable, __file__, f"--child={folder}", f"--trials={self.trials}"]
        command += [f"--algorithms={self.algorithm}", f"--delay-ms={1000 * self.delay_s}"]
        return subprocess.Popen(command)


def told(folder: Path) -> int:
    """How many outcomes the study in ``folder`` holds; 0 if there is none yet."""
    try:
        connection = sqlite3.connect(f"file:{folder / 'study.db'}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM outcome").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


def killed(scenario: Scenario, folder: Path, kills: int, rng: random.Random) -> int:
    """Run a search to its end through ``kills`` kills; how many hit a process that was alive."""
    hits = 0
    for number in range(kills):
        process = scenario.started(folder)
        if rng.random() < 0.2:
            time.sleep(0.6 * rng.random())
        else:
            left = scenario.trials - told(folder)
            share = max(1, left // (kills - number + 1))
            wait_until_told(folder, told(folder) + rng.randrange(1, share + 1), process)
            time.sleep(rng.random() * scenario.delay_s)
        process.send_signal(signal.SIGKILL)
        hits += process.wait(PATIENCE_S) == -signal.SIGKILL
    finish(scenario, folder)
    return hits


def wait_until_told(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until ``count`` outcomes are stored, or ``process`` ends.

    Raises:
        TimeoutError: If neither comes in time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while told(folder) < count and process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            msg = f"no more than {told(folder)} trials were told in {PATIENCE_S:g} s"
            raise TimeoutError(msg)
        time.sleep(0.002)


def finish(scenario: Scenario, folder: Path) -> None:
    """Begin or resume a search and wait for its end.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    process = scenario.started(folder)
    code = process.wait(PATIENCE_S)
    if code != 0:
        raise subprocess.CalledProcessError(code, process.args)


def facts(trial: Candidate) -> tuple[object, ...]:
    """All that must be equal in both searches."""
    return (trial.proposal, trial.asked_after, trial.key, trial.told, trial.outcome, trial.same_as)


def compared(scenario: Scenario, folder: Path, kills: int, seed: int) -> dict[str, object]:
    """One algorithm: killed against left alone."""
    alone, cut = folder / f"{scenario.algorithm}-alone", folder / f"{scenario.algorithm}-killed"
    finish(scenario, alone)
    hits = killed(scenario, cut, kills, random.Random(f"{seed}/{scenario.algorithm}"))
    studies = Study.in_folder(alone), Study.in_folder(cut)
    expected, found = ([facts(trial) for trial in study.candidates()] for study in studies)
    wanted, ended = ([trial.index for trial in study.told()] for study in studies)
    fronts = [[m.candidate.index for m in front(study, REWARD)] for study in studies]
    for study in studies:
        study.close()
    return {
        "kills": hits,
        "lost": len(set(wanted) - set(ended)),
        "doubled": len(ended) - len(set(ended)) + len(set(ended) - set(wanted)),
        "same_front": fronts[0] == fronts[1],
        "same_trials": expected == found,
    }


def result(
    algorithms: Sequence[str], trials: int, kills: int, delay_s: float
) -> dict[str, object]:
    """The keys of the result."""
    by: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in algorithms:
            scenario = Scenario(algorithm=name, trials=trials, delay_s=delay_s)
            by[name] = compared(scenario, Path(folder), kills, seed=0)
    names = ("kills", "lost", "doubled", "same_front", "same_trials")
    return {
        "problem": "proxyless, table:pixel1, soft reward at 75 ms, ordered mode",
        "stand_in": STAND_IN,
        "trials": trials,
        "delay_ms": 1000 * delay_s,
        **{key: {name: found[key] for name, found in by.items()} for key in names},
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, help="of each algorithm's search (10)")
    parser.add_argument("--trials", type=int, default=120, help="of each search (120)")
    parser.add_argument("--quick", action="store_true", help="3 kills unless --kills is given")
    parser.add_argument("--delay-ms", type=float, default=20.0, help="longest of a training (20)")
    parser.add_argument(
        "--algorithms",
        nargs="+",
        choices=[*map(str, ALGORITHMS)],
        default=ALGORITHMS,
        help="(all that search a space of chains)",
    )
    parser.add_argument("--child", type=Path, help="run one search in this folder, unharmed")
    arguments = parser.parse_args()
    delay_s = arguments.delay_ms / 1000
    if arguments.child is not None:
        search(arguments.child, arguments.algorithms[0], arguments.trials, delay_s)
        return
    kills = arguments.kills or (3 if arguments.quick else 10)
    print(json.dumps(result(arguments.algorithms, arguments.trials, kills, delay_s)))


if __name__ == "__main__":
    main()
