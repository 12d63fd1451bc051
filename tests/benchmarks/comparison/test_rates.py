import math
from dataclasses import replace

import pytest

from benchmarks.comparison.networks import Own
from benchmarks.comparison.rates import MOST, best_rate, own_rates
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


class Tuned:
    """Networks whose validation falls with the distance of the rate from their own best."""

    def __init__(self, **best):
        self.best = best
        self.batches = []

    def job(self, name, rate):
        (one, _) = jobs(rate)[rate]
        return replace(one, network=Own(name=name, architecture=one.network.architecture))

    def training(self, every):
        self.batches.append([(job.network.name, job.schedule.learning_rate) for job in every])
        return [self.result(*pair) for pair in self.batches[-1]]

    def result(self, name, rate):
        best = self.best[name]
        if rate > 4 * best:
            return Trained(validation=0.0, test=0.0, seconds=1.0, failure="diverged")
        value = 1 - abs(math.log2(rate / best)) / 100
        return Trained(validation=value, test=0.0, seconds=1.0)

    def rates(self, *rates):
        return own_rates(list(self.best), self.job, rates, self.training, lambda _: None)


def test_each_network_has_its_own_rate_which_no_end_of_those_tried_holds_back():
    tuned = Tuned(low=0.0005, within=0.004, high=0.016)
    assert tuned.rates(0.002, 0.004, 0.008) == tuned.best
    assert tuned.batches == [
        [(name, rate) for rate in (0.002, 0.004, 0.008) for name in tuned.best],
        [("low", 0.001), ("high", 0.016)],
        [("low", 0.0005), ("high", 0.032)],
        [("low", 0.00025)],
    ]


def test_a_network_is_trained_at_so_many_rates_at_most():
    tuned = Tuned(far=64.0)
    assert tuned.rates(0.001, 0.002) == {"far": 0.001 * 2 ** (MOST - 1)}


def test_a_network_that_diverges_at_all_rates_is_named():
    with pytest.raises(OperationError, match=r"^far diverged at each of the rates 1, 2, 0\.5"):
        Tuned(far=0.0001).rates(1.0, 2.0)


def test_one_rate_alone_is_that_of_every_network_without_a_training():
    tuned = Tuned(one=0.004, other=0.008)
    assert tuned.rates(0.002) == {"one": 0.002, "other": 0.002}
    assert not tuned.batches
