import random
from dataclasses import replace

import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.reported import Reported
from controller.phased import planned

cost = pytest.importorskip("exporters.cost", exc_type=ImportError)


def step(network):
    """CPU time of a training step, as if it were in proportion to filters."""
    return network.filter_scale / 0.1875


def test_every_arm_trains_as_long(script):
    plan = script.FULL
    decreasing = script.scale_decreasing(plan.space)
    contest = script.Contest(plan=plan, step=step)
    for scale in (0.05, 0.1875, 0.3):
        job = contest.job("one", replace(decreasing, filter_scale=scale), 0.004, 0)
        assert job.schedule.samples % job.schedule.batch == 0
        spent = job.schedule.samples * scale / 0.1875
        assert spent == pytest.approx(plan.samples, rel=0.001)
    assert contest.job("one", decreasing, 0.004, 0).schedule.samples == plan.samples


def test_each_seed_has_a_random_network_of_its_own_whatever_the_number_of_seeds(script):
    six = script.FULL.randoms
    assert len({one.key for one in six}) == script.FULL.seeds
    assert replace(script.FULL, seeds=2).randoms == six[:2]
    rng = random.Random(0)
    arms = script.arms_of(script.FULL, "decreasing", "searched", [rng.random() for _ in six])
    assert len(arms) == 3 * len(six)
    assert [seed for *_, seed in arms[:6]] == [0, 0, 0, 1, 1, 1]
    assert len({network for arm, _, network, _ in arms if arm == "random"}) == len(six)


def test_the_search_is_in_the_papers_order_and_its_settings_are_kept(script, tmp_path):
    plan = script.FULL
    config = plan.search_config(7.5)
    phases = planned(plan.space, config.phases, config.trials - config.confirm)
    assert [(one.phase.name, one.trials) for one in phases] == [("graph", 24), ("adjustments", 12)]
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert type(config).load(tmp_path / "config.toml", {}) == config


def test_anchors_are_those_that_short_trainings_get_further_with(script):
    from training.task import create, metric_name

    pytest.importorskip("torch")
    task = create(script.WIDE_ANCHORS)
    assert isinstance(task, script.WideAnchors)
    assert task.anchor == 1.5
    assert metric_name(task) == "AP"


def row(name, test, latency_ms):
    return Reported(
        name=name,
        key=name,
        test=tuple(test),
        validation=tuple(test),
        sessions_ms=(latency_ms,) * 3,
        cost=cost.Cost(params=1, total_params=1, macs=1, peak_activation_bytes=1),
    )


def test_differences_are_paired_by_seed(script):
    rows = [
        row("decreasing", (0.20, 0.24), 10.0),
        row("random-0", (0.21,), 10.2),
        row("searched", (0.25, 0.29), 9.9),
        row("random-1", (0.25,), 9.8),
    ]
    found = script.compared(rows, {"random-0": 1.02, "random-1": 0.96, "searched": 0.98})
    assert found["ap"] == pytest.approx({"decreasing": 0.22, "random": 0.23, "searched": 0.27})
    assert found["latency_ratio"] == pytest.approx(
        {"decreasing": 1.0, "random": 0.99, "searched": 0.98}
    )
    searched = found["differences"]["searched-decreasing"]
    assert searched["value"] == pytest.approx(5.0)
    assert (searched["verdict"], searched["high"]) == ("above", pytest.approx(5.0))
    assert found["differences"]["random-decreasing"]["value"] == pytest.approx(1.0)


def test_step_times_are_measured_once_beside_those_of_the_one_they_are_parts_of(
    script, tmp_path, monkeypatch
):
    pytest.importorskip("torch")
    measured = []

    def ratio(_module, _other, _task, size):
        measured.append(size)
        return 1.25

    monkeypatch.setattr(script, "step_ratio", ratio)
    decreasing = script.scale_decreasing(script.QUICK.space)
    network = replace(decreasing, filter_scale=0.125)
    path = tmp_path / "steps.jsonl"
    for _ in range(2):
        ratios = script.StepRatios(decreasing, Log(path))
        assert (ratios(network), ratios(decreasing)) == (1.25, 1.0)
    assert measured == [128]
