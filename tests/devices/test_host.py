import os

import psutil
import pytest

from devices.device import Delegate, DevicePermanentError, RunSettings
from devices.host import HostDevice
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


def test_warm_up_and_timing_go_by_count_and_by_time(tiny_model):
    settings = RunSettings(warmup_runs=0, warmup_min_s=0, timed_runs=5, timed_min_s=0.2)
    samples = HostDevice().run(file_of(tiny_model), settings).samples
    assert sum(samples.runs_ms) > 100
    assert len(samples.runs_ms) > 5


def test_a_gpu_is_refused():
    with pytest.raises(DevicePermanentError, match="CPU only"):
        HostDevice().setup(RunSettings(delegate=Delegate.GPU))
