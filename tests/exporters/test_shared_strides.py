import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from exporters.exporter import NamedInput
from exporters.graph import Convolution, Padding, Pool
from exporters.litert_runtime import LiteRtModel
from exporters.testing import random_inputs, randomize, tflite_parity
from exporters.tflite import write
from exporters.trace import to_graph
from search_space.spinenet_layers import SameMaxPool2d


class Pooled(nn.Module):
    """A maximum that leaves pixels out, and what reads it."""

    def __init__(self, pool, *readers):
        super().__init__()
        self.pool = pool
        self.readers = nn.ModuleList(readers)

    def forward(self, image):
        pooled = self.pool(image)
        made = tuple(reader(pooled) for reader in self.readers)
        return made if len(made) > 1 else made[0]


def one_pixel():
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())


def exported(module, size, folder):
    """Graph and file, which gives what torch does."""
    inputs = random_inputs((1, 3, *size))
    randomize(module, inputs)
    graph = to_graph(module, inputs)
    artifact = write(graph, folder)
    assert tflite_parity(module, artifact, inputs).max_error < 1e-5
    return graph, LiteRtModel(artifact.path)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("size", [3, 5, *range(16, 33), 64])
def test_a_pool_whose_stride_is_longer_than_its_window_is_delegated_at_every_size(
    stride, size, tmp_path
):
    graph, file = exported(Pooled(SameMaxPool2d(5, stride), one_pixel()), (size, size), tmp_path)
    assert file.delegated
    pool, convolution = (node.operator for node in graph.nodes)
    assert (pool.stride, convolution.stride) == ((4, 4), (stride // 4, stride // 4))


def test_a_pool_without_padding_is_too(tmp_path):
    module = Pooled(nn.MaxPool2d((3, 2), (6, 5)), one_pixel())
    graph, file = exported(module, (27, 33), tmp_path)
    assert file.delegated
    pool, convolution = (node.operator for node in graph.nodes)
    assert (pool.stride, pool.padding) == ((3, 1), Padding.VALID)
    assert convolution.stride == (2, 5)


def test_the_same_numbers_come_out_to_the_bit(tmp_path):
    ones = nn.Conv2d(3, 3, 1, groups=3, bias=False)
    nn.init.ones_(ones.weight)
    module = Pooled(SameMaxPool2d(5, 8), ones)
    inputs = random_inputs((1, 3, 40, 40))
    file = LiteRtModel(write(to_graph(module, inputs), tmp_path).path)
    found = file.run({"image": inputs[0].value.permute(0, 2, 3, 1).contiguous().numpy()})
    wanted = module(inputs[0].value).detach().permute(0, 2, 3, 1)
    assert torch.equal(torch.from_numpy(found["output"]), wanted)


@pytest.mark.parametrize(
    "module",
    [
        Pooled(SameMaxPool2d(5, 4), one_pixel()),
        Pooled(SameMaxPool2d(5, 8), nn.Conv2d(3, 4, 3, padding=1)),
        Pooled(SameMaxPool2d(5, 8), one_pixel(), one_pixel()),
        Pooled(SameMaxPool2d(5, 8), nn.ReLU()),
        Pooled(SameMaxPool2d(5, 8), nn.Conv2d(3, 4, 1, stride=2)),
    ],
    ids=["window reaches", "larger kernel", "read twice", "no convolution", "has a stride"],
)
def test_other_pools_stay_as_they_are(module, tmp_path):
    graph, _ = exported(module, (32, 32), tmp_path)
    (pool,) = (node.operator for node in graph.nodes if isinstance(node.operator, Pool))
    assert pool.stride == (module.pool.step, module.pool.step)


def test_rows_and_columns_that_need_unlike_padding_leave_a_pool_as_it_is(tmp_path):
    graph, _ = exported(Pooled(SameMaxPool2d(5, 8), one_pixel()), (9, 13), tmp_path)
    assert [node.operator.stride for node in graph.nodes] == [(8, 8), (1, 1)]


def test_what_the_graph_gives_stays_as_it_is():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.convolution = SameMaxPool2d(5, 8), nn.Conv2d(3, 4, 1)

        def forward(self, image):
            pooled = self.pool(image)
            return pooled, self.convolution(pooled)

    graph = to_graph(Both(), (NamedInput("image", torch.zeros(1, 3, 32, 32)),))
    assert [type(node.operator) for node in graph.nodes] == [Pool, Convolution]
    assert graph.nodes[0].operator.stride == (8, 8)
