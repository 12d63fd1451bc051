import random
from dataclasses import replace
from statistics import fmean

import pytest

from controller.algorithm import Objective, Proposal
from controller.candidate import Candidate, OutcomeKind
from controller.early_stopping import EarlyStopping, Saving, StoppingSettings
from controller.found_latency import FoundLatency
from controller.learning_curves import Expected
from controller.objectives import goal_of, parse
from controller.reward import Reward, RewardMode, macs_reward
from training.executor import Look, TrainingResult
from workspace.errors import InputError

REWARD = Reward(mode=RewardMode.SOFT, target_ms=1.0)
WHOLE = 900


def stopping(**settings):
    made = StoppingSettings(**settings)
    return EarlyStopping(made, made.samples(WHOLE, batch=8), REWARD)


def candidate(told, looks, final=None, latency_ms=1.0):
    """One that was told, in the place ``told``; ``final`` is None if it was stopped."""
    samples = (100, 300)[: len(looks)]
    return Candidate(
        proposal=Proposal(index=told, point=(told,)),
        asked_after=told,
        key=str(told),
        document=None,
        latency=FoundLatency(
            latency_ms=latency_ms,
            low_ms=latency_ms,
            high_ms=latency_ms,
            origin="table",
            source="made up",
            coverage=1.0,
            verdict="stable",
            artifact_sha256="",
            measurement=None,
        ),
        training=TrainingResult(
            accuracy=looks[-1] if final is None else final,
            samples=samples[-1] if final is None else WHOLE,
            seconds=0.0,
            looks=tuple(Look(samples=s, accuracy=a) for s, a in zip(samples, looks, strict=True)),
            stopped=final is None,
        ),
        final=None,
        told=told,
        kind=OutcomeKind.STOPPED if final is None else OutcomeKind.EVALUATED,
        failure=None,
        reward=0.5,
        objectives=tuple(
            Objective(name=name, value=value, goal=goal_of(name))
            for name, value in zip(
                parse(["accuracy", "latency_ms"]), (0.5, latency_ms), strict=True
            )
        ),
        expected=Expected(accuracy=0.5, deviation=0.02) if final is None else None,
        text="",
        same_as=None,
    )


def curve(rng):
    worth = rng.gauss(0.0, 0.03)
    first, second = 0.5 + 1.5 * worth + rng.gauss(0.0, 0.02), 0.7 + worth + rng.gauss(0.0, 0.005)
    return first, second, 0.8 + worth


def played(made, curves, window=4):
    """What is trained of ``curves``, and the best that went to its end."""
    samples, best = 0, 0.0
    for told, (*looks, final) in enumerate(curves):
        rungs = made.rule(max(0, told - window + 1)).rungs(1.0, (1.0,))
        missed = [place for place, rung in enumerate(rungs) if looks[place] < rung.least]
        if missed:
            made.add(candidate(told, looks[: missed[0] + 1]))
            samples += rungs[missed[0]].samples
        else:
            made.add(candidate(told, looks, final))
            samples += WHOLE
            best = max(best, final)
    return samples / (WHOLE * len(curves)), best


def test_rungs_are_where_so_many_times_less_is_seen():
    assert StoppingSettings().samples(19_200, batch=64) == (2133, 6400)
    assert StoppingSettings(reduction=4, rungs=1).samples(1000, batch=10) == (250,)


def test_a_schedule_too_short_for_its_rungs_is_refused():
    with pytest.raises(InputError, match="after 22 of 200 samples, which are fewer than two"):
        StoppingSettings().samples(200, batch=32)


@pytest.mark.parametrize("settings", [{"reduction": 1}, {"rungs": 0}])
def test_a_reduction_that_reduces_nothing_is_refused(settings):
    with pytest.raises(InputError, match="a reduction of at least 2 and at least 1 rung"):
        StoppingSettings(**settings)


def test_nothing_is_stopped_before_two_trainings_went_to_their_end():
    made = stopping()
    made.add(candidate(0, (0.5, 0.7), 0.8))
    assert [rung.least for rung in made.rule(1).rungs(1.0, (1.0,))] == [0.0, 0.0]
    made.add(candidate(1, (0.6, 0.8), 0.9))
    assert all(rung.least > 0 for rung in made.rule(2).rungs(1.0, (1.0,)))


def test_a_rule_knows_only_what_had_been_told():
    made = stopping()
    for told in range(6):
        made.add(candidate(told, (0.5 + told / 50, 0.7), 0.8))
    before = made.rule(4)
    made.add(candidate(6, (0.9, 0.9), 0.95))
    assert made.rule(4) == before
    assert made.rule(7) != before


def test_a_third_of_the_samples_finds_what_all_of_them_find():
    """60 made-up trainings a search, 40 searches; what is lost is far less than the spread."""
    rng = random.Random(0)
    shares, lost = [], []
    for _ in range(40):
        curves = [curve(rng) for _ in range(60)]
        share, best = played(stopping(), curves)
        shares.append(share)
        lost.append(max(final for *_, final in curves) - best)
    assert fmean(shares) <= 1 / 3
    assert fmean(lost) < 0.1 * 0.03


def test_a_search_that_gets_better_goes_on_stopping():
    """Its candidates would all pass those of its beginning."""
    rng = random.Random(1)
    better = [
        (first + step / 1500, second + step / 1500, final + step / 1500)
        for step, (first, second, final) in ((step, curve(rng)) for step in range(120))
    ]
    share, _ = played(stopping(), [tuple(min(a, 1.0) for a in one) for one in better])
    assert share < 1 / 3


def test_a_slower_network_has_to_be_more_accurate():
    made = stopping()
    for told in range(9):
        made.add(candidate(told, (0.5 + told / 50, 0.7 + told / 80), 0.8 + told / 100))
    fast, slow = (made.rule(9).rungs(REWARD.value(1.0, ms), (ms,)) for ms in (0.5, 2.0))
    assert all(a.least < b.least for a, b in zip(fast, slow, strict=True))


def test_by_the_front_a_network_faster_than_all_others_is_never_stopped():
    made = stopping(by_front=True)
    for told in range(9):
        made.add(candidate(told, (0.5 + told / 50, 0.7), 0.8, latency_ms=1.0 + told))
    rule = made.rule(9)
    assert [rung.least for rung in rule.rungs(1.0, (0.9,))] == [0.0, 0.0]
    assert all(rung.least > 0 for rung in rule.rungs(1.0, (3.0,)))


def test_where_multiply_adds_are_weighed_a_larger_network_has_to_be_more_accurate():
    reward = macs_reward(1e6)
    made = EarlyStopping(StoppingSettings(), (100, 300), reward)
    for told in range(9):
        one = candidate(told, (0.5 + told / 50, 0.7 + told / 80), 0.8 + told / 100)
        size = Objective(name="macs", value=1e6, goal=goal_of(parse(["accuracy", "macs"])[1]))
        made.add(replace(one, objectives=(*one.objectives, size)))
    small, large = (
        made.rule(9).rungs(reward.rated(1.0, {"macs": macs}), (1.0,)) for macs in (5e5, 2e6)
    )
    assert all(a.least < b.least for a, b in zip(small, large, strict=True))


def test_by_the_front_a_network_that_costs_less_in_one_objective_is_not_stopped():
    settings = StoppingSettings(by_front=True)
    names = parse(["accuracy", "latency_ms", "params"])
    made = EarlyStopping(settings, (100, 300), REWARD, names)
    for told in range(9):
        one = candidate(told, (0.5 + told / 50, 0.7), 0.8, latency_ms=1.0)
        params = Objective(name="params", value=5.0, goal=goal_of(names[2]))
        made.add(replace(one, objectives=(*one.objectives, params)))
    rule = made.rule(9)
    assert all(rung.least > 0 for rung in rule.rungs(1.0, (1.0, 5.0)))
    assert all(rung.least == 0 for rung in rule.rungs(1.0, (2.0, 4.0)))


def test_what_was_stopped_is_expected_to_give_less_than_those_that_went_on():
    made = stopping()
    rng = random.Random(3)
    for told in range(12):
        *looks, final = curve(rng)
        made.add(candidate(told, tuple(looks), final))
    low = candidate(12, (0.35,)).training
    told = made.rule(12).expected(low)
    assert 0.7 < told.accuracy < 0.79
    assert told.deviation > 0.005
    with pytest.raises(ValueError, match="gave what it gave"):
        made.rule(12).expected(replace(low, stopped=False))


def test_those_that_were_evaluated_for_another_or_not_looked_at_are_not_compared():
    made = stopping()
    whole = candidate(0, (0.5, 0.7), 0.8)
    made.add(replace(whole, same_as=3))
    made.add(replace(whole, training=replace(whole.training, looks=())))
    assert made.rule(5).told == ()


def test_the_saving_is_of_what_was_begun():
    whole, cut = candidate(0, (0.5, 0.7), 0.8), candidate(1, (0.4,))
    other = replace(cut, same_as=1)
    saving = Saving.of([whole, cut, other])
    assert (saving.trainings, saving.stopped) == (2, 1)
    assert saving.share == pytest.approx((900 + 100) / 1800)
    assert "1 of 2 trainings were stopped early: 56% of the samples" in saving.sentence
    assert Saving.of([whole]) is None
