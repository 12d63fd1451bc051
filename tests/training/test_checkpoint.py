import json
from dataclasses import replace

import pytest
import torch

from training.checkpoint import Checkpoints, Identity
from training.loop import Loop
from training.progress import Unwatched
from training.saved import Saved
from training.schedule import OptimizerName
from training.stages import Regularization, TrainingStage
from training.task import create
from training.trainer import Trainer
from workspace.errors import InputError, OperationError

STAGES = (
    TrainingStage(until=0.5, size=8, regularization=Regularization(dropout=0.3)),
    TrainingStage(
        until=1, size=16, batch=16, regularization=Regularization(randaugment=5, mixup=0.2)
    ),
)


class CutOffError(Exception):
    pass


class CutsOff(Unwatched):
    """Ends a training after a step, as a crash would."""

    def __init__(self, after):
        self.after, self.first = after, None

    def on_step(self, step):
        self.first = self.first or step.number
        if step.number == self.after:
            raise CutOffError


def identity(job):
    return Identity(
        architecture=job.architecture.key, task=job.task, schedule=job.schedule, seed=0
    )


def fit(job, folder=None, cut_after=None, every_s=0.0):
    task = create("digits")
    module = job.architecture.build(task.head)
    watching = CutsOff(cut_after)
    result = Trainer("cpu").fit(
        module,
        task,
        job.schedule,
        size=16,
        seed=0,
        observer=watching,
        checkpoints=folder and Checkpoints(folder, identity(job), every_s=every_s),
    )
    return module.state_dict(), result, watching


def cut_and_resumed(job, folder, *places):
    for place in places:
        with pytest.raises(CutOffError):
            fit(job, folder, cut_after=place)
    return fit(job, folder)


def changed(job, **changes):
    architecture = replace(job.architecture, dropout=0.2)
    return replace(job, architecture=architecture, schedule=replace(job.schedule, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": OptimizerName.RMSPROP_TF, "ema": 0.99, "stages": STAGES},
        {"optimizer": OptimizerName.SGD, "clip": 1.0, "samples": 2500},
    ],
)
def test_a_training_cut_off_anywhere_ends_with_the_same_bits(job, tmp_path, changes):
    job = changed(job, **changes)
    whole, result, _ = fit(job)
    state, again, watching = cut_and_resumed(job, tmp_path, 3, 9, 14)
    assert all(torch.equal(whole[name], state[name]) for name in whole)
    assert again.evaluation == result.evaluation
    assert watching.first == 14  # of the step that was cut off nothing is kept


def test_a_training_that_is_done_is_evaluated_again_only(job, tmp_path):
    _, result, _ = fit(job, tmp_path, every_s=1000.0)
    _, again, watching = fit(job, tmp_path)
    assert watching.first is None
    assert again.evaluation == result.evaluation
    assert again.samples == result.samples


def test_two_checkpoints_are_there_and_a_damaged_last_one_costs_one_step(job, tmp_path):
    whole, _, _ = fit(job)
    with pytest.raises(CutOffError):
        fit(job, tmp_path, cut_after=8)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "step-000000006.json",
        "step-000000006.safetensors",
        "step-000000007.json",
        "step-000000007.safetensors",
    ]
    damaged = tmp_path / "step-000000007.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    state, _, watching = fit(job, tmp_path)
    assert watching.first == 7
    assert all(torch.equal(whole[name], state[name]) for name in whole)


def test_tensors_without_their_json_are_no_checkpoint(job, tmp_path):
    with pytest.raises(CutOffError):
        fit(job, tmp_path, cut_after=8)
    (tmp_path / "step-000000007.json").unlink()
    assert Checkpoints(tmp_path, identity(job)).latest().facts["step"] == 6


def test_where_nothing_can_be_read_the_training_does_not_begin_anew(job, tmp_path):
    with pytest.raises(CutOffError):
        fit(job, tmp_path, cut_after=4)
    for path in tmp_path.glob("*.json"):
        path.write_text("{")
    with pytest.raises(OperationError, match="none of the 2 checkpoints"):
        fit(job, tmp_path)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"architecture": "chain_x"}, "another architecture: chain_16px.*and chain_x was asked"),
        ({"task": "fashion-mnist"}, "another task: digits, and fashion-mnist was asked for"),
        ({"seed": 7}, "another seed: 0, and 7"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(job, tmp_path, other, words):
    with pytest.raises(CutOffError):
        fit(job, tmp_path, cut_after=2)
    with pytest.raises(InputError, match=words):
        Checkpoints(tmp_path, replace(identity(job), **other)).latest()


KNOWN = {"classes": ("cat", "dog"), "digest": "0a"}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"classes": ("cat", "cow", "dog")}, "classes: cat, dog, and it has cat, cow, dog now;"),
        (
            {"classes": ("cow", "dog")},
            "classes: cat, dog, and it has cow, dog now; go on with the",
        ),
        ({"digest": "0b"}, "a training on 'digits' with other files or labels than it has now;"),
    ],
)
def test_a_checkpoint_on_data_that_has_changed_is_refused_with_what_has(
    job, tmp_path, other, words
):
    known = replace(identity(job), **KNOWN)
    Checkpoints(tmp_path, known).save(Saved(tensors={}, facts={"step": 1}))
    assert Checkpoints(tmp_path, known).latest() is not None
    Checkpoints(tmp_path, known).require_same()
    changed = Checkpoints(tmp_path, replace(known, **other))
    for ask in (changed.latest, changed.require_same):
        with pytest.raises(InputError, match=words) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_data_that_one_of_two_trainings_does_not_know_is_not_compared(job, tmp_path):
    known = replace(identity(job), **KNOWN)
    for place, written, asked in (("old", identity(job), known), ("new", known, identity(job))):
        Checkpoints(tmp_path / place, written).save(Saved(tensors={}, facts={"step": 1}))
        assert Checkpoints(tmp_path / place, asked).latest() is not None
    (document,) = (tmp_path / "old").glob("*.json")
    assert not {"classes", "digest"} & set(json.loads(document.read_text()))


def test_a_checkpoint_of_another_schedule_is_refused_with_the_field(job, tmp_path):
    with pytest.raises(CutOffError):
        fit(job, tmp_path, cut_after=2)
    with pytest.raises(InputError, match="another batch: 32, and 48 was asked for"):
        fit(replace(job, schedule=replace(job.schedule, batch=48)), tmp_path)


def test_a_checkpoint_of_a_newer_version_is_refused(job, tmp_path):
    with pytest.raises(CutOffError):
        fit(job, tmp_path, cut_after=2)
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(InputError, match="newer version: 99"):
        fit(job, tmp_path)


def test_one_that_cannot_be_written_is_a_stated_failure(job, tmp_path):
    (tmp_path / "taken").write_text("")
    checkpoints = Checkpoints(tmp_path / "taken", identity(job))
    with pytest.raises(OperationError, match="no checkpoint can be written"):
        checkpoints.save(Saved(tensors={}, facts={"step": 1}))


def test_they_are_as_far_apart_as_is_asked_for(job, tmp_path):
    fit(job, tmp_path, every_s=1000.0)
    assert [path.stem for path in tmp_path.glob("*.json")] == ["step-000000020"]


def test_a_loop_has_all_of_its_state_in_what_it_saves(job):
    assert {"model", "optimizer", "average", "random"} == {
        name.partition(".")[0] for name in _loop(changed(job, ema=0.9)).saved().tensors
    }


def _loop(job):
    from training.feed import Feed

    task = create("digits")
    loop = Loop(
        job.architecture.build(task.head),
        task,
        job.schedule,
        size=16,
        seed=0,
        feed=Feed(torch.device("cpu")),
    )
    next(loop.run())
    return loop
