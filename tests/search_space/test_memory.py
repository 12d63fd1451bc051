import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.layers import params
from search_space.memory import needed_bytes

HEAD = Classifier(classes=1000)


def test_weights_and_the_largest_layer_count():
    network = catalog.create("mobilenet-v2")
    # block 2 takes 112 x 112 x 16 and widens it six times
    largest = 112 * 112 * 16 * 7
    assert needed_bytes(network, HEAD) == 4 * (params(network, HEAD) + largest)


@pytest.mark.parametrize("name", ["mobilenet-v2", "mnasnet-a1", "mnasnet-small"])
def test_a_real_network_needs_no_less_than_its_graph_says(name):
    pytest.importorskip("torch")
    from exporters.cost import count
    from pocketnas.networks import example_inputs

    network = catalog.create(name, size=64)
    cost = count(network.build(HEAD), example_inputs(network))
    least = needed_bytes(network, HEAD)
    assert 4 * cost.params < least
    assert least - 4 * cost.params >= 0.9 * cost.peak_activation_bytes
