from dataclasses import replace

import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.reported import Reported
from controller.scaling_search import CostAxis
from search_space.layers import macs
from search_space.scaling import CompoundRule

cost = pytest.importorskip("exporters.cost", exc_type=ImportError)


def macs_of(script):
    return lambda network: float(macs(network, script.HEAD))


@pytest.mark.parametrize("constants", [(1.2, 1.1, 1.15), (1.4, 1.0, 1.2), (1.1, 1.1, 1.2)])
def test_all_four_networks_cost_about_what_is_asked_for(script, constants):
    alpha, beta, gamma = constants
    found = script.networks_of(
        script.FULL,
        script.Axis.MACS,
        CompoundRule(alpha=alpha, beta=beta, gamma=gamma),
        macs_of(script),
    )
    assert list(found) == ["depth", "width", "resolution", "compound"]
    grown = {
        name: macs_of(script)(one) / macs_of(script)(script.BASE) for name, one in found.items()
    }
    alone = [value for name, value in grown.items() if name != "compound"]
    assert all(3.6 < value <= 4.0 for value in alone), grown
    assert grown["compound"] == pytest.approx(sum(alone) / 3, rel=0.1)
    assert found["depth"].size == found["width"].size == script.BASE.size
    assert found["resolution"].stages == script.BASE.stages
    assert found["compound"].size > script.BASE.size


@pytest.mark.parametrize("constants", [(1.3, 1.1, 1.1), (1.0, 1.1, 1.3)])
@pytest.mark.parametrize("phi", [0.5, 1.0, 1.7, 2.0])
def test_a_compound_network_has_the_proportions_that_its_factors_ask_for(script, constants, phi):
    alpha, beta, gamma = constants
    factors = CompoundRule(alpha=alpha, beta=beta, gamma=gamma).factors(phi)
    network = script.in_proportion(factors)
    layers, filters = (
        sum(getattr(stage, name) for stage in network.stages)
        / sum(getattr(stage, name) for stage in script.BASE.stages)
        for name in ("repeats", "filters")
    )
    assert layers == pytest.approx(factors.depth, rel=0.2)
    assert filters == pytest.approx(factors.width, rel=0.1)
    assert abs(network.size - script.BASE.size * factors.resolution) <= 0.5


def test_of_networks_in_proportion_the_one_of_the_nearest_cost_is_taken(script):
    networks = script.ladder(script.FULL, CompoundRule(alpha=1.0, beta=1.1, gamma=1.3))
    assert len({network.key for network in networks}) == len(networks) > 10
    costs = {network.key: macs_of(script)(network) for network in networks}
    target = script.FULL.growth * macs_of(script)(script.BASE)
    assert min(costs.values()) < target < max(costs.values())
    found = script.nearest_in_cost(networks, macs_of(script), target)
    ratio = max(target / costs[found.key], costs[found.key] / target)
    assert all(max(target / one, one / target) >= ratio for one in costs.values())


def test_the_constants_are_searched_under_both_costs(script):
    plans = {axis: script.FULL.search_plan(axis) for axis in script.Axis}
    assert plans[script.Axis.LATENCY].axis is CostAxis.LATENCY
    assert replace(plans[script.Axis.LATENCY], axis=CostAxis.MACS) == plans[script.Axis.MACS]
    assert plans[script.Axis.MACS].seeds >= 3


def test_latencies_are_asked_for_once(script, tmp_path, monkeypatch):
    asked = []

    class Source:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            """Nothing is open."""

        def all_ms(self, networks):
            asked.extend(networks)
            return [None if one.size == 48 else one.size / 10 for one in networks]

    monkeypatch.setattr(script, "timing", lambda *_: Source())
    networks = [script.BASE.at(size) for size in (40, 44, 48)]
    first = script.Timed(script.QUICK, Log(tmp_path / "latencies.jsonl"))
    assert first.all_ms(networks[:2]) == [4.0, 4.4]
    again = script.Timed(script.QUICK, Log(tmp_path / "latencies.jsonl"))
    assert again.all_ms(networks) == [4.0, 4.4, None]
    assert asked == networks
    with pytest.raises(script.OperationError, match="could not be timed"):
        again.one_ms(networks[2])


def row(name, accuracies):
    return Reported(
        name=name,
        key=name,
        test=accuracies,
        validation=accuracies,
        sessions_ms=(1.0, 1.1),
        cost=cost.Cost(params=1, total_params=1, macs=1, peak_activation_bytes=1),
    )


def test_differences_are_paired_and_within_networks_of_one_cost(script):
    alone = (0.60, 0.61, 0.62)
    rows = [row(script.BASE_NAME, (0.5, 0.5, 0.5))]
    for axis in script.Axis:
        rows += [row(script.labelled(axis, name), alone) for name in script.ALONE]
    rows += [row("compound", (0.62, 0.63, 0.6401)), row("compound_latency", (0.59, 0.62, 0.62))]
    found = script.compared(rows)
    assert set(found["accuracy"]) == {
        "depth", "width", "resolution", "compound", "compound_latency"
    }  # fmt: skip
    under_macs = found["differences"]["macs"]["depth"]
    assert under_macs["value"] == pytest.approx(2.0, abs=0.01)
    assert under_macs["verdict"] == "above"
    assert found["differences"]["latency"]["width"]["verdict"] == "not separated"
    assert found["accuracy_at_latency"]["compound_latency"] == pytest.approx(0.61)


def test_a_network_of_two_names_is_trained_once(script, tmp_path):
    same, other = script.BASE.at(24), script.BASE.at(20)
    networks = {"depth@macs": same, "compound": other, "depth@latency": same}
    jobs = script.jobs_of(script.QUICK, networks, 0.01, tmp_path)
    assert [(job.network.name, job.seed) for job in jobs] == [
        ("depth@macs", 0), ("compound", 0), ("depth@macs", 1), ("compound", 1),
    ]  # fmt: skip
    assert len({job.key for job in jobs}) == len(jobs)
    kept = [job.checkpoint.stem for job in jobs if job.checkpoint is not None]
    assert kept == [same.key, other.key]


def test_one_rate_is_not_tuned_and_needs_no_training(script, tmp_path):
    log = Log(tmp_path / "log.jsonl")
    assert script.chosen_rate(script.QUICK, {}, log, print) == script.QUICK.rates[0]
    assert len(log) == 0
