from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from search_space.architecture import Detector
from training.digits import Digits
from training.executor import Rung, TrainingError
from training.schedule import Arithmetic, Decay, OptimizerName
from training.stages import Regularization, TrainingStage
from training.task import Split, create
from training.trainer import Trainer
from workspace.errors import InputError, OperationError


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


def test_activations_of_grey_images_have_their_channels_last_too(job):
    task, strides = create("digits"), []
    module = job.architecture.build(task.head)
    stem = next(part for part in module.modules() if isinstance(part, torch.nn.Conv2d))
    stem.register_forward_hook(lambda _part, _inputs, output: strides.append(output.stride()))
    Trainer("cpu").fit(module, task, replace(job.schedule, samples=64), size=16, seed=0)
    assert stem.in_channels == 1
    assert all(channel == 1 and column == stem.out_channels for _, channel, _, column in strides)
    assert strides


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


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": OptimizerName.RMSPROP_TF, "decay": Decay.STAIRCASE, "learning_rate": 0.01},
        {"optimizer": OptimizerName.SGD, "learning_rate": 0.2, "clip": 5.0},
        {"ema": 0.99},
    ],
)
def test_other_recipes_learn_the_digits_too(job, changes):
    _, result = fit(job, samples=6400, **changes)
    assert result.accuracy > 0.6


def test_the_averaged_weights_are_evaluated_and_kept(job):
    plain, _ = fit(job)
    averaged, result = fit(job, ema=0.999)
    assert not torch.equal(plain.classifier.weight, averaged.classifier.weight)
    again = Trainer("cpu").evaluate(averaged, create("digits"), size=16, split=Split.VALIDATION)
    assert again == result.accuracy


def test_half_precision_without_a_gpu_is_refused(job):
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        fit(job, arithmetic=Arithmetic.FP16)


def test_the_result_says_all_that_the_network_is_worth(job):
    _, result = fit(job)
    found = result.evaluation
    assert (found.split, found.examples, found.accuracy) == ("validation", 300, result.accuracy)
    assert found.accuracy <= found.top5 <= 1
    assert found.loss > 0
    assert 0 <= found.calibration_error <= 1


def test_without_a_compiler_nothing_is_compiled_and_it_is_said(job, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(OperationError, match=r"needs a C\+\+ compiler"):
        fit(job, compiled=True)


@pytest.mark.slow
def test_a_compiled_network_learns_as_one_that_is_not(job):
    _, plain = fit(job)
    module, compiled = fit(job, compiled=True)
    assert compiled.accuracy == pytest.approx(plain.accuracy, abs=0.1)
    assert list(module.state_dict()) == list(
        job.architecture.build(create("digits").head).state_dict()
    )


TWO_SIZES = (
    TrainingStage(until=0.5, size=8, regularization=Regularization(dropout=0.5)),
    TrainingStage(until=1, size=16, batch=16),
)


class Watching:
    """Notes what it is told."""

    def __init__(self, module=None):
        self.module, self.stages, self.steps, self.evaluations, self.dropouts = (
            module,
            [],
            [],
            [],
            [],
        )

    def on_stage(self, stage, part, seen):
        self.stages.append((stage, part.size, seen))

    def on_step(self, step):
        self.steps.append(step)
        self.dropouts.append(self.module.dropout.p)

    def on_evaluation(self, evaluation, seen):
        self.evaluations.append((seen, evaluation.accuracy))


def watched(job, evaluate_every=0, **changes):
    task = create("digits")
    module = job.architecture.build(task.head)
    watching = Watching(module)
    result = Trainer("cpu").fit(
        module,
        task,
        replace(job.schedule, **changes),
        size=16,
        seed=0,
        observer=watching,
        evaluate_every=evaluate_every,
    )
    return module, result, watching


def test_stages_change_size_batch_and_dropout_while_all_else_goes_on(job):
    module, result, watching = watched(job, stages=TWO_SIZES, ema=0.9)
    assert watching.stages == [(0, 8, 0), (1, 16, 320)]
    assert [step.images for step in watching.steps] == [32] * 10 + [16] * 20
    assert [step.number for step in watching.steps] == list(range(1, 31))
    assert {step.steps for step in watching.steps} == {30}
    assert watching.dropouts == [0.5] * 10 + [0.0] * 20
    assert module.dropout.p == 0.0
    rates = [step.learning_rate for step in watching.steps]
    assert max(rates) == 0.02
    assert sorted(rates[5:], reverse=True) == rates[5:]  # no new warm-up
    assert result.samples == 640


def test_a_step_is_of_one_stage_and_the_last_one_takes_what_is_left(job):
    thirds = (TrainingStage(until=0.33, size=8), TrainingStage(until=1, size=16, batch=50))
    _, result, watching = watched(job, stages=thirds)
    assert [step.images for step in watching.steps] == [32] * 7 + [50] * 8 + [16]
    assert {step.steps for step in watching.steps} == {16}
    assert result.samples == 640


def test_one_stage_of_the_whole_is_a_training_without_stages(job):
    (_, plain), (_, staged) = fit(job), fit(job, stages=(TrainingStage(until=1, size=16),))
    assert staged.evaluation == plain.evaluation


def test_evaluations_on_the_way_change_nothing_of_what_comes_after(job):
    _, plain = fit(job)
    _, result, watching = watched(job, evaluate_every=200)
    assert [seen for seen, _ in watching.evaluations] == [224, 416, 608]
    assert result.evaluation == plain.evaluation


def test_strong_stages_make_the_loss_on_training_images_larger(job):
    strong = Regularization(randaugment=10, mixup=0.4, cutmix=1.0)
    losses = []
    for strength in (Regularization(), strong):
        stage = TrainingStage(until=1, size=16, regularization=strength)
        _, _, watching = watched(job, samples=3200, stages=(stage,))
        losses.append(sum(step.loss for step in watching.steps[-20:]))
    assert losses[1] > losses[0]


def test_what_a_task_has_no_meaning_for_is_refused_before_anything_is_trained(job):
    class Boxes(Digits):
        head = Detector(classes=10)

    stage = TrainingStage(until=1, size=16, regularization=Regularization(cutmix=0.1))
    schedule = replace(job.schedule, stages=(stage,))
    module = job.architecture.build(create("digits").head)
    with pytest.raises(InputError, match="CutMix is not for the data set 'digits'"):
        Trainer("cpu").fit(module, Boxes(), schedule, size=16, seed=0)


def test_the_end_of_a_stage_is_evaluated_too(job):
    stages = (TrainingStage(until=0.25, size=8), TrainingStage(until=1, size=16))
    _, _, watching = watched(job, evaluate_every=500, stages=stages)
    assert [seen for seen, _ in watching.evaluations] == [160, 512]
    done = [step.done for step in watching.steps]
    assert done == sorted(done)
    assert done[-1] == 1
    assert done[4] == pytest.approx(0.25 * 8**2 / (0.25 * 8**2 + 0.75 * 16**2))
