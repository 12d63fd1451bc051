import numpy as np
import pytest

from latency.table_points import AdditiveLatencies
from search_space.decisions import Choice, DecisionSpace
from workspace.errors import InputError

SPACE = DecisionSpace(
    choices=(Choice(name="a", options=("1", "2", "3")), Choice(name="b", options=("1", "2")))
)


def test_decisions_that_add_up_are_found_by_trying_each_once():
    tried = []

    def terms(point):
        tried.append(point)
        return (10.0, (1.0, 2.0, 4.0)[point[0]], *((0.5,) if point[1] else ()))

    made = AdditiveLatencies.of(SPACE, terms, "a toy")
    assert tried[:3] == [(0, 0), (0, 0), (1, 0)]
    assert made.extra_ms == ((0.0, 1.0, 3.0), (0.0, 0.5))
    assert (made.fastest, made.slowest) == ((0, 0), (2, 1))
    grid = np.array([(a, b) for a in range(3) for b in range(2)])
    assert made.latencies_ms(grid).tolist() == [11.0, 11.5, 12.0, 12.5, 14.0, 14.5]


def test_a_decision_that_changes_what_another_one_costs_is_refused():
    with pytest.raises(InputError, match="a decision of a toy changes what another one costs"):
        AdditiveLatencies.of(SPACE, lambda point: (1.0 + point[0] * point[1],), "a toy")
