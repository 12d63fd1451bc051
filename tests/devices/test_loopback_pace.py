import time

import pytest

from devices.loopback import pace
from devices.loopback.pace import Pace


@pytest.fixture
def halved(tmp_path, monkeypatch):
    """A pace at half speed: status, temperature, then speed and full speed of a core."""
    clock = tmp_path / "clock"
    clock.write_text("0 30 0.5 1.0")
    monkeypatch.setattr(pace, "CLOCK", str(clock))
    return Pace()


def test_a_run_takes_as_long_as_the_clock_makes_it(halved):
    start = pace.now_us() - 2_000
    halved.keep(start)
    assert pace.now_us() - start >= 4_000
    assert halved.clock_factor == 0.5


def test_a_pause_of_the_whole_process_while_it_waits_only_makes_it_later(halved, monkeypatch):
    times = iter((1_000, 1_100, 9_000_000, 9_000_001))
    monkeypatch.setattr(pace, "now_us", lambda: next(times))
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    halved.keep(0)
    assert slept == [pytest.approx((2_000 - 1_100 - pace.SPIN_US) / 1e6)]
