import pytest
import torch

from training.distributed import ALONE
from training.schedule import Arithmetic, OptimizerName, Schedule
from training.stepper import Stepper
from training.task import create

IMAGES = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8)


def made(job, **changes):
    task = create("digits")
    schedule = Schedule(samples=100, learning_rate=0.1, **changes)
    module = job.architecture.build(task.head)
    return module, Stepper(module, task, schedule, ALONE)


def step(stepper, share=1.0):
    return stepper.step((IMAGES,), LABELS, rate=0.05, share=share)


def test_steps_make_the_loss_smaller(job):
    _, stepper = made(job)
    losses = [step(stepper).item() for _ in range(10)]
    assert losses[-1] < losses[0]


def test_a_part_of_a_batch_counts_by_its_share(job):
    (whole, first), (part, second) = (
        made(job, optimizer=OptimizerName.SGD, weight_decay=0.0) for _ in range(2)
    )
    before = whole.classifier.bias.detach().clone()
    loss, part_of_it = step(first), step(second, share=0.5)
    assert part_of_it == pytest.approx(loss.item() / 2)
    moved, moved_half = (each.classifier.bias.detach() - before for each in (whole, part))
    assert torch.allclose(moved_half, moved / 2, atol=1e-7)


@pytest.mark.parametrize("name", list(OptimizerName))
def test_what_it_saves_is_all_that_goes_on(job, name):
    changes = {"optimizer": name, "ema": 0.9, "clip": 1.0}
    module, stepper = made(job, **changes)
    for _ in range(3):
        step(stepper)
    saved = stepper.saved()
    step(stepper)
    other, again = made(job, **changes)
    again.go_on_from(saved)
    step(again)
    pairs = zip(module.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    averages = (each.average.network.state_dict().values() for each in (stepper, again))
    assert all(torch.equal(one, two) for one, two in zip(*averages, strict=True))
    assert again.average.steps == 4


def test_half_precision_scales_its_gradients_and_saves_the_scale(job):
    """The scaler works on the CPU too, though a trainer takes fp16 on GPUs alone."""
    module, stepper = made(job, arithmetic=Arithmetic.FP16, optimizer=OptimizerName.SGD)
    before = module.classifier.weight.detach().clone()
    for _ in range(12):  # the first scales may be too large, and such steps are left out
        step(stepper)
    assert not torch.equal(before, module.classifier.weight)
    assert module.classifier.weight.isfinite().all()
    saved = stepper.saved()
    assert saved.facts["scaler"]["scale"] > 0
    _, other = made(job, arithmetic=Arithmetic.FP16, optimizer=OptimizerName.SGD)
    other.go_on_from(saved)
    assert other.saved().facts["scaler"] == saved.facts["scaler"]
