import copy
import json
import os
import subprocess
import sys

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch._C._distributed_c10d import HashStore

from training.distributed import (
    ALONE,
    GlobalBatchNorm,
    World,
    alone,
    of_whole_batch,
    require_devices,
    sharing,
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
        assert isinstance(ours.norm, GlobalBatchNorm)
        for _ in range(3):
            for one, other in zip(passed(own, images), passed(ours, images), strict=True):
                assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)
        ours.eval()
        assert torch.allclose(own.eval()(images), ours(images), atol=1e-5)
    assert isinstance(ours.norm, nn.BatchNorm2d)
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


class ClipNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 3, bias=False)
        self.norm = nn.BatchNorm3d(3, momentum=None)
        self.vector = nn.BatchNorm1d(3)

    def forward(self, clips):
        return self.vector(self.norm(self.conv(clips)).mean((2, 3, 4)))


def test_norms_of_clips_and_vectors_are_synchronised_too_and_plain_averages_stay_so(group):
    torch.manual_seed(0)
    own = ClipNetwork()
    ours = copy.deepcopy(own)
    clips = 3 + torch.randn(4, 1, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    with synchronised(ours, group):
        assert isinstance(ours.norm, GlobalBatchNorm)
        assert isinstance(ours.vector, GlobalBatchNorm)
        for scale in (1, 2, 4):
            both = zip(passed(own, clips * scale), passed(ours, clips * scale), strict=True)
            assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in both)
        lone = alone(copy.deepcopy(ours))
    assert [type(norm) for norm in (lone.norm, lone.vector)] == [nn.BatchNorm3d, nn.BatchNorm1d]
    for one, other in zip(own.state_dict().values(), ours.state_dict().values(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_what_is_of_a_whole_batch_is_summed_only_while_processes_share_one(group, monkeypatch):
    summed = []

    def note(world, value):
        summed.append(world)
        return value

    monkeypatch.setattr(World, "summed", note)
    with sharing(group):
        of_whole_batch(torch.tensor(2.0))
    of_whole_batch(torch.tensor(2.0))
    assert summed == [group, ALONE]


BOTH = '''
"""One of two processes: how far what it does differs from what one process does alone."""
import copy
import json
import sys

import torch
from torch import distributed as dist
from torch import nn
from torch.nn import functional

from training.batch_statistics import take_statistics
from training.detection import ObjectDetection
from training.distributed import ALONE, World, synchronised
from training.feed import Feed
from training.schedule import Schedule
from training.stepper import Stepper

torch.set_num_threads(1)
world = World(rank=int(sys.argv[1]), size=2)
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=world.rank, world_size=2)
draw = torch.Generator().manual_seed(0)
torch.manual_seed(0)


class Boxes(ObjectDetection):
    classes, anchor = 2, 2


class Levels(nn.Module):
    """A detector of 64 pixels."""

    def __init__(self):
        super().__init__()
        self.scores, self.boxes = nn.Conv2d(1, 18, 1), nn.Conv2d(1, 36, 1)

    def forward(self, images):
        levels = [functional.adaptive_avg_pool2d(images, side) for side in (8, 4, 2, 1, 1)]
        return (*map(self.scores, levels), *map(self.boxes, levels))


class Clips(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 3, 3), nn.BatchNorm3d(3)

    def forward(self, clips):
        return self.norm(self.conv(clips))


class Given:
    """Examples out of a tensor."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def batch(self, indices, generator):
        return (self.values[indices],), indices


def farthest(first, second):
    return max(float((a - b).detach().abs().max()) for a, b in zip(first, second, strict=True))


def steps():
    """Of an uneven batch whose things are nearly all in the first process's part."""
    images = torch.rand(5, 1, 64, 64, generator=draw)
    targets = torch.full((5, 4, 5), -1.0)
    targets[0] = torch.tensor([[1, 14, 17, 30, 33], [0, 2, 2, 20, 18], [1, 30, 8, 60, 40],
                               [0, 40, 40, 56, 56]])
    targets[1, 0] = torch.tensor([1.0, 5, 5, 40, 40])
    schedule, one = Schedule(samples=5), Levels()
    two = copy.deepcopy(one)
    alone = Stepper(one, Boxes(), schedule, ALONE).step((images,), targets, rate=0.01, share=1.0)
    mine = world.part(torch.arange(5))
    shared = Stepper(two, Boxes(), schedule, world).step(
        (images[mine],), targets[mine], rate=0.01, share=len(mine) / 5
    )
    gradients = ([p.grad for p in each.parameters()] for each in (one, two))
    return {"loss": farthest([alone], [world.summed(shared)]), "gradient": farthest(*gradients)}


def clips():
    values = 3 + torch.randn(6, 1, 4, 6, 6, generator=draw)
    one = Clips()
    two = copy.deepcopy(one)
    expected, mine = one(values), world.part(torch.arange(6))
    with synchronised(two, world):
        found = two(values[mine])
    tensors = (each.norm.state_dict().values() for each in (one, two))
    return {"outputs": farthest([expected[mine]], [found]), "running": farthest(*tensors)}


def statistics():
    values = 3 + torch.randn(20, 1, 4, 6, 6, generator=draw)
    one = Clips()
    two, seen = copy.deepcopy(one), []
    two.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    for module, those in ((one, ALONE), (two, world)):
        feed = Feed(torch.device("cpu"))
        take_statistics(module, Given(values), feed, size=6, batch=8, seed=0, world=those)
    tensors = (each.norm.state_dict().values() for each in (one, two))
    return {"running": farthest(*tensors), "seen": seen}


print(json.dumps({"steps": steps(), "clips": clips(), "statistics": statistics()}))
dist.destroy_process_group()
'''


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What each of two real processes says of how far it is from one alone."""
    place = tmp_path_factory.mktemp("both")
    (place / "both.py").write_text(BOTH)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [
        subprocess.Popen(
            [sys.executable, place / "both.py", str(rank), place / "meeting"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    answers = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    return [json.loads(out) for out, _ in answers]


@pytest.mark.slow
def test_things_that_lie_unevenly_in_a_batch_give_the_gradients_of_one_process(shared):
    for each in shared:
        assert each["steps"]["loss"] < 1e-5
        assert each["steps"]["gradient"] < 1e-5


@pytest.mark.slow
def test_clips_are_normalised_by_the_whole_batch(shared):
    for each in shared:
        assert each["clips"]["outputs"] < 1e-5
        assert each["clips"]["running"] < 1e-5


@pytest.mark.slow
def test_statistics_are_those_of_one_process_and_each_sees_its_part(shared):
    for each in shared:
        assert each["statistics"]["running"] < 1e-5
        assert each["statistics"]["seen"] == [10] * 8
