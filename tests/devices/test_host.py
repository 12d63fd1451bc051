import math
import os
import time
from types import SimpleNamespace

import psutil
import pytest

from devices.device import Delegate, DevicePermanentError, RunSettings
from devices.host import HostDevice, best_probe_us, note_probe
from devices.host_runner import _Timed
from devices.testing import QUICK, DeviceContract, file_of


class TestHostDevice(DeviceContract):
    @pytest.fixture
    def device(self):
        return HostDevice()

    @pytest.fixture
    def model(self, tiny_model):
        return tiny_model


def test_it_says_that_it_is_this_computer():
    setup = HostDevice().setup(QUICK)
    assert setup.info.on_this_computer
    assert setup.info.stand_in == ""
    assert setup.info.ram_mb == psutil.virtual_memory().total // 2**20
    assert setup.gives_single_runs


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores are pinned on Linux only")
def test_a_session_is_pinned_to_the_last_cores_unless_others_are_asked_for():
    allowed = sorted(os.sched_getaffinity(0))
    assert HostDevice().setup(QUICK).cores == (allowed[-1],)
    asked = RunSettings(cores=(allowed[0],))
    assert HostDevice().setup(asked).cores == (allowed[0],)
    with pytest.raises(DevicePermanentError, match="do not fit the cores"):
        HostDevice().setup(RunSettings(cores=(4096,)))


def test_every_session_is_a_process_of_its_own_and_none_is_left(tiny_model):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    HostDevice().run(file_of(tiny_model), QUICK)
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before


def test_the_first_inference_and_the_memory_are_told(tiny_model):
    record = HostDevice().run(file_of(tiny_model), QUICK)
    assert record.first_ms is not None
    assert record.first_ms > 0
    assert record.peak_memory_mb is not None
    assert 10 < record.peak_memory_mb < 500


def test_timing_goes_by_count_and_by_time():
    timed = _Timed(lambda: time.sleep(0.001), best_probe_us=math.inf)
    started = time.monotonic()
    timed.run(5, 0.2)
    assert time.monotonic() - started >= 0.2
    assert len(timed.all_ms) >= 5
    timed = _Timed(lambda: time.sleep(0.02), best_probe_us=math.inf)
    timed.run(5, 0.0)
    assert 5 <= len(timed.runs_ms(5)) <= len(timed.all_ms)
    assert min(timed.all_ms) >= 20


def test_runs_beside_which_others_computed_are_left_out_where_there_are_enough():
    timed = _Timed(lambda: None, best_probe_us=100.0)
    timed.all_ms = [5.0, 9.0, 8.0, 5.1, 5.2]
    timed._probes_us = [100.0, 100.0, 200.0, 110.0, 101.0, 100.0]
    assert timed.quiet_share == 0.6
    assert timed.runs_ms(3) == [5.0, 5.1, 5.2]
    assert timed.runs_ms(4) == timed.all_ms


def test_a_core_that_is_never_idle_is_noticed_by_what_it_was_before():
    timed = _Timed(lambda: None, best_probe_us=100.0)
    timed.all_ms, timed._probes_us = [9.0, 9.1], [200.0, 201.0, 202.0]
    assert timed.quiet_share == 0.0
    assert timed.best_probe_us == 100.0


def test_the_best_probe_is_kept_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    assert best_probe_us() == math.inf
    note_probe(50.0)
    note_probe(60.0)
    assert best_probe_us() == 50.0
    path = tmp_path / "host-probe.json"
    path.write_text(path.read_text().replace('"at_s": 1', '"at_s": 0'))
    assert best_probe_us() == math.inf
    path.write_text("{")
    assert best_probe_us() == math.inf


def test_a_gpu_is_refused():
    with pytest.raises(DevicePermanentError, match="CPU only"):
        HostDevice().setup(RunSettings(delegate=Delegate.GPU))


def test_the_sensors_of_a_computer_are_no_battery_that_could_be_too_hot(monkeypatch):
    hot = SimpleNamespace(current=60.0, label="Package id 0")
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"coretemp": [hot]}, raising=False)
    assert HostDevice().state().temperature_c is None
