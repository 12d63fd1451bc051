import random

import pytest

from controller.network_figures import Figure, figures_of
from exporters.artifact import Precision
from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture
from search_space.layers import macs, params
from search_space.space import create
from workspace.errors import InputError

HEAD = Classifier(classes=10)


def networks():
    """Of both spaces, with every kind of layer: gates, pools around, plain convolutions."""
    drawn = []
    for name in ("mnasnet", "proxyless"):
        space, rng = create(name, {}), random.Random(0)
        drawn += [space.decode(space.points.sample(rng)) for _ in range(2)]
    return [*drawn, catalog.resolve("mnasnet-a1"), catalog.resolve("mobilenet-v2")]


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


def test_a_network_of_another_kind_is_named():
    other = type("Other", (), {"key": "other:1"})()
    with pytest.raises(InputError, match=r"params and macs are told of chains .* 'other:1'"):
        figures_of(other, HEAD, Precision.FP32, ["accuracy", "params", "macs"])
