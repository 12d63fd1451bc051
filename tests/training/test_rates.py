import math

import pytest

from training.rates import rate, steps_of
from training.schedule import Decay, Schedule


def curve(schedule, batch, epoch=100):
    steps = range(steps_of(schedule.samples, batch))
    return [rate(schedule, seen=step * batch, batch=batch, epoch=epoch) for step in steps]


def test_the_rate_rises_over_a_tenth_and_falls_by_half_a_cosine():
    found = curve(Schedule(samples=1000), 10)
    assert found[:10] == [(step + 1) / 10 for step in range(10)]
    assert found[10] == 1
    assert found[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert found[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))


def test_a_change_of_batch_keeps_the_shape():
    schedule = Schedule(samples=10_000)
    for seen in range(0, 10_000, 400):
        small, large = (rate(schedule, seen=seen, batch=b, epoch=500) for b in (4, 40))
        assert small == pytest.approx(large, abs=0.05)


def test_the_staircase_falls_every_few_epochs_after_the_warm_up():
    schedule = Schedule(samples=1000, decay=Decay.STAIRCASE, warmup=0.02)
    found = curve(schedule, 10)
    assert found[:2] == [0.5, 1.0]
    assert found[23] == 1.0
    assert found[24] == 0.97  # 2.4 epochs of 100 images
    assert found[-1] == pytest.approx(0.97**4)


def test_without_a_warm_up_the_rate_begins_at_its_peak():
    assert curve(Schedule(samples=100, warmup=0.0), 10)[0] == 1


def test_the_rate_falls_to_a_tenth_at_each_drop():
    found = curve(Schedule(samples=1000, decay=Decay.DROPS, drops=(0.5, 0.75), warmup=0.1), 10)
    assert found[9:50] == [1.0] * 41
    assert found[50:75] == [pytest.approx(0.1)] * 25
    assert found[75:] == [pytest.approx(0.01)] * 25
