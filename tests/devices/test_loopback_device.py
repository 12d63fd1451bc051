"""A loopback phone as a device: every number comes from its own run of the stand-in, over adb."""

import hashlib
import json
import os

import pytest

from devices.adb import AdbDevice
from devices.device import ModelFile, RunSettings
from devices.loopback import state
from devices.loopback.phone import STAND_IN, up

pytestmark = pytest.mark.loopback

QUICK = RunSettings(warmup_runs=2, warmup_min_s=0, timed_runs=5, timed_min_s=0, timeout_s=20)


def model_file(path):
    return ModelFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def ledger(phone):
    path = state.phones_folder() / phone.id / "data/local/tmp/pocketnas/ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def phone(loopback_phones):
    (phone,) = loopback_phones(1)
    return phone


@pytest.fixture
def device(phone):
    device = AdbDevice(phone.serial)
    yield device
    device.close()


def test_its_conditions_say_that_phone_and_program_are_stand_ins(device, phone):
    setup = device.setup(QUICK)
    assert setup.info.stand_in == STAND_IN
    assert setup.info.unit == phone.unit
    assert setup.info.on_this_computer
    assert setup.runner.dialect == "tflite"
    assert "benchmark_model stand-in, LiteRT " in setup.runner.stand_in
    assert not setup.gives_single_runs


def test_each_session_is_a_run_of_its_own_in_the_phones_ledger(device, phone, tiny_model):
    model = model_file(tiny_model)
    records = [device.run(model, QUICK) for _ in range(3)]
    entries = ledger(phone)
    assert len(entries) == len({entry["pid"] for entry in entries}) == 3
    for record, entry in zip(records, entries, strict=True):
        assert entry["sha256"] == model.sha256
        assert len(entry["timed_us"]) == record.samples.count == 5
        assert record.samples.min_ms == min(entry["timed_us"]) / 1e3
        assert record.samples.mean_ms == pytest.approx(sum(entry["timed_us"]) / 5e3, rel=1e-5)


def test_a_model_file_of_megabytes_arrives_whole(device, phone, tiny_model, tmp_path):
    large = tmp_path / "large.tflite"
    large.write_bytes(tiny_model.read_bytes() + os.urandom(4 << 20))  # what follows is ignored
    device.run(model_file(large), QUICK)
    assert ledger(phone)[0]["sha256"] == model_file(large).sha256


def test_a_phone_with_litert_dialect_gives_its_result_file_in_full(
    loopback_phones, tmp_path, tiny_model
):
    loopback_phones(1)
    scenario = tmp_path / "litert.toml"
    scenario.write_text('version = 1\nrunner_dialect = "litert"\n')
    (phone,) = up(1, scenario=scenario)
    device = AdbDevice(phone.serial)
    record = device.run(model_file(tiny_model), QUICK)
    times = sorted(ledger(phone)[0]["timed_us"])
    assert device.setup(QUICK).runner.dialect == "litert"
    assert record.samples.count == len(times) == 5
    assert record.samples.median_ms == pytest.approx(times[2] / 1e3, rel=1e-6)
    assert record.samples.mean_ms == pytest.approx(sum(times) / 5e3, rel=1e-6)
    assert device.transport.script("ls /data/local/tmp/pocketnas", 5).stdout.count("result") == 0
    device.close()
