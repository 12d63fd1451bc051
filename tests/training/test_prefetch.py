import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from training.prefetch import Budget, Prefetch


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as found:
        yield found


class Maker:
    """Arrays of ten bytes; the even ones take longer."""

    def __init__(self):
        self.made = []
        self.lock = threading.Lock()

    def __call__(self, number):
        time.sleep(0.01 if number % 2 == 0 else 0)
        with self.lock:
            self.made.append(number)
        return np.full(10, number, np.uint8)


def prefetch(pool, make, *, limit=0, ahead=100):
    return Prefetch(make, pool=pool, budget=Budget(limit), ahead=ahead)


def wait_for(make, count):
    deadline = time.monotonic() + 10
    while len(make.made) < count and time.monotonic() < deadline:
        time.sleep(0.001)
    return sorted(make.made)


def numbers(arrays):
    return [int(array[0]) for array in arrays]


def test_arrays_come_in_the_order_asked_for_whichever_is_ready_first(pool):
    found = prefetch(pool, Maker())
    assert numbers(found.take([4, 1, 2, 3, 1])) == [4, 1, 2, 3, 1]


def test_what_was_expected_is_made_once_and_before_it_is_asked_for(pool):
    make = Maker()
    found = prefetch(pool, make)
    found.expect([5, 6, 7])
    assert wait_for(make, 3) == [5, 6, 7]
    assert numbers(found.take([7, 5, 6])) == [7, 5, 6]
    assert len(make.made) == 3


def test_no_more_wait_than_may(pool):
    make = Maker()
    found = prefetch(pool, make, ahead=2)
    found.expect([1, 3, 5, 7])
    assert numbers(found.take([7])) == [7]
    assert wait_for(make, 3) == [1, 3, 7]


def test_what_is_no_longer_expected_makes_room(pool):
    found = prefetch(pool, Maker(), ahead=2)
    found.expect([1, 3])
    found.expect([5, 7])
    assert len(found._waiting) == 2
    assert numbers(found.take([7, 5, 1])) == [7, 5, 1]


def test_what_fits_is_kept_and_the_rest_is_made_again(pool):
    make = Maker()
    found = prefetch(pool, make, limit=25)
    for _ in range(3):
        found.take([1, 3, 5])
    assert make.made.count(1) == make.made.count(3) == 1
    assert make.made.count(5) == 3


def test_bytes_go_back_to_the_budget_with_the_store(pool):
    budget = Budget(10)
    found = Prefetch(Maker(), pool=pool, budget=budget, ahead=1)
    found.take([1])
    assert not budget.take(1)
    del found
    gc.collect()
    assert budget.take(10)


def test_what_cannot_be_made_is_said_to_whoever_asks(pool):
    def make(number):
        msg = f"no {number}"
        raise ValueError(msg)

    found = prefetch(pool, make)
    found.expect([3])
    with pytest.raises(ValueError, match="no 3"):
        found.take([3])


def test_processes_of_a_machine_share_a_quarter_of_its_free_memory(monkeypatch):
    free = SimpleNamespace(available=4000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = Budget.of_free_memory()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    shared = Budget.of_free_memory()
    for budget, expected in ((alone, 1000), (shared, 250)):
        assert budget.take(expected)
        assert not budget.take(1)
