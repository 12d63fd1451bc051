import json

import pytest

from controller.algorithm import create
from controller.earlier import (
    ACCURACY,
    LATENCY,
    OWN,
    REWARD,
    Earlier,
    EarlierRun,
    Known,
    KnownFigure,
    promising,
)
from controller.settings import named
from search_space.decisions import Choice, DecisionSpace
from workspace.errors import InputError


def known(number: int, reward: float | None, accuracy: float, latency_ms: float) -> Known:
    figures = [
        KnownFigure(name=ACCURACY, value=accuracy, fidelity="accuracy in A"),
        KnownFigure(name=LATENCY, value=latency_ms, fidelity=OWN),
    ]
    if reward is not None:
        figures.append(KnownFigure(name=REWARD, value=reward, fidelity="accuracy in A"))
    return Known(point=(number, ("a", 0.1)), figures=tuple(figures))


def test_the_largest_rewards_and_the_front_come_first_in_turn():
    good = [known(n, 0.9 - n / 100, 0.9 - n / 100, 50.0 + n) for n in range(5)]
    fast = [known(10 + n, 0.1 - n / 100, 0.5 - n / 20, 10.0 - n) for n in range(3)]
    skipped = Known(point=(99,), figures=good[0].figures[1:2])
    order = [one.point[0] for one in promising([*reversed(fast), *good, skipped])]
    assert order == [0, 12, 1, 11, 2, 10, 3, 4, 99]


def test_a_point_is_named_once_however_good_it_is():
    every = [known(n, n / 10, n / 10, float(n)) for n in range(20)]
    order = promising(every)
    assert sorted(one.point for one in order) == sorted(one.point for one in every)


def test_runs_take_turns():
    one, two, three = (known(n, 0.5, 0.5, 1.0) for n in range(3))
    runs = (
        EarlierRun(run="A", said="from A", known=(one, two)),
        EarlierRun(run="B", said="from B", known=(three,)),
    )
    assert Earlier(runs=runs).known == (one, three, two)
    assert Earlier().known == ()


def test_what_is_known_survives_json():
    run = EarlierRun(run="runs/ä", said="from 'ä'", known=(known(1, 0.1 + 0.2, 0.7, 1e-3),))
    assert Earlier.from_json(Earlier(runs=(run,)).to_json()) == Earlier(runs=(run,))


def test_what_a_newer_version_kept_is_refused():
    document = {**json.loads(Earlier().to_json()), "version": 2}
    with pytest.raises(InputError, match="version 2"):
        Earlier.from_json(json.dumps(document))


def test_a_figure_is_finite():
    with pytest.raises(ValueError, match=r"accuracy.*nan"):
        KnownFigure(name=ACCURACY, value=float("nan"), fidelity=OWN)


def test_a_point_that_two_runs_know_comes_first_once():
    one, two = known(0, 0.9, 0.9, 1.0), known(1, 0.5, 0.5, 1.0)
    runs = tuple(EarlierRun(run=name, said="", known=(one, two)) for name in ("A", "B"))
    space = DecisionSpace(choices=(Choice(name="k", options=tuple("abc")),))
    points = [(0,), (1,)]
    both = [
        Known(point=point, figures=each.figures)
        for each, point in zip(
            Earlier(runs=runs).known, [p for p in points for _ in "AB"], strict=True
        )
    ]
    algorithm = create(named("evolution", {}), space, 0, earlier=both)
    assert [proposal.point for proposal in algorithm.ask(2)] == points
