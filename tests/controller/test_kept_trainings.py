import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from controller.kept_trainings import FailedTraining, KeptTrainings, Trained, key_of
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from training.executor import TrainingError, TrainingJob, TrainingResult
from training.schedule import Schedule
from workspace.errors import InputError, OperationError


def job(seed: int, name: str = "") -> TrainingJob:
    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=3, filters=8, repeats=1)
    chain = ChainArchitecture(size=16, stem=Stem(filters=8), stages=(stage,), head_filters=32)
    return TrainingJob(
        id=name or f"job-{seed}",
        architecture=chain,
        task="digits",
        schedule=Schedule(samples=100),
        seed=seed,
        deadline_s=60.0,
    )


JOBS = [job(seed) for seed in range(6)]


class MadeUpTraining:
    """As accurate as the seed says; later jobs end sooner. Nothing is trained."""

    on_this_computer = False
    deterministic = True
    stops_early = False

    def __init__(self, lanes: int = 1, failing: int | None = None) -> None:
        self.lanes = lanes
        self.most = 0
        self.jobs: list[TrainingJob] = []
        self._failing = failing
        self._running = 0
        self._pool = ThreadPoolExecutor(lanes)
        self._all_lanes = threading.Barrier(lanes)

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        self.jobs.append(job)
        self._running += 1
        self.most = max(self.most, self._running)
        future = self._pool.submit(self._run, job)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: object) -> None:
        self._running -= 1

    def _run(self, job: TrainingJob) -> TrainingResult:
        self._all_lanes.wait(timeout=10)
        if job.seed == self._failing:
            msg = "out of memory\n  at layer 3"
            raise TrainingError(msg)
        return TrainingResult(
            accuracy=job.seed / 10, samples=100, seconds=1.0, stand_in="a fake: nothing trained"
        )

    def close(self) -> None:
        self._pool.shutdown()


def train(tmp_path, executor, jobs=JOBS):
    said: list[str] = []
    kept = KeptTrainings(tmp_path / "log.jsonl", "a comparison")
    try:
        return kept.train(jobs, executor, said.append), said
    finally:
        executor.close()


@pytest.mark.parametrize("lanes", [1, 3])
def test_results_come_in_the_order_of_the_jobs_from_all_lanes(tmp_path, lanes):
    executor = MadeUpTraining(lanes)
    found, said = train(tmp_path, executor)
    assert [one.accuracy for one in found] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert executor.most == lanes
    assert {text.partition(":")[0] for text in said} == {f"{n} of 6" for n in range(1, 7)}


def test_what_is_kept_is_not_trained_again_and_that_is_said(tmp_path):
    train(tmp_path, MadeUpTraining(), JOBS[:4])
    more = MadeUpTraining()
    found, said = train(tmp_path, more)
    assert [one.seed for one in more.jobs] == [4, 5]
    assert found[3] == Trained(accuracy=0.3, seconds=1.0)
    assert said[0].startswith("4 of 6 trainings are in ")
    assert said[1].startswith("5 of 6: job-4")


def test_equal_jobs_are_trained_once(tmp_path):
    executor = MadeUpTraining()
    found, _ = train(tmp_path, executor, [job(1), job(2), job(1, "the same again")])
    assert [one.accuracy for one in found] == [0.1, 0.2, 0.1]
    assert len(executor.jobs) == 2


def test_a_failure_ends_it_after_what_was_under_way_is_kept(tmp_path):
    with pytest.raises(OperationError, match=r"job-1 failed, what was trained is kept in .*log"):
        train(tmp_path, MadeUpTraining(3, failing=1), JOBS[:3])
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {"job-0", "job-2"}


def tried(tmp_path, executor, jobs=JOBS):
    said: list[str] = []
    kept = KeptTrainings(tmp_path / "log.jsonl", "a comparison")
    try:
        return kept.try_each(jobs, executor, said.append), said
    finally:
        executor.close()


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_failure_is_kept_as_such_and_the_others_are_trained(tmp_path, lanes):
    found, said = tried(tmp_path, MadeUpTraining(lanes, failing=1))
    assert found[1] == FailedTraining(text="out of memory at layer 3")
    assert [one.accuracy for one in found if isinstance(one, Trained)] == [0.0, 0.2, 0.3, 0.4, 0.5]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {one["id"]: one["failed"] for one in lines if "failed" in one} == {
        "job-1": "out of memory at layer 3"
    }
    assert len(said) == 6
    told = [text.partition(": ")[2] for text in said]
    assert told.count("job-1, failed: out of memory at layer 3") == 1


@pytest.mark.parametrize("still", [True, False])
def test_what_failed_is_tried_again_which_is_said_and_ends_whatever_comes_of_it(tmp_path, still):
    tried(tmp_path, MadeUpTraining(failing=1))
    again = MadeUpTraining(failing=1 if still else None)
    found, said = tried(tmp_path, again)
    assert [one.seed for one in again.jobs] == [1]
    assert isinstance(found[1], FailedTraining if still else Trained)
    assert said[1] == "1 of 6 trainings failed before: tried again"
    assert said[2].startswith("6 of 6: job-1, ")


def test_a_job_that_cannot_begin_is_a_failure_too(tmp_path):
    class Closed(MadeUpTraining):
        def submit(self, _):
            msg = "the executor is closed"
            raise TrainingError(msg)

    found, _ = tried(tmp_path, Closed(), JOBS[:2])
    assert found == [FailedTraining(text="the executor is closed")] * 2


def test_what_failed_for_one_that_goes_on_is_trained_by_one_that_does_not(tmp_path):
    tried(tmp_path, MadeUpTraining(failing=1))
    found, _ = train(tmp_path, MadeUpTraining())
    assert found[1] == Trained(accuracy=0.1, seconds=1.0)


def test_where_nothing_was_trained_no_file_is_left(tmp_path):
    with pytest.raises(OperationError, match="job-0 failed"):
        train(tmp_path, MadeUpTraining(failing=0))
    assert list(tmp_path.iterdir()) == []


def test_a_last_line_that_was_cut_off_is_trained_again(tmp_path):
    train(tmp_path, MadeUpTraining(), JOBS[:3])
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text()[:-9])
    more = MadeUpTraining()
    train(tmp_path, more, JOBS[:3])
    assert [one.seed for one in more.jobs] == [2]
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 3


def test_a_folder_is_no_log(tmp_path):
    with pytest.raises(InputError, match="cannot be read as the log of a comparison"):
        KeptTrainings(tmp_path, "a comparison")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        KeptTrainings(tmp_path / "file" / "log.jsonl", "it").train(JOBS, MadeUpTraining(), print)


def test_the_name_of_a_job_is_not_in_its_key():
    assert key_of(job(1)) == key_of(job(1, "another"))
    assert key_of(job(1)) != key_of(job(2))


def test_what_another_program_trained_is_trained_again(tmp_path):
    train(tmp_path, MadeUpTraining(), JOBS[:1])
    for program, left in (("python a.py", 1), ("python b.py", 1), ("python a.py", 0), ("", 0)):
        executor = MadeUpTraining()
        kept = KeptTrainings(tmp_path / "log.jsonl", "a comparison", program)
        kept.train(JOBS[:1], executor, print)
        executor.close()
        assert len(executor.jobs) == left


def test_the_key_of_our_own_training_is_as_ever():
    assert key_of(job(1)) == "ffc2607be0401c7e"
