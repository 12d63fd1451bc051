from dataclasses import replace

import pytest

from search_space import catalog
from search_space.architecture import Classifier, VideoClassifier
from search_space.layers import params
from search_space.memory import TooLargeError, needed_bytes, require_memory
from search_space.scaling import PHI_LIMIT, Factors, RuleName, rule, scaled

HEAD = Classifier(classes=1000)


def test_weights_and_the_largest_layer_count():
    network = catalog.create("mobilenet-v2")
    # block 2 takes 112 x 112 x 16 and widens it six times
    largest = 112 * 112 * 16 * 7
    assert needed_bytes(network, HEAD) == 4 * (params(network, HEAD) + largest)


def test_equal_layers_count_as_often_as_they_are_and_take_no_time():
    network = catalog.create("mobilenet-v2")
    *first, last = network.stages

    def needed(repeats: int) -> int:
        deeper = replace(network, stages=(*first, replace(last, repeats=repeats)))
        return needed_bytes(deeper, HEAD)

    one_more = needed(3) - needed(2)
    assert needed(10**12) - needed(2) == (10**12 - 2) * one_more > 0


@pytest.mark.parametrize("name", ["efficientnet-b0", "spinenet-49", "assemblenet-50"])
@pytest.mark.parametrize("chosen", [RuleName.DEPTH, RuleName.RESOLUTION])
def test_the_largest_network_of_every_family_is_refused_before_any_layer_is_made(name, chosen):
    factors = rule(chosen).factors(PHI_LIMIT)
    network = scaled(catalog.resolve(name), factors)
    with pytest.raises(TooLargeError, match=r"GiB for one image, .* take a smaller coefficient"):
        require_memory(network, HEAD, factors, "coefficient")


def test_a_network_that_fits_is_not_refused():
    require_memory(catalog.create("mobilenet-v2"), HEAD, Factors(), "coefficient")


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
