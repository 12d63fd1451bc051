"""Searches as a stage of a comparison: run, resumed, and the networks that they would choose."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.comparison.script import Say
from controller import run_folder
from controller.algorithm import Evaluated
from controller.candidate import Candidate
from controller.evaluation import Evaluation
from controller.progress import Progress
from controller.ranking import trained
from controller.reward import Reward
from controller.search import Search
from controller.study import Study
from pocketnas.assembly import Assembly, assemble
from pocketnas.config import SearchConfig
from training.local_executor import LocalExecutor
from workspace.errors import InputError
from workspace.files import write_whole

LANES = 2
"""Trainings at once; their number decides nothing but the time."""


class Told:
    """Is told how a search goes; an ``Observer``."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def on_progress(self, progress: Progress) -> None:
        """See ``Observer``."""
        if progress.told % 10 and progress.told != progress.trials:
            return
        best = progress.best
        shown = "nothing yet" if best is None else f"best reward {best.reward:.4f}"
        minutes = progress.left_s / 60
        self._say(f"{progress.told} of {progress.trials} trials, {shown}, {minutes:.0f} min left")


def searched(folder: Path, config: SearchConfig, count: int, say: Say) -> list[Candidate]:
    """A search, run to its end or from where it was cut off, and its best networks.

    It is a run's folder, so ``pocketnas show`` tells of it too. Where training is ours, two go on
    at once, and none beside a measurement.

    Args:
        folder: Of the run.
        config: Of the search.
        count: Networks that are wanted.
        say: Is told how it goes.

    Raises:
        InputError: If the folder is that of another search.
        OperationError: If the search cannot go on.
    """
    with _folder(folder, config):
        study = Study.in_folder(folder, config=config.to_toml(), exist_ok=True)
        parts = assemble(config, check_target=False)
        if isinstance(parts.executor, LocalExecutor):
            parts.executor.close()
            parts = replace(parts, executor=LocalExecutor(lanes=LANES))
        try:
            _search(parts, study, say)
            assert isinstance(parts.reward, Reward)  # the target is a latency
            return best_of(tuple(study.candidates()), parts.reward, count)
        finally:
            parts.close()
            study.close()


def _search(parts: Assembly, study: Study, say: Say) -> None:
    evaluation = Evaluation(parts.evaluation, parts.source, parts.executor, parts.reward, study)
    Search(
        parts.settings,
        parts.space,
        parts.algorithm,
        evaluation,
        study,
        Told(say),
        stopping=parts.stopping,
    ).run()


@contextmanager
def _folder(folder: Path, config: SearchConfig) -> Iterator[None]:
    """The folder of a run, new or of the same search, held while the block runs."""
    path = folder / "config.toml"
    if not path.is_file():
        with run_folder.create(folder):
            write_whole(path, config.to_toml().encode())
            yield
        return
    if SearchConfig.load(path, {}) != config:
        msg = f"the search in {str(folder)!r} has other settings: give another --log"
        raise InputError(msg)
    with run_folder.resume(folder):
        yield


def best_of(candidates: Sequence[Candidate], reward: Reward, count: int) -> list[Candidate]:
    """The best networks of a search by validation, the best first.

    Those within the target come first; of those, as long as there are any, networks that were
    trained again, by the mean of their trainings: the best of many single ones was lucky.
    """
    accuracies = trained(candidates)
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        if isinstance(candidate.outcome, Evaluated) and candidate.latency is not None:
            first.setdefault(candidate.key, candidate)

    def worth(key: str) -> tuple[bool, bool, float]:
        latency = first[key].latency
        assert latency is not None
        value = reward.value(statistics.fmean(accuracies[key]), latency.latency_ms)
        return latency.latency_ms <= reward.target_ms, len(accuracies[key]) > 1, value

    keys = sorted((key for key in first if key in accuracies), key=worth, reverse=True)
    return [first[key] for key in keys[:count]]
