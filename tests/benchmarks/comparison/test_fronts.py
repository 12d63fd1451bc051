import math

import pytest

from benchmarks.comparison.fronts import Front, Place, against


def place(accuracy, latency_ms):
    return Place(accuracy=accuracy, latency_ms=latency_ms)


@pytest.fixture
def front():
    """Over the logarithm of latency a straight line of 0.1 for each doubling."""
    return Front.of([place(0.9, 4.0), place(0.7, 1.0), place(0.8, 2.0)])


def test_a_front_is_what_no_other_network_beats_fastest_first():
    beaten = place(0.75, 3.0)
    front = Front.of([place(0.9, 4.0), beaten, place(0.8, 2.0), place(0.7, 1.0)])
    assert front.places == (place(0.7, 1.0), place(0.8, 2.0), place(0.9, 4.0))


def test_a_front_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one network, got none"):
        Front.of([])


def test_between_networks_accuracy_is_straight_over_the_logarithm_of_latency(front):
    read = front.accuracy_at(math.sqrt(2))
    assert read.covered
    assert read.value == pytest.approx(0.75)
    back = front.latency_at(0.75)
    assert back.covered
    assert back.value == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("latency_ms", "accuracy"), [(1.0, 0.7), (2.0, 0.8), (4.0, 0.9)])
def test_at_a_network_the_front_is_that_network(front, latency_ms, accuracy):
    assert front.accuracy_at(latency_ms).value == accuracy
    assert front.accuracy_at(latency_ms).covered
    assert front.latency_at(accuracy).value == pytest.approx(latency_ms)
    assert front.latency_at(accuracy).covered


def test_beyond_its_ends_a_front_is_not_extrapolated(front):
    below, above = front.accuracy_at(0.5), front.accuracy_at(8.0)
    assert (below.value, below.beyond) == (0.7, -1)
    assert (above.value, above.beyond) == (0.9, 1)
    below, above = front.latency_at(0.6), front.latency_at(0.95)
    assert (below.value, below.beyond) == (1.0, -1)
    assert (above.value, above.beyond) == (pytest.approx(4.0), 1)


def test_speed_up_is_at_equal_accuracy_and_gain_at_equal_latency(front):
    found = against(place(0.8, 1.0), front)
    assert found.speedup == pytest.approx(2.0)
    assert found.gain == pytest.approx(0.1)
    assert (found.speedup_beyond, found.gain_beyond) == (0, 0)


def test_a_network_of_the_front_is_neither_faster_nor_better_than_the_front(front):
    found = against(place(0.8, 2.0), front)
    assert found.speedup == pytest.approx(1.0)
    assert found.gain == pytest.approx(0.0)


def test_what_the_front_does_not_reach_has_a_bound_on_the_right_side(front):
    # More accurate than all of it: the front would be slower than its end, so at least this.
    better = against(place(0.95, 2.0), front)
    assert better.speedup_beyond == 1
    assert better.speedup == pytest.approx(2.0)
    # Less accurate than all of it: the front would be faster than its start, so at most this.
    worse = against(place(0.6, 2.0), front)
    assert worse.speedup_beyond == -1
    assert worse.speedup == pytest.approx(0.5)
    # Faster than all of it: the front would be worse than its start, so at least this.
    faster = against(place(0.75, 0.5), front)
    assert faster.gain_beyond == -1
    assert faster.gain == pytest.approx(0.05)
    # Slower than all of it: the front is at least as good as its end, so at most this.
    slower = against(place(0.75, 8.0), front)
    assert slower.gain_beyond == 1
    assert slower.gain == pytest.approx(-0.15)
