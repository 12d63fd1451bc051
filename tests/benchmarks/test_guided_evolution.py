import json
from dataclasses import replace

import pytest

from benchmarks.comparison.streams import single_stream
from benchmarks.comparison.trainings import Trained

pytest.importorskip("torch")


def trained(*accuracies):
    return [Trained(validation=0.5, test=test, seconds=1.0) for test in accuracies]


@pytest.fixture
def plan(script, moving_bars):
    """All stages of real networks, with a data set that is there in no time."""
    return replace(script.QUICK, samples=16, final_samples=16, size=16, frames=4, task=moving_bars)


def lines_of(folder):
    return {path.name: path.read_text().splitlines() for path in folder.rglob("*.jsonl")}


@pytest.mark.slow
def test_all_stages_go_on_where_they_were_and_every_search_trains_as_many(script, plan, tmp_path):
    folder = tmp_path / "log"
    whole = script.benchmark(plan, folder, print, processes=0)
    names = ["random", "evolution", "guided", "guided_shuffled", "single_stream"]
    assert list(whole["accuracy"]) == names
    assert all(len(own) == plan.seeds for own in whole["test"].values())
    assert all(0.5 < ratio < 2 for ratio in whole["macs_ratio"])
    lines = lines_of(folder)
    for seed in range(plan.seeds):
        assert len(lines[f"first-{seed}.jsonl"]) == plan.population
        for arm in script.Arm:
            assert len(lines.get(f"{arm}-{seed}.jsonl", [])) <= plan.trials - plan.population
    gates = json.loads(lines["first-0.jsonl"][0])["gates"]
    assert gates
    assert all(0 < gate < 1 for own in gates.values() for gate in own)
    json.dumps(whole)

    again = script.benchmark(plan, folder, print, processes=0)
    assert again == whole
    assert lines_of(folder) == lines
    (folder / "searches" / "guided-1.jsonl").unlink()
    assert script.benchmark(plan, folder, print, processes=0) == whole


def test_all_methods_begin_with_the_same_networks(script):
    points = script.FULL.space.points
    begun = [
        script.create(script.FULL.settings(arm), points, 3).ask(script.FULL.population)
        for arm in script.Arm
    ]
    assert all(one == begun[0] for one in begun)


@pytest.fixture
def repeating(script, monkeypatch):
    """An algorithm that proposes each network three times, and trainings that take no time."""
    trained = []

    class Repeating:
        def __init__(self, points):
            self._points, self._asked = points, 0

        def ask(self, count):
            rng = script.random.Random(self._asked // 3)
            self._asked += count
            return (script.Proposal(index=self._asked - 1, point=self._points.sample(rng)),)

        def tell(self, outcomes):
            assert len(outcomes) == 1

    def fit(job):
        trained.append(job.network.key)
        return {"validation": len(trained) / 100, "gates": {}, "seconds": 1.0}

    monkeypatch.setattr(script, "create", lambda _settings, points, _seed: Repeating(points))
    monkeypatch.setattr(script, "_trained", fit)
    return trained


@pytest.mark.parametrize("arm", ["random", "evolution", "guided", "guided_shuffled"])
def test_every_method_trains_as_many_different_networks(script, repeating, arm, tmp_path):
    plan = replace(script.QUICK, trials=6)
    search = script.Search(plan=plan, seed=0, arm=script.Arm(arm), folder=tmp_path)
    found = script.tried(search)
    assert [one.network.key for one in found] == repeating
    assert len(set(repeating)) == len(repeating) == plan.trials
    assert [one.validation for one in found] == [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]


def test_a_search_that_finds_too_few_networks_ends(script, repeating, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "ASKS", 2)
    plan = replace(script.QUICK, trials=6)
    search = script.Search(plan=plan, seed=0, arm=script.Arm.RANDOM, folder=tmp_path)
    with pytest.raises(script.OperationError, match="random-0 found 4 different networks, 6 are"):
        script.tried(search)
    assert len(repeating) == 4


def test_the_evolutions_differ_in_their_mutation_alone(script):
    settings = {arm: script.FULL.settings(arm) for arm in script.Arm}
    guided, shuffled = settings[script.Arm.GUIDED], settings[script.Arm.GUIDED_SHUFFLED]
    plain = settings[script.Arm.EVOLUTION]
    assert (guided.population, guided.tournament) == (plain.population, plain.tournament)
    assert replace(shuffled, ablation=guided.ablation) == guided
    assert shuffled != guided


def test_the_plan_has_at_least_five_seeds_and_lengths_that_are_equal(script):
    assert script.FULL.seeds >= 5
    network = script.single_stream(script.FULL.space.frame, script.FULL.head, 2e6)
    first, last = script.FULL.job(network, 0), script.FULL.job(network, 0, final=True)
    assert first.schedule.samples < last.schedule.samples
    assert replace(first.schedule, samples=1) == replace(last.schedule, samples=1)


@pytest.mark.parametrize("macs", [1e6, 4e6])
def test_a_single_stream_has_the_multiply_adds_that_it_is_asked_for(script, macs):
    found = single_stream(script.FULL.space.frame, script.FULL.head, macs)
    assert script.cost_of(found.architecture, script.FULL.head).macs == pytest.approx(
        macs, rel=0.1
    )
    assert len(found.architecture.graph.stems) == 1
    assert [node.inputs for node in found.architecture.graph.nodes] == [(0,), (1,), (2,), (3,)]
    assert [one.name for one in found.architecture.inputs] == ["clip"]


def test_a_training_that_failed_is_told_as_a_failure(script):
    (proposal,) = script.create(script.RandomSettings(), script.FULL.space.points, 0).ask(1)
    told = script.outcome_of(proposal, {"failure": "the loss is nan"})
    assert (type(told).__name__, told.text) == ("Failed", "the loss is nan")
    good = script.outcome_of(proposal, {"validation": 0.25, "gates": {"node4": [0.5, 0.75]}})
    assert good.reward == 0.25
    assert good.feedback == {"node4": (0.5, 0.75)}


def test_the_best_is_the_first_with_the_largest_validation_accuracy(script, tmp_path):
    search = script.Search(plan=script.QUICK, seed=0, arm=script.Arm.GUIDED, folder=tmp_path)
    tried = [
        script.Tried(network=name, validation=v)
        for name, v in zip("abcd", (0.1, 0.3, 0.3, None), strict=True)
    ]
    assert script.best_of(search, tried) == "b"
    with pytest.raises(script.OperationError, match="guided-0"):
        script.best_of(search, tried[3:])


def test_differences_are_paired_by_seed(script):
    rows = {
        "random": trained(0.50, 0.60, 0.70),
        "evolution": trained(0.52, 0.62, 0.7201),
        "guided": trained(0.56, 0.66, 0.7601),
        "guided_shuffled": trained(0.50, 0.66, 0.80),
        "single_stream": trained(0.30, 0.40, 0.5001),
    }
    found = script.compared(rows)["differences"]
    assert found["guided - evolution"]["value"] == pytest.approx(4.0)
    verdicts = {name: one["verdict"] for name, one in found.items()}
    assert verdicts == {
        "evolution - random": "above",
        "guided - random": "above",
        "guided - evolution": "above",
        "guided - guided_shuffled": "not separated",
        "guided - single_stream": "above",
    }
