import threading
import time

import pytest

from controller.turns import NoMoreTurnsError, Turns, Work


class Hall:
    """Threads that ask for a turn and stay until they are let go."""

    def __init__(self, turns):
        self._turns = turns
        self._lock = threading.Lock()
        self.inside: list[str] = []
        self.order: list[str] = []
        self._doors: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def enter(self, name, work):
        self._doors[name] = threading.Event()
        thread = threading.Thread(target=self._stay, args=(name, work))
        self._threads.append(thread)
        thread.start()
        time.sleep(0.02)

    def leave(self, name):
        self._doors[name].set()
        time.sleep(0.02)

    def empty(self):
        for door in self._doors.values():
            door.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _stay(self, name, work):
        with self._turns.turn(work):
            with self._lock:
                self.inside.append(name)
                self.order.append(name)
            self._doors[name].wait(10)
            with self._lock:
                self.inside.remove(name)


@pytest.fixture
def hall():
    made = Hall(Turns(exclusive=True))
    yield made
    made.empty()


def test_many_of_one_kind_go_on_at_once(hall):
    for name in "abc":
        hall.enter(name, Work.TRAINING)
    assert hall.inside == ["a", "b", "c"]


def test_the_other_kind_waits_until_all_have_ended(hall):
    hall.enter("a", Work.TRAINING)
    hall.enter("b", Work.TRAINING)
    hall.enter("timer", Work.TIMING)
    hall.leave("a")
    assert hall.inside == ["b"]
    hall.leave("b")
    assert hall.inside == ["timer"]


def test_training_joins_training_though_a_timing_waits(hall):
    hall.enter("a", Work.TRAINING)
    hall.enter("timer", Work.TIMING)
    hall.enter("b", Work.TRAINING)
    assert hall.inside == ["a", "b"]
    hall.leave("a")
    hall.leave("b")
    assert hall.inside == ["timer"]


def test_who_comes_later_does_not_overtake_who_waits_for_the_other_kind(hall):
    hall.enter("a", Work.TRAINING)
    hall.enter("first", Work.TIMING)
    hall.enter("second", Work.TIMING)
    hall.leave("a")
    hall.enter("b", Work.TRAINING)
    assert sorted(hall.inside) == ["first", "second"]
    hall.leave("first")
    hall.leave("second")
    assert hall.order[-1] == "b"


def test_an_error_inside_ends_the_turn():
    turns = Turns(exclusive=True)
    with pytest.raises(ZeroDivisionError), turns.turn(Work.TRAINING):
        _ = 1 / 0
    with turns.turn(Work.TIMING):
        pass


def test_nobody_waits_where_the_two_share_nothing():
    turns = Turns(exclusive=False)
    with turns.turn(Work.TRAINING), turns.turn(Work.TIMING):
        pass


@pytest.mark.parametrize("exclusive", [True, False])
def test_after_the_end_nobody_gets_a_turn(exclusive):
    turns = Turns(exclusive=exclusive)
    with turns.turn(Work.TRAINING):
        turns.close()
    with pytest.raises(NoMoreTurnsError), turns.turn(Work.TRAINING):
        pass


def test_who_waits_at_the_end_waits_no_longer():
    turns = Turns(exclusive=True)
    refused = threading.Event()

    def wait():
        try:
            with turns.turn(Work.TIMING):
                pass
        except NoMoreTurnsError:
            refused.set()

    with turns.turn(Work.TRAINING):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.02)
        turns.close()
        assert refused.wait(10)
    waiting.join()
