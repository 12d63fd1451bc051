import os

import pytest

from devices.adb import AdbDevice
from devices.device import DevicePermanentError, DeviceTransientError, RunSettings
from devices.testing import QUICK, DeviceContract, FakeWire, file_of
from devices.transport import ShellResult, Transport

INFO = """model=Fake Phone (a test's)
soc=T1
board=
abi=arm64-v8a
build=fake/fingerprint
kernel=5.10
machine=aarch64
ram_kb=8000000
loopback=
khz 0 1800000
khz 1 1800000
khz 2 2850000
khz 3 2850000
"""
TIMED = """INFO: STARTING!
INFO: count=2 first=42000 curr=32000 min=32000 max=42000 avg=37000 std=5000
INFO: count=3 first=32000 curr=31000 min=31000 max=33000 avg=32000 std=800
INFO: Inference timings in us: Init: 800, First inference: 42000, Warmup (avg): 37000, \
Inference (avg): 32000
"""


class FakePhone(FakeWire):
    """A fake phone with a fake benchmark_model; its times are made up and never leave the test."""

    def __init__(self):
        super().__init__(self.reply)
        self.runs = []
        self.output = ShellResult(exit_code=0, stdout=TIMED, stderr="")

    def reply(self, command):
        if "ro.product.model" in command:
            return ShellResult(exit_code=0, stdout=INFO, stderr="")
        if command.startswith("sha256sum"):
            return self.digest(command.split()[1])
        if command.endswith("--help"):
            return ShellResult(exit_code=1, stdout="", stderr="\t--use_xnnpack=false\tbool")
        if "--graph=" in command:
            self.runs.append(command)
            return self.output
        return ShellResult(exit_code=0, stdout="", stderr="")

    def digest(self, path):
        import hashlib

        if path.endswith("/benchmark_model"):
            return ShellResult(exit_code=0, stdout=f"{'ab' * 32}  {path}\n", stderr="")
        for target, content in self.pushed.items():
            if target.startswith(path):
                text = hashlib.sha256(content).hexdigest()
                return ShellResult(exit_code=0, stdout=f"{text}  {path}\n", stderr="")
        return ShellResult(exit_code=1, stdout="", stderr="No such file")


@pytest.fixture
def phone(monkeypatch):
    made = FakePhone()
    monkeypatch.setattr("devices.adb.open_transport", lambda device, _: Transport(device, made))
    return made


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3")
    return file_of(path)


def test_a_run_is_pinned_to_the_fastest_cluster_that_the_phone_has(phone, model):
    device = AdbDevice("FAKE")
    record = device.run(model, QUICK)
    assert record.samples.mean_ms == 32.0
    assert phone.runs[0].startswith("taskset 8 ")
    setup = device.setup(QUICK)
    assert setup.cores == (3,)
    assert setup.info.model == "Fake Phone (a test's)"
    assert setup.runner.sha256 == "ab" * 32
    assert AdbDevice("FAKE").setup(RunSettings(threads=2)).cores == (2, 3)


@pytest.mark.usefixtures("phone")
def test_the_serial_number_is_kept_as_a_hash_only():
    assert "FAKE" not in repr(AdbDevice("FAKE").setup(QUICK))


@pytest.mark.usefixtures("phone")
def test_more_threads_than_fast_cores_are_refused():
    with pytest.raises(DevicePermanentError, match="3 threads exceed the 2 fastest cores"):
        AdbDevice("FAKE").setup(RunSettings(threads=3))


def test_a_model_is_pushed_once(phone, model):
    device = AdbDevice("FAKE")
    device.run(model, QUICK)
    device.run(model, QUICK)
    assert len(phone.pushed) == 1
    AdbDevice("FAKE").run(model, QUICK)
    assert len(phone.pushed) == 1


def test_a_phone_without_the_program_says_how_to_put_it_there(phone, monkeypatch):
    monkeypatch.setattr(
        phone, "digest", lambda _: ShellResult(exit_code=1, stdout="", stderr="no")
    )
    with pytest.raises(DevicePermanentError, match="adb push benchmark_model /data/local/tmp/"):
        AdbDevice("FAKE").setup(QUICK)


def test_a_program_that_ends_with_an_error_gives_its_words_and_no_number(phone, model):
    words = "ERROR: Could not open 'm'.\nERROR: Benchmarking failed.\n"
    phone.output = ShellResult(exit_code=1, stdout=TIMED, stderr=words)
    with pytest.raises(DevicePermanentError, match=r"ended with 1: ERROR: Could not open") as told:
        AdbDevice("FAKE").run(model, QUICK)
    assert told.value.exit_code == 1
    assert told.value.device == "adb:FAKE"


def test_output_that_cannot_be_trusted_is_worth_another_try_on_a_new_connection(phone, model):
    phone.output = ShellResult(exit_code=0, stdout=TIMED[:150], stderr="")
    with pytest.raises(DeviceTransientError):
        AdbDevice("FAKE").run(model, QUICK)
    assert phone.closed


@pytest.mark.loopback
class TestAdbDeviceOnALoopbackPhone(DeviceContract):
    @pytest.fixture
    def model(self, tiny_model):
        return tiny_model

    @pytest.fixture
    def device(self, loopback_phones):
        (phone,) = loopback_phones(1)
        device = AdbDevice(phone.serial)
        yield device
        device.close()

    def test_a_shell_call_takes_milliseconds(self, device):
        import time

        times = []
        for _ in range(15):
            started = time.perf_counter()
            device._transport.shell(["true"], 5)
            times.append(time.perf_counter() - started)
        assert sorted(times)[7] < 0.040, f"{os.getloadavg()}: {times}"

    def test_a_large_file_arrives_whole(self, device, tmp_path):
        path = tmp_path / "large"
        path.write_bytes(os.urandom(3_000_001))
        model = file_of(path)
        device._transport.push(path, "/data/local/tmp/large", model.sha256, 30)
        assert device._transport.read("/data/local/tmp/large", 30) == path.read_bytes()
