from dataclasses import replace

import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Own
from benchmarks.comparison.trainings import Job, Trained, fitted, loaded, require_trained, train
from search_space.mnasnet import MnasNetSpace
from training.classification import SMALL_IMAGES
from training.schedule import Schedule
from workspace.errors import OperationError

torch = pytest.importorskip("torch")

SPACE = MnasNetSpace.from_options({**SMALL_IMAGES, "size": "16", "width": "0.25"})
OWN = Own(name="ours", architecture=SPACE.decode((0,) * len(SPACE.points.choices)))


def job(seed=0, samples=32, **more):
    schedule = Schedule(samples=samples, batch=16, learning_rate=0.01)
    return Job(network=OWN, seed=seed, schedule=schedule, size=16, task="digits", **more)


def quiet(_text):
    pass


class Fit:
    """Counts what it is asked to train."""

    def __init__(self):
        self.asked = []

    def __call__(self, job):
        self.asked.append(job)
        if job.checkpoint is not None:
            job.checkpoint.write_bytes(b"weights")
        return Trained(validation=0.5 + job.seed / 100, test=0.25, seconds=1.0)


def test_a_second_run_trains_nothing_and_finds_the_same(tmp_path):
    jobs, fit = [job(0), job(1)], Fit()
    first = train(jobs, Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    assert fit.asked == jobs
    again = train(jobs, Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    assert fit.asked == jobs
    assert again == first
    assert [one.validation for one in again] == [0.5, 0.51]


def test_a_run_that_was_cut_off_trains_what_is_missing_only(tmp_path):
    fit = Fit()
    train([job(0)], Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    train([job(0), job(1)], Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    assert fit.asked == [job(0), job(1)]


def test_what_is_asked_twice_is_trained_once(tmp_path):
    fit = Fit()
    found = train([job(0), job(0)], Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    assert len(fit.asked) == 1
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "other",
    [
        job(seed=1),
        job(samples=48),
        replace(job(), size=8),
        replace(job(), task="fashion-mnist"),
        replace(job(), network=Own(name="ours", architecture=OWN.architecture.at(32))),
    ],
    ids=["seed", "schedule", "size", "task", "network"],
)
def test_whatever_decides_a_result_is_in_the_key(other):
    assert other.key != job().key


def test_other_code_trains_anew(tmp_path, monkeypatch):
    fit = Fit()
    train([job()], Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    monkeypatch.setattr("benchmarks.comparison.trainings._code", lambda: "other")
    train([job()], Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    assert len(fit.asked) == 2


def test_the_name_of_a_network_and_where_weights_go_decide_nothing(tmp_path):
    renamed = replace(job(), network=replace(OWN, name="another"), checkpoint=tmp_path / "w")
    assert renamed.key == job().key


def test_weights_that_are_gone_are_trained_again(tmp_path):
    kept = job(checkpoint=tmp_path / "w")
    fit, log = Fit(), Log(tmp_path / "log")
    train([kept], log, quiet, processes=0, fit=fit)
    train([kept], log, quiet, processes=0, fit=fit)
    assert len(fit.asked) == 1
    (tmp_path / "w").unlink()
    train([kept], log, quiet, processes=0, fit=fit)
    assert len(fit.asked) == 2


def test_a_training_that_diverged_is_kept_and_said(tmp_path):
    def diverges(_job):
        return Trained(validation=0.0, test=0.0, seconds=0.0, failure="the loss is nan")

    log = Log(tmp_path / "log")
    train([job()], log, quiet, processes=0, fit=diverges)
    fit = Fit()
    found = train([job()], Log(tmp_path / "log"), quiet, processes=0, fit=fit)
    assert not fit.asked
    with pytest.raises(OperationError, match="ours was not trained with seed 0: the loss is nan"):
        require_trained([job()], found)


def test_the_trainer_trains_and_leaves_weights_that_give_the_same_accuracy(tmp_path):
    from training.digits import Digits
    from training.task import Split
    from training.trainer import Trainer

    whole = job(samples=640, checkpoint=tmp_path / "deep" / "w.safetensors")
    (found,) = train([whole], Log(tmp_path / "log"), quiet, processes=0)
    assert found.validation > 0.2
    again = Trainer("cpu").evaluate(loaded(whole), Digits(), size=16, split=Split.TEST)
    assert again == found.test
    assert fitted(replace(whole, checkpoint=None)).test == found.test


def test_no_weights_are_said_by_their_path(tmp_path):
    with pytest.raises(OperationError, match="has no trained weights at"):
        loaded(job(checkpoint=tmp_path / "w"))


@pytest.mark.slow
def test_processes_give_what_this_one_gives(tmp_path):
    jobs = [job(0), job(1)]
    here = train(jobs, Log(tmp_path / "here"), quiet, processes=0)
    there = train(jobs, Log(tmp_path / "there"), quiet, processes=2)
    assert [(a.validation, a.test) for a in here] == [(b.validation, b.test) for b in there]
