import pytest

from controller.algorithm import Goal
from controller.objectives import (
    DEFAULT,
    ObjectiveName,
    deciding,
    in_order,
    losses,
    losses_of,
    parse,
    untold_of,
    with_latency,
)
from workspace.errors import InputError

FOUND = {"accuracy": 0.5, "latency_ms": 2.0, "peak_memory_mb": None, "params": 3e6}


def test_objectives_come_in_the_order_in_which_they_are_named_then_what_else_was_told():
    made = in_order(parse(["params", "accuracy"]), FOUND)
    assert [one.name for one in made] == ["params", "accuracy", "latency_ms"]
    assert [one.goal for one in made] == [Goal.MINIMIZE, Goal.MAXIMIZE, Goal.MINIMIZE]
    assert losses(made) == (3e6, -0.5, 2.0)
    assert losses_of(made, parse(["latency_ms", "accuracy"])) == (2.0, -0.5)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["accuracy", "speed"], "unknown objective 'speed'; there are accuracy, latency_ms, par"),
        (["accuracy", "params", "params"], "'params' is named twice, in accuracy, params, params"),
        (["latency_ms"], "accuracy must be among the objectives, got latency_ms"),
        ([], "accuracy must be among the objectives, got none"),
        (["Accuracy"], "unknown objective 'Accuracy'"),
    ],
)
def test_what_cannot_be_weighed_is_named(texts, words):
    with pytest.raises(InputError, match=words):
        parse(texts)


def test_one_that_nobody_told_is_named():
    names = parse(["accuracy", "peak_memory_mb", "energy_mj"])
    assert untold_of(names, FOUND) == (ObjectiveName.PEAK_MEMORY_MB, ObjectiveName.ENERGY_MJ)
    with pytest.raises(ValueError, match="no peak_memory_mb was told"):
        in_order(names, FOUND)
    with pytest.raises(ValueError, match="objective macs is needed"):
        losses_of(in_order(DEFAULT, FOUND), parse(["accuracy", "macs"]))


def test_the_best_for_the_reward_is_on_a_front_with_the_latency():
    assert with_latency(parse(["accuracy", "params"])) == DEFAULT
    named = parse(["params", "latency_ms", "accuracy"])
    assert with_latency(named) == named


def test_the_best_for_another_reward_is_on_a_front_with_all_that_it_weighs():
    weighed = ("train_step_ms", "params")
    assert deciding(DEFAULT, weighed) == parse(["accuracy", "train_step_ms", "params"])
    named = parse(["params", "latency_ms", "accuracy", "train_step_ms"])
    assert deciding(named, weighed) == named
