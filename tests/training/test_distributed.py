import copy

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch._C._distributed_c10d import HashStore

from training.distributed import (
    ALONE,
    GlobalBatchNorm2d,
    World,
    alone,
    require_devices,
    synchronised,
)
from workspace.errors import InputError


@pytest.fixture
def group():
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield World(rank=0, size=2)
    dist.destroy_process_group()


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, bias=False)
        self.norm = nn.BatchNorm2d(3, momentum=0.2)

    def forward(self, images):
        return self.norm(self.conv(images)).relu()


def network():
    torch.manual_seed(0)
    return Network()


def passed(module, images):
    images = images.clone().requires_grad_()
    out = module(images)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return out, images.grad, *(p.grad for p in module.parameters())


def test_a_global_batch_norm_does_what_torchs_own_does(group):
    own, ours = network(), network()
    images = 3 + torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    with synchronised(ours, group):
        assert isinstance(ours.norm, GlobalBatchNorm2d)
        for _ in range(3):
            for one, other in zip(passed(own, images), passed(ours, images), strict=True):
                assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)
        ours.eval()
        assert torch.allclose(own.eval()(images), ours(images), atol=1e-5)
    assert type(ours.norm) is nn.BatchNorm2d
    assert not ours.norm.training
    assert ours.norm.num_batches_tracked == 3
    for one, other in zip(own.state_dict().values(), ours.state_dict().values(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_copy_that_is_evaluated_needs_no_other_process(group):
    module = network()
    with synchronised(module, group):
        module(torch.randn(2, 1, 4, 4))
        lone = alone(copy.deepcopy(module))
    assert type(lone.norm) is nn.BatchNorm2d
    assert lone.norm.momentum == 0.2
    assert list(lone.state_dict()) == list(module.state_dict())
    assert torch.equal(lone.state_dict()["norm.running_mean"], module.norm.running_mean)


def test_one_process_is_left_as_it_is():
    module = network()
    norm = module.norm
    with synchronised(module, ALONE), ALONE.joined():
        assert module.norm is norm
    assert (ALONE.told("here"), ALONE.summed(torch.tensor(3.0)).item()) == ("here", 3.0)
    assert ALONE.least == 2


def test_a_batch_is_shared_without_rest_and_each_draws_its_own():
    indices = torch.arange(7)
    worlds = [World(rank=rank, size=3) for rank in range(3)]
    parts = [world.part(indices) for world in worlds]
    assert torch.cat(parts).sort().values.tolist() == list(range(7))
    assert len({world.seed(0, 5) for world in worlds}) == 3
    assert worlds[0].seed(0, 5) == World(rank=0, size=3).seed(0, 5) != worlds[0].seed(0, 6)
    assert [world.is_first for world in worlds] == [True, False, False]


def test_torchrun_says_by_the_environment_which_process_it_is(monkeypatch):
    assert World.of_environment() == ALONE
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert World.of_environment() == World(rank=5, size=8, local_rank=1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="4 processes need a GPU each, and this machine has 2"):
        World.of_environment()
    require_devices(2)
