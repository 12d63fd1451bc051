import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import fx, nn
from torch.nn import functional

from search_space import blocks, catalog
from search_space.architecture import Classifier
from search_space.chain import (
    Activation,
    ChainArchitecture,
    Op,
    Skip,
    Stage,
    Stem,
)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def tensorflow_windows(image: np.ndarray, kernel: int, stride: int):
    """Each output position's window under 'SAME', cut at the edges, and where it starts.

    As TensorFlow documents it: pad_along = max((out - 1) * stride + kernel - in, 0), the smaller
    half before.
    """
    height, width = image.shape
    rows, columns = -(-height // stride), -(-width // stride)
    top = max((rows - 1) * stride + kernel - height, 0) // 2
    left = max((columns - 1) * stride + kernel - width, 0) // 2
    for row in range(rows):
        for column in range(columns):
            y, x = row * stride - top, column * stride - left
            window = image[max(y, 0) : y + kernel, max(x, 0) : x + kernel]
            yield (row, column), window, (max(-y, 0), max(-x, 0))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 8), (13, 14), (14, 15)])
def test_strided_convolutions_pad_as_tensorflow_does(kernel, size):
    convolution = blocks.SameConv2d(1, 1, kernel, 2, bias=False)
    image = images(1, 1, *size)
    found = convolution(image)[0, 0].detach().numpy()
    weight = convolution.weight.detach().numpy()[0, 0]
    assert found.shape == (-(-size[0] // 2), -(-size[1] // 2))
    for position, window, (y, x) in tensorflow_windows(image[0, 0].numpy(), kernel, 2):
        part = weight[y : y + window.shape[0], x : x + window.shape[1]]
        assert found[position] == pytest.approx((window * part).sum(), abs=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 8), (14, 14)])
def test_average_pooling_does_not_count_padding(size):
    image = images(1, 1, *size)
    found = blocks.SameAvgPool2d(2)(image)[0, 0].numpy()
    assert found.shape == (-(-size[0] // 2), -(-size[1] // 2))
    for position, window, _ in tensorflow_windows(image[0, 0].numpy(), 2, 2):
        assert found[position] == pytest.approx(window.mean(), abs=1e-6)


def test_an_exporter_can_tell_the_padding_layers():
    assert blocks.SameConv2d.tf_same
    assert blocks.SameAvgPool2d.tf_same


def block(channels: int, **values: Any) -> blocks.Block:
    plain = Stage(op=Op.MBCONV, kernel=3, stride=1, expansion=2, filters=channels, repeats=1)
    (layer,) = dataclasses.replace(plain, **values).unrolled(channels)
    made = blocks.Block(layer, channels, Activation.RELU)
    blocks.draw_weights(made, "any")
    return made.eval()


def kinds(modules: nn.Module | None) -> list[str]:
    assert isinstance(modules, nn.Sequential)
    return [type(part).__name__ for part in modules]


def test_an_identity_adds_the_input_and_nothing_else():
    image = images(2, 4, 6, 6)
    with_skip = block(4, filters=4, skip=Skip.IDENTITY)
    without = block(4, filters=4, skip=Skip.NONE)
    assert torch.equal(with_skip(image), without(image) + image)


def test_an_identity_is_left_out_where_the_shape_changes():
    for change in ({"filters": 5}, {"filters": 4, "stride": 2}):
        with_skip = block(4, skip=Skip.IDENTITY, **change)
        without = block(4, skip=Skip.NONE, **change)
        image = images(2, 4, 6, 6)
        assert torch.equal(with_skip(image), without(image))


def test_pooling_adds_the_average_over_the_stride():
    image = images(2, 4, 7, 7)
    pooled = block(4, filters=4, stride=2, skip=Skip.POOL)
    without = block(4, filters=4, stride=2, skip=Skip.NONE)
    average = functional.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
    assert torch.equal(pooled(image), without(image) + average)


def test_pooling_widens_by_a_normalized_convolution():
    pooled = block(4, filters=6, stride=1, skip=Skip.POOL)
    assert kinds(pooled.shortcut) == ["Conv2d", "BatchNorm2d"]
    assert pooled(images(2, 4, 6, 6)).shape == (2, 6, 6, 6)


@pytest.mark.parametrize(
    ("channels", "ratio", "width"), [(16, 0.25, 4), (3, 0.25, 1), (10, 0.25, 2), (8, 0.0, None)]
)
def test_squeeze_excitation_is_as_wide_as_a_share_of_the_blocks_input(channels, ratio, width):
    made = block(channels, filters=7, expansion=6, se_ratio=ratio)
    found = [m for m in made.modules() if isinstance(m, blocks.SqueezeExcite)]
    assert [m.reduce.out_channels for m in found] == ([] if width is None else [width])
    assert all(m.reduce.in_channels == 6 * channels for m in found)


def test_squeeze_excitation_scales_each_channel():
    squeeze = blocks.SqueezeExcite(3, 2)
    blocks.draw_weights(squeeze, "any")
    image = images(2, 3, 4, 4)
    mean = image.mean((2, 3))
    hidden = torch.relu(mean @ squeeze.reduce.weight[:, :, 0, 0].T)
    gate = torch.sigmoid(hidden @ squeeze.expand.weight[:, :, 0, 0].T)  # biases begin at 0
    torch.testing.assert_close(squeeze(image), image * gate[:, :, None, None])


def test_layers_of_expansion_1_have_no_first_convolution():
    made = block(4, filters=8, expansion=1)
    assert kinds(made.body) == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"]


def test_a_plain_convolution_ends_in_its_activation():
    made = block(4, op=Op.CONV, filters=8, se_ratio=0.25)
    assert kinds(made.body) == ["Conv2d", "BatchNorm2d", "ReLU", "SqueezeExcite"]


def test_a_fused_bottleneck_has_one_convolution_before_the_projection():
    made = block(4, op=Op.FUSED, filters=8, stride=2, se_ratio=0.25)
    names = ["SameConv2d", "BatchNorm2d", "ReLU", "SqueezeExcite", "Conv2d", "BatchNorm2d"]
    assert kinds(made.body) == names
    assert [m.weight.shape for m in made.modules() if isinstance(m, nn.Conv2d)] == [
        (8, 4, 3, 3), (1, 8, 1, 1), (8, 1, 1, 1), (8, 8, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("op", "first"), [(Op.FUSED, (12, 8, 3, 3)), (Op.MBCONV, (12, 8, 1, 1))])
def test_an_expansion_can_be_of_other_channels_than_those_that_come(op, first):
    made = block(8, op=op, filters=6, expansion=3, expands=4)
    convolutions = [m.weight.shape for m in made.modules() if isinstance(m, nn.Conv2d)]
    assert (convolutions[0], convolutions[-1]) == (first, (6, 12, 1, 1))


def test_swish_is_inside_squeeze_excitation_where_it_is_the_layers():
    def inside(activation: Activation | None, network: Activation) -> list[str]:
        stage = Stage(
            op=Op.MBCONV, kernel=3, stride=1, expansion=2, filters=4, repeats=1,
            se_ratio=0.25, activation=activation,
        )  # fmt: skip
        made = blocks.Block(stage, 4, network)
        gates = [m for m in made.modules() if isinstance(m, blocks.SqueezeExcite)]
        return [*kinds(made.body)[2:6:3], *(type(m.activation).__name__ for m in gates)]

    assert inside(None, Activation.SWISH) == ["SiLU", "SiLU", "SiLU"]
    assert inside(Activation.SWISH, Activation.RELU) == ["SiLU", "SiLU", "SiLU"]
    assert inside(Activation.RELU, Activation.SWISH) == ["ReLU", "ReLU", "ReLU"]
    assert inside(None, Activation.RELU6) == ["ReLU6", "ReLU6", "ReLU"]


def test_stochastic_depth_is_the_identity_but_in_training():
    depth = blocks.StochasticDepth(0.5).eval()
    image = images(4, 3, 2, 2)
    assert depth(image) is image


def test_stochastic_depth_drops_whole_examples_and_keeps_the_mean():
    depth = blocks.StochasticDepth(0.25)
    image = torch.ones(4000, 2, 1, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = depth(image)
    values = found.unique()
    assert values.tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(found[:, 0], found[:, 1])
    # Of 4000 draws, 6 standard deviations: fails once in 5e8.
    assert found.mean().item() == pytest.approx(1, abs=6 * (0.25 / 0.75 / 4000) ** 0.5)


def test_stochastic_depth_is_where_an_identity_is_and_never_in_the_first_layer():
    stages = (
        Stage(op=Op.CONV, kernel=3, stride=1, expansion=1, filters=8, repeats=2),
        Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=2, filters=8, repeats=2),
    )
    network = ChainArchitecture(
        size=16, stem=Stem(filters=8), stages=stages, head_filters=8, stochastic_depth=0.4
    ).build(Classifier(classes=2))
    rates = [
        [part.rate for part in block.modules() if isinstance(part, blocks.StochasticDepth)]
        for block in network.get_submodule("blocks").children()
    ]
    assert rates == [[], [pytest.approx(0.1)], [], [pytest.approx(0.3)]]


def test_a_dropped_example_is_what_came():
    layer = Stage(op=Op.MBCONV, kernel=3, stride=1, expansion=2, filters=4, repeats=1)
    made = blocks.Block(layer, 4, Activation.SWISH, drop_rate=0.99)
    image = images(2, 4, 5, 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert torch.equal(made.train()(image), image)
    assert not torch.equal(made.eval()(image), image)


def test_stochastic_depth_leaves_state_and_function_as_they_are():
    stage = Stage(op=Op.MBCONV, kernel=3, stride=1, expansion=2, filters=8, repeats=3)
    plain = ChainArchitecture(size=8, stem=Stem(filters=8), stages=(stage,), head_filters=8)
    deep = dataclasses.replace(plain, stochastic_depth=0.5)
    first, second = (each.build(Classifier(classes=2)).eval() for each in (plain, deep))
    assert first.state_dict().keys() == second.state_dict().keys()
    second.load_state_dict(first.state_dict())
    image = images(2, 3, 8, 8)
    assert torch.equal(first(image), second(image))


def test_weights_are_drawn_as_the_published_code_does():
    network = catalog.create("mnasnet-a1").build(Classifier(classes=1000))
    wide = network.state_dict()["head.0.weight"]  # 1x1, 320 to 1280: variance 2 / 1280
    assert wide.std().item() == pytest.approx((2 / 1280) ** 0.5, rel=0.01)
    assert wide.mean().item() == pytest.approx(0, abs=1e-3)
    depthwise = [
        m.weight
        for m in network.modules()
        if isinstance(m, nn.Conv2d) and m.groups == 960 and m.kernel_size == (5, 5)
    ]
    assert depthwise[0].std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.02)
    dense = network.get_submodule("classifier")
    assert isinstance(dense, nn.Linear)
    limit = 1 / 1000**0.5
    assert dense.weight.abs().max().item() == pytest.approx(limit, rel=1e-3)
    assert dense.weight.abs().max().item() <= limit
    assert dense.weight.mean().item() == pytest.approx(0, abs=1e-4)
    assert not dense.bias.any()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.01)}
    assert all((m.weight == 1).all() and not m.bias.any() for m in norms)


def test_weights_are_the_same_bits_on_every_machine():
    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=2, filters=4, repeats=1)
    network = ChainArchitecture(size=8, stem=Stem(filters=4), stages=(stage,), head_filters=8)
    stem = network.build(Classifier(classes=3)).state_dict()["stem.0.weight"].flatten()[:3]
    assert [f"{value:.6f}" for value in stem.tolist()] == ["-0.361134", "-0.002372", "-0.235223"]


def test_weights_before_the_classifier_do_not_depend_on_the_classes():
    network = catalog.create("mnasnet-small", size=32)
    few = network.build(Classifier(classes=2)).state_dict()
    many = network.build(Classifier(classes=9)).state_dict()
    shared = [name for name in few if not name.startswith("classifier")]
    assert all(torch.equal(few[name], many[name]) for name in shared)
    assert few["classifier.weight"].shape == (2, 1280)


def test_other_networks_have_other_weights():
    first, second = (
        catalog.create("mnasnet-small", size=32, channels=channels).build(Classifier(classes=2))
        for channels in (3, 1)
    )
    name = "head.0.weight"
    assert not torch.equal(first.state_dict()[name], second.state_dict()[name])


def test_a_network_can_learn():
    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=2, filters=8, repeats=2)
    architecture = ChainArchitecture(
        size=8, stem=Stem(filters=8), stages=(stage,), head_filters=16, dropout=0.0
    )
    network = architecture.build(Classifier(classes=2))
    image, truth = images(16, 3, 8, 8), torch.arange(16) % 2
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    losses = []
    for _ in range(30):
        loss = functional.cross_entropy(network(image), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < losses[0]


class LeafTracer(fx.Tracer):
    """As an exporter traces: layers marked ``tf_same`` are single operators."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        same = getattr(m, "tf_same", False)
        return same or super().is_leaf_module(m, module_qualified_name)


def test_networks_can_be_traced_without_a_pad():
    stages = (
        Stage(op=Op.MBCONV, kernel=5, stride=2, expansion=3, filters=12, repeats=2, se_ratio=0.25),
        Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=16, repeats=1, skip=Skip.POOL),
    )
    architecture = ChainArchitecture(size=30, stem=Stem(filters=8), stages=stages, head_filters=16)
    network = architecture.build(Classifier(classes=3)).eval()
    graph = LeafTracer().trace(network)
    called = {str(node.target) for node in graph.nodes if node.op == "call_function"}
    assert not any("pad" in name for name in called)
    for size in (30, 17):  # one graph serves every size
        image = images(2, 3, size, size)
        assert torch.equal(fx.GraphModule(network, graph)(image), network(image))
