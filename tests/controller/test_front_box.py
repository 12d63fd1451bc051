import pytest

from controller.front_box import FrontBox
from controller.objectives import DEFAULT, parse
from controller.pareto import FrontPoint


def test_of_accuracy_and_latency_it_is_fixed_by_the_target():
    box = FrontBox.of(DEFAULT, 75.0)
    assert box.with_losses((-0.7, 900.0)) == box
    assert box.text() == "the box from accuracy 0 at 150 ms to accuracy 1 at 0 ms"
    point = FrontPoint(index=0, losses=(-0.5, 75.0))
    assert box.share([point]) == pytest.approx(0.25)


def test_what_has_no_target_counts_up_to_the_most_of_any_trial():
    box = FrontBox.of(parse(["accuracy", "params", "latency_ms"]), 2.0)
    assert box.share([]) == 0.0
    for losses in ((-0.7, 1e6, 1.0), (-0.8, 4e6, 1.0), (-0.2, 2e6, 9.0)):
        box = box.with_losses(losses)
    assert box.worst == (0.0, 4e6, 4.0)
    assert box.text() == (
        "the box from accuracy 0 at 4 ms and 4,000,000 parameters (the most of any trial) to "
        "accuracy 1 at 0 ms and 0 parameters"
    )
    front = [FrontPoint(index=0, losses=(-0.5, 1e6, 1.0))]
    assert box.share(front) == pytest.approx(0.5 * 0.75 * 0.75)


def test_of_accuracy_alone_it_is_the_best_accuracy():
    box = FrontBox.of(parse(["accuracy"]), 2.0)
    assert box.share([FrontPoint(index=0, losses=(-0.625,))]) == 0.625
    assert box.text() == "the range from accuracy 0 to accuracy 1"


def test_without_a_target_the_latency_counts_up_to_the_most_of_any_trial_too():
    box = FrontBox.of(DEFAULT, None).with_losses((-0.7, 900.0)).with_losses((-0.8, 30.0))
    assert box.worst == (0.0, 900.0)
    assert box.text() == (
        "the box from accuracy 0 at 900 ms (the most of any trial) to accuracy 1 at 0 ms"
    )
