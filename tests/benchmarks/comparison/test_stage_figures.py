import json

import pytest

from benchmarks.comparison.stage_arms import Arm
from benchmarks.comparison.stage_figures import equal_accuracy, figures
from benchmarks.comparison.trainings import Trained

MAIN = 200


def trained(accuracy, seconds):
    """Two seeds, a tenth of a point around an accuracy in percent, a hundredth around a time."""
    return [
        Trained(validation=0.0, test=(accuracy + off) / 100, seconds=seconds * (1 + off / 10))
        for off in (-0.1, 0.1)
    ]


def found(progressive, seconds=10.0):
    """The baseline has 90, 91 and 92 % after 10, 20 and 40 seconds."""
    return {
        (Arm.BASELINE, 100): trained(90, 10.0),
        (Arm.BASELINE, MAIN): trained(91, 20.0),
        (Arm.BASELINE, 400): trained(92, 40.0),
        (Arm.PROGRESSIVE, MAIN): trained(progressive, seconds),
        (Arm.GROWING_SIZE, MAIN): trained(progressive - 1, seconds),
        (Arm.GROWING_REGULARIZATION, MAIN): trained(91.5, 20.0),
        (Arm.RANDOM_SIZES, MAIN): trained(80, seconds),
    }


def shown_of(found):
    """As it is printed."""
    return json.loads(json.dumps(figures(found, MAIN)))


def test_at_equal_samples_time_and_accuracy_are_compared_seed_by_seed():
    shown = shown_of(found(90.9))
    assert shown["speedup"] == pytest.approx(2)
    assert shown["intervals"]["speedup"] == pytest.approx([2, 2])
    assert shown["accuracy"] == pytest.approx(0.909)
    assert shown["baseline_accuracy"] == pytest.approx(0.91)
    assert shown["intervals"]["points"] == pytest.approx([-0.1] * 3)
    assert shown["keeps_accuracy"]
    assert not shown_of(found(90.7))["keeps_accuracy"]


def test_at_equal_accuracy_the_baseline_is_read_between_its_budgets():
    shown = shown_of(found(91.5))
    # Half-way from 91 to 92 % lies half-way from 20 to 40 s in the logarithm.
    assert shown["speedup_equal_accuracy"] == pytest.approx(2 * 2**0.5)
    equal = shown["equal_accuracy"][str(MAIN)]
    assert equal["reached"] == "yes"
    assert equal["speedup"]["low"] < 2 * 2**0.5 < equal["speedup"]["high"]
    assert shown["aim_met"]


@pytest.mark.parametrize(
    ("progressive", "reached", "ratio", "aim"),
    [(93, "at least", 4.0, True), (89, "at most", 1.0, False)],
)
def test_beyond_the_budgets_only_a_bound_is_told(progressive, reached, ratio, aim):
    (one,) = equal_accuracy(found(progressive)).values()
    assert one.reached == reached
    assert one.speedup.value == pytest.approx(ratio)
    assert shown_of(found(progressive))["aim_met"] is aim


def test_the_ablation_has_every_arm_against_the_baseline():
    ablation = shown_of(found(91))["ablation"]
    assert set(ablation) == set(Arm)
    assert "points" not in ablation["baseline"]
    assert ablation["random-sizes"]["points"]["verdict"] == "below"
    assert ablation["growing-regularization"]["points"]["value"] == pytest.approx(0.5)
    assert ablation["growing-regularization"]["speedup"]["value"] == pytest.approx(1)


def test_a_budget_more_of_progressive_learning_is_told_too():
    more = {**found(91), (Arm.PROGRESSIVE, 100): trained(90, 4.0)}
    equal = equal_accuracy(more)
    assert list(equal) == [100, MAIN]
    assert equal[100].speedup.value == pytest.approx(2.5)
