import dataclasses
import itertools
import random
from collections.abc import Iterator

import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.layers import LayerKind, layers, macs, params, runs
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace

HEAD = Classifier(classes=11)


def test_layers_follow_each_other():
    listed = layers(catalog.create("mnasnet-a1"), HEAD)
    for before, after in itertools.pairwise(listed):
        assert (after.in_size, after.in_channels) == (before.out_size, before.out_channels)
    kinds = [layer.kind for layer in listed]
    assert kinds == [LayerKind.STEM, *[LayerKind.BLOCK] * 16, LayerKind.HEAD, LayerKind.CLASSIFIER]
    assert (listed[-1].out_size, listed[-1].out_channels) == (1, 11)


def test_without_a_head_the_last_convolution_is_the_last():
    assert layers(catalog.create("mnasnet-a1"))[-1].kind is LayerKind.HEAD


def test_equal_layers_in_a_row_are_told_once_with_their_number():
    network = catalog.create("efficientnet-b0")
    told = runs(network, HEAD)
    assert [layer for layer, count in told for _ in range(count)] == list(layers(network, HEAD))
    assert len(told) < len(layers(network, HEAD))
    many = dataclasses.replace(network.stages[1], repeats=10**15)
    deep = dataclasses.replace(network, stages=(network.stages[0], many))
    assert macs(deep, HEAD) > 10**15


def test_a_layer_says_what_it_is():
    layer = layers(catalog.create("mnasnet-a1"))[5]  # the second layer of the third block
    assert (layer.in_size, layer.in_channels) == (28, 40)
    assert (layer.out_size, layer.out_channels) == (28, 40)
    assert (layer.op, layer.kernel, layer.stride, layer.expansion) == (Op.MBCONV, 5, 1, 3)
    assert (layer.squeezed, layer.skip, layer.has_skip) == (10, Skip.IDENTITY, True)


def test_a_layer_has_the_activation_that_is_in_it():
    network = dataclasses.replace(catalog.create("mnasnet-a1"), activation=Activation.SWISH)
    first, *others = network.stages
    changed = dataclasses.replace(first, activation=Activation.RELU)
    found = layers(dataclasses.replace(network, stages=(changed, *others)))
    assert [layer.activation for layer in found[:3]] == ["swish", "relu", "swish"]
    assert found[-1].activation is Activation.SWISH


def test_odd_sizes_are_rounded_up():
    sizes = [layer.out_size for layer in layers(catalog.create("mnasnet-a1", size=225))]
    assert sizes[0] == 113
    assert sizes[-1] == 8


def odd_chains() -> Iterator[ChainArchitecture]:
    """Every op, skip and squeeze-excitation that the spaces seldom draw together."""
    rng = random.Random(0)
    for _ in range(30):
        stages = tuple(
            Stage(
                op=rng.choice(list(Op)),
                kernel=rng.choice((1, 3, 5)),
                stride=rng.choice((1, 2)),
                expansion=rng.choice((1, 3)),
                filters=rng.choice((5, 8)),
                repeats=rng.choice((1, 2)),
                se_ratio=rng.choice((0.0, 0.25)),
                skip=rng.choice(list(Skip)),
                expands=rng.choice((None, 4)),
                activation=rng.choice((None, Activation.SWISH)),
            )
            for _ in range(3)
        )
        yield ChainArchitecture(
            size=rng.randrange(16, 40),
            stem=Stem(filters=8),
            stages=stages,
            head_filters=12,
            stochastic_depth=0.2,
        )


def drawn_networks() -> Iterator[ChainArchitecture]:
    yield from odd_chains()
    for space in (MnasNetSpace(size=64, width=0.25), ProxylessSpace(size=64, head_filters=64)):
        rng = random.Random(1)
        for _ in range(8):
            yield space.decode(space.points.sample(rng))


def test_closed_forms_equal_what_torch_has_and_does():
    torch = pytest.importorskip("torch")
    for architecture in drawn_networks():
        network = architecture.build(HEAD).eval()
        done: list[int] = []

        def count(module, _, output, done=done):
            positions = output[0, 0].numel() if output.dim() == 4 else 1
            done.append(positions * module.weight.numel())

        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.register_forward_hook(count)
        with torch.no_grad():
            network(torch.zeros(1, *architecture.inputs[0].shape))
        assert macs(architecture, HEAD) == sum(done)
        trained = sum(parameter.numel() for parameter in network.parameters())
        assert params(architecture, HEAD) == trained
