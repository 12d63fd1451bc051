import random
from collections.abc import Sequence

import numpy as np
import pytest

from controller import figure_model
from controller.figure_model import FigureModel
from controller.point_codes import coding_of
from controller.testing import SPACE
from search_space.decisions import Point

CODING = coding_of(SPACE, [])
POINTS = random.Random(0).sample(
    [(k, 0, one, two, 0, 0) for k in range(3) for one in range(4) for two in range(4)], 48
)
"""In no order, so that every option is among a few."""


def no_matter(points: Sequence[Point]) -> list[float]:
    return [0.0] * len(points)


def total(point: Point) -> float:
    return float(sum(option for option in point if isinstance(option, int)))


def told(model: FigureModel, points, value=total):
    for point in points:
        model.learn(point, float(value(point)))
    model.refresh(CODING, no_matter)
    return model


def test_what_it_was_told_decides_what_it_expects():
    model = told(FigureModel(), POINTS[::2])
    mean, deviation = model.at(CODING.codes(POINTS[1::2]))
    assert mean == pytest.approx([total(point) for point in POINTS[1::2]], abs=0.3)
    assert deviation.max() < 1.0


def test_without_noise_a_point_is_what_was_told():
    model = told(FigureModel(), POINTS[::3])
    known = model.at_known()
    assert [known[point][0] for point in POINTS[::3]] == pytest.approx(
        [total(point) for point in POINTS[::3]]
    )
    assert max(deviation for _, deviation in known.values()) < 1e-3


def test_with_noise_a_point_is_judged_by_its_like_too():
    model = FigureModel(noise=1.0)
    lucky = POINTS[20]
    told(model, POINTS[::2], lambda point: total(point) + 3.0 * (point == lucky))
    mean, deviation = model.at_known()[lucky]
    assert total(lucky) < mean < total(lucky) + 2.0
    assert 0.1 < deviation < 1.0


def test_a_point_that_is_told_again_is_surer():
    model = told(FigureModel(noise=1.0), POINTS[::2])
    _, before = model.at_known()[POINTS[20]]
    for _ in range(8):
        model.learn(POINTS[20], total(POINTS[20]))
    model.refresh(CODING, no_matter)
    _, after = model.at_known()[POINTS[20]]
    assert after < 0.6 * before


def test_what_is_believed_is_forgotten_when_more_is_known():
    model = told(FigureModel(), POINTS[::4])
    code = CODING.codes([POINTS[1]])
    _, before = model.at(code)
    near = CODING.codes([POINTS[5]])
    model.believe(near)
    _, believed = model.at(code)
    assert believed[0] < before[0]
    model.refresh(CODING, no_matter)
    assert model.at(code)[1] == pytest.approx(before)


def test_a_collapsed_value_does_not_hide_the_differences_of_the_others():
    model = FigureModel()
    told(model, POINTS[::2], lambda point: -1e6 if point == POINTS[0] else total(point))
    mean, _ = model.at(CODING.codes(POINTS[33::2]))
    assert mean == pytest.approx([total(point) for point in POINTS[33::2]], abs=1.5)


def test_of_many_points_the_worthy_and_the_latest_are_remembered(monkeypatch):
    monkeypatch.setattr(figure_model, "REMEMBERED", 12)
    model = FigureModel()
    for point in POINTS:
        model.learn(point, total(point))
    model.refresh(CODING, lambda points: [total(point) for point in points])
    known = list(model.at_known())
    assert len(known) == 12
    assert sorted(map(total, known))[-8:] == sorted(map(total, POINTS))[-8:]
    assert POINTS[-1] in known
    assert POINTS[-2] in known


def test_equal_values_are_no_reason_to_fail():
    model = told(FigureModel(), POINTS[::2], lambda _: 0.5)
    mean, deviation = model.at(CODING.codes(POINTS[1::2]))
    assert mean == pytest.approx(np.full(len(mean), 0.5), abs=1e-6)
    assert np.isfinite(deviation).all()


def rank_correlation(model: FigureModel, points, value=total) -> float:
    mean, _ = model.at(CODING.codes(points))
    true = np.array([value(point) for point in points])
    return float(np.corrcoef(mean.argsort().argsort(), true.argsort().argsort())[0, 1])


def with_fidelity(value, own=POINTS[:4]):
    """Told of some points itself, and of half of all by another fidelity."""
    model = FigureModel()
    for point in POINTS[::2]:
        model.learn(point, value(point), "shorter")
    return told(model, own)


def test_another_fidelity_tells_of_points_that_the_figure_is_not_known_of():
    """Its values are of another size, and no values of the figure."""
    others = POINTS[5::2]
    assert rank_correlation(with_fidelity(lambda point: 30.0 * total(point) - 900.0), others) > 0.9
    assert rank_correlation(told(FigureModel(), POINTS[:4]), others) < 0.8


def test_values_of_another_fidelity_are_not_known_as_the_figures_own():
    model = with_fidelity(lambda point: 30.0 * total(point))
    assert not model.knows(POINTS[40])
    assert set(model.at_known()) == set(POINTS[:4])
    mean, _ = model.at(CODING.codes(POINTS))
    assert mean.max() < 15.0


def test_a_fidelity_that_misleads_is_left_aside_when_the_figure_is_known_better():
    rng = random.Random(0)
    upside_down = with_fidelity(lambda point: -total(point), own=POINTS[:16])
    chance = with_fidelity(lambda _: rng.gauss(0.0, 1.0), own=POINTS[:16])
    alone = told(FigureModel(), POINTS[:16])
    for model in (upside_down, chance):
        assert rank_correlation(model, POINTS[17:]) > rank_correlation(alone, POINTS[17:]) - 0.05


def test_of_two_fidelities_the_one_that_helps_is_followed():
    rng = random.Random(0)
    model = FigureModel()
    for point in POINTS[::2]:
        model.learn(point, rng.gauss(0.0, 1.0), "another device")
        model.learn(point, 30.0 * total(point), "shorter")
    assert rank_correlation(told(model, POINTS[:8]), POINTS[9::2]) > 0.9


def test_a_fidelity_that_is_told_later_is_followed_too():
    model = told(FigureModel(), POINTS[:4])
    before = rank_correlation(model, POINTS[7::2])
    for point in POINTS[::2]:
        model.learn(point, 30.0 * total(point), "shorter")
    told(model, POINTS[4:7])
    assert rank_correlation(model, POINTS[7::2]) > max(0.9, before)


def test_a_fidelity_of_one_value_is_no_reason_to_fail():
    model = FigureModel()
    model.learn(POINTS[0], 0.5, "shorter")
    told(model, POINTS[:4])
    model.learn(POINTS[1], 0.7, "shorter")
    told(model, POINTS[4:5])
    mean, deviation = model.at(CODING.codes(POINTS))
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert abs(mean).max() < 30.0


def test_an_estimate_counts_for_less_than_what_was_found_and_gives_way_to_it():
    found, estimated = FigureModel(), FigureModel()
    for model, deviation in ((found, 0.0), (estimated, 5.0)):
        told(model, POINTS[::2])
        model.learn(POINTS[1], 30.0, deviation=deviation)
        model.refresh(CODING, lambda points: [0.0 for _ in points])
    means = [model.at_known()[POINTS[1]][0] for model in (found, estimated)]
    assert means[0] > means[1] + 1.0
    estimated.learn(POINTS[1], 30.0)
    estimated.refresh(CODING, lambda points: [0.0 for _ in points])
    assert estimated.at_known()[POINTS[1]][0] == pytest.approx(means[0], rel=0.05)
