import pytest

from latency.measurement import Verdict
from latency.source import LatencyEstimate, Origin
from pocketnas.config import SearchConfig
from pocketnas.objectives import (
    algorithm_options,
    objectives_of,
    require_objectives,
    require_told,
)
from search_space import catalog
from search_space.architecture import Classifier, VideoClassifier
from search_space.decisions import Choice, DecisionSpace
from workspace.errors import InputError

HEAD = Classifier(classes=10)


class Holes:
    """A space in which one point in four has a network, or none has."""

    name = "holes"
    points = DecisionSpace(choices=(Choice(name="which", options=("a", "b", "c", "d")),))
    count = 4

    def __init__(self, network):
        self._network = network

    def decode(self, point):
        if point != (3,) or self._network is None:
            msg = f"point {point} has no network"
            raise InputError(msg)
        return self._network

    def encode(self, _):
        return (3,)


def config(algorithm="nsga2", names=("accuracy", "params"), **settings):
    return SearchConfig.load(
        None,
        {"target_ms": 2.0, "algorithm": algorithm, "objectives": list(names), **settings},
    )


@pytest.mark.parametrize(
    ("algorithm", "names", "weighed"),
    [
        ("nsga2", ("accuracy", "latency_ms"), "2"),
        ("nsga2", ("accuracy", "macs", "latency_ms", "params"), "4"),
        ("surrogate", ("accuracy", "latency_ms"), None),
        ("surrogate", ("accuracy",), None),
        ("surrogate", ("accuracy", "params"), "2"),
        ("surrogate", ("accuracy", "latency_ms", "size_mb"), "3"),
        ("evolution", ("accuracy", "latency_ms", "size_mb"), None),
    ],
)
def test_algorithms_of_a_front_weigh_all_that_is_named(algorithm, names, weighed):
    assert algorithm_options(config(algorithm, names)).get("objectives") == weighed


def test_what_is_said_of_the_algorithm_holds():
    said = config("surrogate", ("accuracy", "params"), algorithm_options={"objectives": "1"})
    assert algorithm_options(said) == {"objectives": "1"}


def test_points_without_a_network_are_passed_over():
    require_objectives(config(), Holes(catalog.resolve("mnasnet-small")), HEAD)
    require_objectives(config(names=("accuracy", "latency_ms")), Holes(None), HEAD)
    with pytest.raises(InputError, match="none of 100 random points of the space 'holes' has a"):
        require_objectives(config(), Holes(None), HEAD)


def test_a_figure_of_networks_that_have_no_such_head_is_refused():
    pytest.importorskip("torch")
    network = catalog.resolve("spinenet-mobile-49xs")
    require_objectives(config(), Holes(network), HEAD)
    with pytest.raises(InputError, match="has a classifier or a detector"):
        require_objectives(config(), Holes(network), VideoClassifier(classes=3))


def test_what_the_sessions_of_a_source_do_not_tell_is_refused():
    estimate = LatencyEstimate(
        request_id="feasibility-0",
        latency_ms=1.0,
        low_ms=0.9,
        high_ms=1.1,
        origin=Origin.MEASURED,
        source="adb:1A2B",
        coverage=1.0,
        verdict=Verdict.STABLE,
    )
    require_told(objectives_of(config()), estimate)
    for name, words in (("peak_memory_mb", "none$"), ("energy_mj", "none; phones do whose power")):
        with pytest.raises(InputError, match=f"{name} cannot be had: .* adb:1A2B tell {words}"):
            require_told(objectives_of(config(names=("accuracy", name))), estimate)
