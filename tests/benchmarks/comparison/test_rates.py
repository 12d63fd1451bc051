import pytest

from benchmarks.comparison.networks import Own
from benchmarks.comparison.rates import best_rate
from benchmarks.comparison.trainings import Job, Trained
from search_space import catalog
from training.schedule import Schedule
from workspace.errors import OperationError

pytest.importorskip("torch")


def jobs(*rates):
    """Two networks at each rate."""
    network = Own(name="any", architecture=catalog.resolve("mnasnet-small"))
    return {
        rate: [
            Job(
                network=network,
                seed=seed,
                schedule=Schedule(samples=64, learning_rate=rate),
                size=28,
            )
            for seed in range(2)
        ]
        for rate in rates
    }


def results(**validation):
    """Trains at once: by rate a pair of accuracies, or None where it diverges."""

    def training(every):
        found = []
        for job in every:
            pair = validation[f"r{job.schedule.learning_rate:g}".replace(".", "_")]
            value = 0.0 if pair is None else pair[job.seed]
            failure = "" if pair is not None else "the loss is not finite"
            found.append(Trained(validation=value, test=0.0, seconds=1.0, failure=failure))
        return found

    return training


def test_the_best_mean_on_validation_decides():
    said: list[str] = []
    found = best_rate(jobs(0.1, 0.2), results(r0_1=(0.9, 0.5), r0_2=(0.75, 0.75)), said.append)
    assert found == 0.2
    assert [text.split(",")[0] for text in said] == [
        "learning rate 0.1: accuracy 70.00% on validation",
        "learning rate 0.2: accuracy 75.00% on validation",
    ]


def test_a_rate_at_which_a_training_diverged_is_left_out():
    assert best_rate(jobs(0.1, 0.2), results(r0_1=(0.3, 0.3), r0_2=None), print) == 0.1


def test_that_all_diverged_is_said():
    with pytest.raises(OperationError, match=r"diverged at each of the rates 0\.1, 0\.2"):
        best_rate(jobs(0.1, 0.2), results(r0_1=None, r0_2=None), print)


def test_one_rate_alone_is_taken_without_a_training():
    def never(every):
        raise AssertionError(every)

    assert best_rate(jobs(0.1), never, print) == 0.1
