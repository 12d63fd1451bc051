from dataclasses import replace

import pytest

from controller.feasibility import require_feasible, require_small_enough, smallest
from controller.reward import Reward, RewardMode, macs_reward
from latency.measurement import Verdict
from latency.table_file import load
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture
from search_space.layers import macs
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError, OperationError

HEAD = Classifier(classes=1000)


def soft(target_ms):
    return Reward(mode=RewardMode.SOFT, target_ms=target_ms)


@pytest.mark.parametrize("mode", list(RewardMode))
def test_a_table_knows_its_fastest_network_exactly(mode):
    source, space = TableSource(load("pixel1")), ProxylessSpace()
    over = source.over(space, HEAD)
    fastest_ms = over.latency_ms(over.fastest)
    found = require_feasible(space, HEAD, source, Reward(mode=mode, target_ms=fastest_ms + 0.01))
    assert found.latency_ms == pytest.approx(fastest_ms)
    reward = Reward(mode=mode, target_ms=0.5 * fastest_ms)
    with pytest.raises(InputError) as caught:
        require_feasible(space, HEAD, source, reward)
    text = str(caught.value)
    assert f"{0.5 * fastest_ms:g} ms on table:pixel1" in text
    assert f"the fastest one found takes {fastest_ms:.4g} ms" in text


def test_a_space_that_a_table_lacks_is_refused():
    with pytest.raises(InputError, match="table:pixel1 lacks"):
        require_feasible(
            MnasNetSpace.from_options({}), HEAD, TableSource(load("pixel1")), soft(75)
        )


def test_a_size_that_a_table_lacks_is_refused():
    with pytest.raises(InputError, match="table:pixel1 lacks"):
        require_feasible(ProxylessSpace(), HEAD, TableSource(load("pixel1")), soft(75), size=192)


def test_of_a_device_a_small_network_is_asked_for_and_no_more_if_it_is_fast(lab):
    source = lab.Source()
    found = require_feasible(lab.space, HEAD, source, soft(100))
    assert len(source.asked) == 1
    assert found.latency_ms == min(macs(one, Classifier(classes=10)) for one in every(lab)) / 1e4


def every(lab):
    points = lab.space.points
    return [
        lab.space.decode((kernel, filters, repeats))
        for kernel in range(len(points.choices[0].options))
        for filters in range(len(points.choices[1].options))
        for repeats in range(4)
    ]


def test_before_a_target_is_refused_more_are_asked_for(lab):
    source = lab.Source()
    with pytest.raises(
        InputError, match=r"no network of the space 'small' meets 0.001 ms on fake"
    ):
        require_feasible(lab.space, HEAD, source, soft(0.001))
    assert len({request.subject.architecture.key for request in source.asked}) == 4


def test_one_of_them_that_is_fast_enough_will_do(lab):
    def say(request, estimate):
        if request.id == "feasibility-2":
            return replace(estimate, latency_ms=0.5, low_ms=0.4, high_ms=0.6)
        return estimate

    assert require_feasible(lab.space, HEAD, lab.Source(say=say), soft(0.6)).latency_ms == 0.5


def test_an_interval_that_reaches_the_target_will_do(lab):
    fastest_ms = require_feasible(lab.space, HEAD, lab.Source(), soft(100)).latency_ms
    found = require_feasible(lab.space, HEAD, lab.Source(), soft(0.95 * fastest_ms))
    assert found.low_ms < 0.95 * fastest_ms < found.latency_ms


def test_the_size_that_is_timed_is_the_one_asked_for(lab):
    source = lab.Source()
    require_feasible(lab.space, HEAD, source, soft(100), size=32)
    assert source.asked[0].subject.architecture.size == 32


def test_a_device_that_does_not_answer_is_no_bad_input(lab):
    source = lab.Source(
        say=lambda request, _: lab.LatencyFailure(
            request_id=request.id, text="the phone is gone", retryable=True
        )
    )
    with pytest.raises(OperationError, match="the phone is gone"):
        require_feasible(lab.space, HEAD, source, soft(100))


def test_a_rejected_latency_says_nothing(lab):
    source = lab.Source(say=lambda _, estimate: replace(estimate, verdict=Verdict.REJECTED))
    with pytest.raises(OperationError, match="fake rejects what it measured"):
        require_feasible(lab.space, HEAD, source, soft(100))


def test_the_smallest_networks_come_first_and_none_twice():
    space = MnasNetSpace.from_options({})
    found = list(smallest(space))
    sizes = [macs(one, HEAD) for one in found if isinstance(one, ChainArchitecture)]
    assert len(sizes) == len(found)
    assert sizes == sorted(sizes)
    assert len({one.key for one in found}) == len(found) > 4


def test_a_reward_without_a_latency_takes_any_that_is_told(lab):
    source = lab.Source()
    found = require_feasible(lab.space, HEAD, source, macs_reward(1.0))
    assert found.latency_ms > 0
    assert len(source.asked) == 1


def test_a_target_of_multiply_adds_that_no_network_keeps_is_refused(lab):
    least = min(macs(one, Classifier(classes=10)) for one in every(lab))
    require_small_enough(lab.space, Classifier(classes=10), least)
    with pytest.raises(
        InputError,
        match=rf"'small' has at most {least - 1:,} .* found has {least:,}; raise --target-macs",
    ):
        require_small_enough(lab.space, Classifier(classes=10), least - 1)
    larger = next(smallest(lab.space)).at(64)
    assert isinstance(larger, ChainArchitecture)
    with pytest.raises(InputError, match="at most"):
        require_small_enough(lab.space, HEAD, macs(larger, HEAD) - 1, size=64)
