import random

import pytest

from controller.counted_figures import cost_of, example_inputs
from controller.network_figures import Figure, figures_of, macs_of
from exporters.artifact import Precision
from search_space import catalog
from search_space.architecture import Classifier, Detector
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.layers import macs, params
from search_space.space import create
from workspace.errors import InputError

HEAD = Classifier(classes=10)


def networks():
    """With every kind of layer: gates, pools around, plain and fused convolutions, swish."""
    drawn = []
    for name in ("mnasnet", "proxyless"):
        space, rng = create(name, {}), random.Random(0)
        drawn += [space.decode(space.points.sample(rng)) for _ in range(2)]
    stages = (
        Stage(op=Op.FUSED, kernel=3, stride=1, expansion=4, filters=8, repeats=2, expands=6),
        Stage(op=Op.MBCONV, kernel=5, stride=2, expansion=6, filters=16, repeats=2, se_ratio=0.25),
        Stage(
            op=Op.FUSED, kernel=3, stride=2, expansion=2, filters=24, repeats=1, se_ratio=0.25,
            skip=Skip.POOL, activation=Activation.RELU,
        ),
    )  # fmt: skip
    fused = ChainArchitecture(
        size=64, stem=Stem(filters=12), stages=stages, activation=Activation.SWISH
    )
    return [*drawn, catalog.resolve("mnasnet-a1"), catalog.resolve("mobilenet-v2"), fused]


def test_parameters_and_multiply_adds_are_those_of_the_layers():
    network = catalog.resolve("mnasnet-a1")
    assert isinstance(network, ChainArchitecture)
    found = figures_of(network, HEAD, Precision.FP32, ["accuracy", "params", "macs"])
    assert found == {"params": params(network, HEAD), "macs": macs(network, HEAD)}
    assert figures_of(network, HEAD, Precision.FP32, ["accuracy", "latency_ms"]) == {}


def test_activations_are_those_of_the_operator_graph():
    torch = pytest.importorskip("torch")
    from exporters.cost import count
    from exporters.exporter import NamedInput

    for network in networks():
        image = NamedInput(name="image", value=torch.zeros(1, 3, network.size, network.size))
        cost = count(network.build(HEAD).eval(), (image,))
        found = figures_of(network, HEAD, Precision.FP32, list(Figure))
        assert found["activation_mb"] == cost.peak_activation_bytes / 1e6
        assert (found["params"], found["macs"]) == (cost.params, cost.macs)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.INT8])
def test_the_size_is_that_of_the_file_less_its_structure(precision):
    torch = pytest.importorskip("torch")
    from exporters.exporter import NamedInput
    from exporters.flatbuffer import serialize
    from exporters.trace import to_graph

    for network in networks()[::2]:
        image = NamedInput(name="image", value=torch.zeros(1, 3, network.size, network.size))
        file = serialize(to_graph(network.build(HEAD).eval(), (image,)), precision)
        told = 1e6 * figures_of(network, HEAD, precision, ["size_mb"])["size_mb"]
        assert 0 < len(file) - told < 70_000


def test_a_scale_permuted_network_is_counted_as_its_graph_says():
    pytest.importorskip("torch")
    network = catalog.resolve("spinenet-mobile-49xs").at(128)
    for head in (HEAD, Detector(classes=10)):
        cost = cost_of(network, head)
        found = figures_of(network, head, Precision.FP32, list(Figure))
        assert (found["params"], found["macs"]) == (cost.params, cost.macs)
        assert found["activation_mb"] == cost.peak_activation_bytes / 1e6
        assert macs_of(network, head) == cost.macs


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_the_size_of_another_family_is_that_of_the_file_less_its_structure(precision):
    pytest.importorskip("torch")
    from exporters.flatbuffer import serialize
    from exporters.trace import to_graph

    network = catalog.resolve("spinenet-mobile-49xs").at(128)
    graph = to_graph(network.build(HEAD).eval(), example_inputs(network))
    told = 1e6 * figures_of(network, HEAD, precision, ["size_mb"])["size_mb"]
    assert 0 < len(serialize(graph, precision)) - told < 250_000


def test_a_head_that_a_family_has_not_is_refused():
    pytest.importorskip("torch")
    with pytest.raises(InputError):
        figures_of(catalog.resolve("mnasnet-a1"), Detector(classes=3), Precision.FP32, ["macs"])
