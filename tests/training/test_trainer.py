from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from training.executor import Arithmetic, TrainingError
from training.task import Split, create
from training.trainer import Trainer


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fit(job, **changes):
    task = create("digits")
    module = job.architecture.build(task.head)
    schedule = replace(job.schedule, **changes)
    return module, Trainer("cpu").fit(module, task, schedule, size=16, seed=0)


def test_a_network_learns_the_digits_well_above_chance(job):
    _, result = fit(job, samples=6400)
    assert result.accuracy > 0.6
    assert result.samples == 6400


def test_two_trainings_are_equal_to_the_last_bit(job):
    (first, one), (second, two) = fit(job), fit(job)
    assert one.accuracy == two.accuracy
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_global_generator_is_left_as_it_was(job):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(job)
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_gives_another_training(job):
    task = create("digits")
    states = []
    for seed in (0, 1):
        module = job.architecture.build(task.head)
        Trainer("cpu").fit(module, task, job.schedule, size=16, seed=seed)
        states.append(module.classifier.weight.detach().clone())
    assert not torch.equal(*states)


def test_the_checkpoint_has_the_weights_that_were_evaluated(job, tmp_path):
    task = create("digits")
    module = job.architecture.build(task.head)
    path = tmp_path / "weights.safetensors"
    trainer = Trainer("cpu")
    result = trainer.fit(module, task, job.schedule, size=16, seed=0, checkpoint=path)
    fresh = job.architecture.build(task.head)
    fresh.load_state_dict(load_file(path))
    assert trainer.evaluate(fresh, task, size=16, split=Split.VALIDATION) == result.accuracy


def test_a_training_that_diverges_says_at_which_step(job):
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+ of 20"):
        fit(job, learning_rate=1e30)


def test_bf16_trains_too(job):
    _, result = fit(job, arithmetic=Arithmetic.BF16)
    assert 0 <= result.accuracy <= 1


def test_grey_images_are_repeated_for_a_network_that_takes_colour(job):
    task = create("digits")
    module = replace(job.architecture, channels=3).build(task.head)
    result = Trainer("cpu").fit(module, task, job.schedule, size=16, seed=0, channels=3)
    assert 0 <= result.accuracy <= 1
