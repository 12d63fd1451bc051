import pytest

from search_space import catalog
from search_space.architecture import Classifier, VideoClassifier
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
    from controller.counted_figures import example_inputs
    from exporters.cost import count

    network = catalog.create(name, size=64)
    cost = count(network.build(HEAD), example_inputs(network))
    least = needed_bytes(network, HEAD)
    assert 4 * cost.params < least
    assert least - 4 * cost.params >= 0.9 * cost.peak_activation_bytes


@pytest.mark.parametrize("name", ["spinenet-49", "spinenet-96", "spinenet-mobile-49"])
def test_a_scale_permuted_network_needs_more_than_its_blocks_alone(name):
    pytest.importorskip("torch")
    from controller.counted_figures import cost_of

    network = catalog.resolve(name)
    cost = cost_of(network, HEAD)
    least = needed_bytes(network, HEAD)
    assert 0.3 * 4 * cost.params < least < 4 * cost.params + cost.peak_activation_bytes


@pytest.mark.parametrize("name", ["assemblenet-50", "assemblenet-plus-lite"])
def test_a_network_of_streams_needs_more_than_its_modules_alone(name):
    pytest.importorskip("torch")
    from controller.counted_figures import cost_of

    network, head = catalog.resolve(name), VideoClassifier(classes=339)
    cost = cost_of(network, head)
    least = needed_bytes(network, head)
    assert 0.3 * 4 * cost.params < least < 4 * cost.params + cost.peak_activation_bytes
