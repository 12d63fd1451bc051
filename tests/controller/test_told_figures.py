import pytest

from controller.told_figures import ToldFigures
from exporters.artifact import Precision
from search_space import catalog
from search_space.architecture import Classifier
from search_space.layers import macs, params
from training.executor import TrainingError, TrainingResult

HEAD = Classifier(classes=10)
NETWORK = catalog.create("mnasnet-small", size=64)


def told(*asked, size=None):
    return ToldFigures(
        asked=frozenset(asked), head=HEAD, precision=Precision.FP32, timed_size=size, batch=20
    )


def trained(samples=600, seconds=3.0):
    return TrainingResult(accuracy=0.5, samples=samples, seconds=seconds)


def test_nothing_is_told_that_nobody_asks_for():
    figures = told("accuracy", "latency_ms")
    assert figures.of_network(NETWORK) == {}
    assert figures.of_training(trained(samples=0)) == {}


def test_a_network_tells_its_own_at_the_size_that_is_timed():
    figures = told("params", "macs", "train_step_ms", size=96)
    found = figures.of_network(NETWORK)
    assert found == {"params": params(NETWORK, HEAD), "macs": macs(NETWORK.at(96), HEAD)}


def test_a_step_takes_the_time_of_a_training_over_its_steps():
    assert told("train_step_ms").of_training(trained()) == {"train_step_ms": pytest.approx(100)}


@pytest.mark.parametrize("result", [trained(samples=0), trained(seconds=0.0)])
def test_a_training_without_a_time_says_what_it_told(result):
    with pytest.raises(TrainingError, match=r"told no time of its steps: .* samples in .* s"):
        told("train_step_ms").of_training(result)
