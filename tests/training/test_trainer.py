from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from training.executor import Arithmetic, Rung, TrainingError
from training.task import Split, create
from training.trainer import Trainer


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


def looked_at(job, *rungs, **options):
    task = create("digits")
    module = job.architecture.build(task.head)
    result = Trainer("cpu").fit(
        module, task, job.schedule, size=16, seed=0, rungs=rungs, **options
    )
    return module, result


def test_looks_on_the_way_change_no_bit_of_what_comes_after(job):
    plain, alone = fit(job)
    module, result = looked_at(job, Rung(samples=100), Rung(samples=320, least=0.01))
    assert result.accuracy == alone.accuracy
    weights = zip(plain.state_dict().values(), module.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
    assert [look.samples for look in result.looks] == [128, 320]
    assert not result.stopped


def test_a_training_that_misses_a_rung_ends_there_and_leaves_no_weights(job, tmp_path):
    path = tmp_path / "weights.safetensors"
    rungs = (Rung(samples=128), Rung(samples=256, least=1.1), Rung(samples=320))
    _, result = looked_at(job, *rungs, checkpoint=path)
    assert result.stopped
    assert result.samples == 256
    assert [look.samples for look in result.looks] == [128, 256]
    assert result.accuracy == result.looks[-1].accuracy
    assert not path.exists()


def test_a_rung_at_the_end_is_no_look_on_the_way(job):
    _, result = looked_at(job, Rung(samples=640, least=1.1), Rung(samples=1000, least=1.1))
    assert (result.looks, result.stopped, result.samples) == ((), False, 640)


def test_a_look_sees_more_than_chance_long_before_the_end(job):
    longer = replace(job, schedule=replace(job.schedule, samples=6400))
    _, result = looked_at(longer, Rung(samples=2133))
    assert 0.3 < result.looks[0].accuracy <= 1
