from dataclasses import replace

import pytest
import torch
from torch import nn

from training.optimizers import clip, optimizer_of, set_rate
from training.schedule import OptimizerName, Schedule

SCHEDULE = Schedule(samples=10, learning_rate=0.1, weight_decay=0.5)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


@pytest.mark.parametrize("name", list(OptimizerName))
def test_every_optimizer_moves_the_weights_and_decays_matrices_alone(module, name):
    optimizer = optimizer_of(module, replace(SCHEDULE, optimizer=name))
    decayed, others = optimizer.param_groups
    assert [p.ndim for p in decayed["params"]] == [2]
    assert [p.ndim for p in others["params"]] == [1, 1, 1]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
    before = module[0].weight.detach().clone()
    module(torch.randn(4, 3)).square().sum().backward()
    set_rate(optimizer, 0.01)
    optimizer.step()
    assert not torch.equal(before, module[0].weight)


def test_rmsprop_steps_as_tensorflows_does():
    weight = nn.Parameter(torch.ones(2, 2))
    module = nn.Module()
    module.weight = weight
    schedule = replace(SCHEDULE, optimizer=OptimizerName.RMSPROP_TF, weight_decay=0.0)
    optimizer = optimizer_of(module, schedule)
    square, momentum, expected = torch.ones(2, 2), torch.zeros(2, 2), torch.ones(2, 2)
    for gradient in (torch.full((2, 2), 2.0), torch.full((2, 2), -1.0)):
        weight.grad = gradient
        optimizer.step()
        square = 0.9 * square + 0.1 * gradient**2
        momentum = 0.9 * momentum + 0.1 * gradient / (square + 1e-3).sqrt()
        expected = expected - momentum
    assert torch.allclose(weight, expected)


def test_gradients_are_clipped_by_their_common_norm(module):
    module(torch.randn(4, 3)).square().sum().mul(1000).backward()
    clip(module, replace(SCHEDULE, clip=0.0))
    norm = torch.cat([p.grad.flatten() for p in module.parameters()]).norm()
    assert norm > 1
    clip(module, replace(SCHEDULE, clip=0.25))
    norm = torch.cat([p.grad.flatten() for p in module.parameters()]).norm()
    assert norm == pytest.approx(0.25, rel=1e-4)
