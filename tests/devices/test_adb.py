import os
import re
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from devices.adb import MASK, AdbDevice
from devices.device import DevicePermanentError, DeviceTransientError, RunSettings
from devices.held_changes import Change, Journal
from devices.recovery import Recovery
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
has_taskset=1
khz 0 1800000
khz 1 1800000
khz 2 2850000
khz 3 2850000
"""
TIMED = """INFO: STARTING!
INFO: Initialized session in 0.8ms.
INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if \
exceeding 150 seconds.
INFO: count=1 curr=42000

INFO: Running benchmark for at least 3 iterations and at least 0 seconds but terminate if \
exceeding 150 seconds.
INFO: count=3 first=32000 curr=31000 min=31000 max=33000 avg=32000 std=816

INFO: Inference timings in us: Init: 800, First inference: 42000, Warmup (avg): 42000, \
Inference (avg): 32000
"""


LABELS = {
    "num_runs": "Min num runs",
    "min_secs": "Min runs duration (seconds)",
    "num_threads": "Num threads",
    "warmup_runs": "Min warmup runs",
    "warmup_min_secs": "Min warmup runs duration (seconds)",
    "graph": "Graph",
}


def echo(command):
    """The flags as the tool repeats them."""
    given = dict(re.findall(r"--(\w+)=(\S+?)(?=[\s']|$)", command))
    lines = [f"INFO: {LABELS[name]}: [{given[name]}]\n" for name in LABELS if name in given]
    return "".join(lines) + f"INFO: Use xnnpack: [1]\nINFO: Loaded model {given['graph']}\n"


class FakePhone(FakeWire):
    """A fake phone with a fake benchmark_model; its times are made up and never leave the test."""

    def __init__(self):
        super().__init__(self.reply)
        self.runs = []
        self.output = ShellResult(exit_code=0, stdout=TIMED, stderr="")
        self.mask = ""
        self.written = 0
        self.help = "\t--use_xnnpack=false\tbool"
        self.results = {}
        self.booted = ["1"]
        self.timeouts_s = []

    def run(self, script, timeout_s):
        if "--graph=" in script or "tflite" in script:
            self.timeouts_s.append(timeout_s)
        return super().run(script, timeout_s)

    def reply(self, command):
        if "ro.product.model" in command:
            return ShellResult(exit_code=0, stdout=INFO, stderr="")
        if command.startswith("sha256sum"):
            return self.digest(command.split()[1])
        if command.endswith("--help"):
            return ShellResult(exit_code=1, stdout="", stderr=self.help)
        if "sys.boot_completed" in command:
            completed = self.booted.pop(0) if len(self.booted) > 1 else self.booted[0]
            return ShellResult(exit_code=0, stdout=f"{completed}\nboot\n", stderr="")
        if command.startswith(("test -s ", "cat ", "rm -f ")):
            return self.result(*command.split())
        if "--graph=" in command:
            self.runs.append(command)
            mask = self.mask or (command.split()[1] if command.startswith("taskset") else "f")
            line = f"{MASK} pid 7's current affinity mask: {mask}\n"
            return replace(self.output, stdout=line + echo(command) + self.output.stdout)
        if command.startswith(("[ -f ", "stat ")):
            return self.stat(command)
        return ShellResult(exit_code=0, stdout="", stderr="")

    def result(self, program, *words):
        there = (
            self.results.pop(words[-1], None) if program == "rm" else self.results.get(words[-1])
        )
        return ShellResult(exit_code=int(there is None), stdout=there or "", stderr="")

    def stat(self, command):
        there = [path for path in self.pushed if path.partition(".tflite")[0] in command]
        if not there:
            return ShellResult(exit_code=3, stdout="", stderr="")
        stamp, digest = f"4 then {self.written}\n", self.digest(there[0]).stdout
        text = stamp + digest + stamp if "sha256sum" in command else stamp
        return ShellResult(exit_code=0, stdout=text, stderr="")

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
def test_more_threads_than_cores_are_refused():
    assert AdbDevice("FAKE").setup(RunSettings(threads=3)).cores == (1, 2, 3)
    with pytest.raises(
        DevicePermanentError, match=r"5 threads on cores .* do not fit its 4 cores"
    ):
        AdbDevice("FAKE").setup(RunSettings(threads=5))


def test_a_run_whose_mask_was_not_the_one_asked_for_gives_no_number(phone, model):
    phone.mask = "f"
    with pytest.raises(DeviceTransientError, match=r"mask 8\), its mask was f"):
        AdbDevice("FAKE").run(model, QUICK)


def test_a_model_that_was_written_to_while_it_ran_gives_no_number(phone, model, monkeypatch):
    reply = phone.reply

    def meddle(command):
        if "--graph=" in command:
            phone.written += 1
        return reply(command)

    monkeypatch.setattr(phone, "_answer", meddle)
    with pytest.raises(DeviceTransientError, match="changed on the phone while it ran"):
        AdbDevice("FAKE").run(model, QUICK)


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
    with pytest.raises(DevicePermanentError, match="devices provision adb:FAKE"):
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


def lost(*_):
    device, msg = "adb:FAKE", "the cable was pulled"
    raise DeviceTransientError(device, msg)


def pull_the_cable(device):
    with suppress(DeviceTransientError), device.letting_go():
        lost()


def test_after_a_fault_it_waits_for_android_which_is_up_later_than_adb(phone):
    device = AdbDevice("FAKE")
    device.setup(QUICK)
    pull_the_cable(device)
    phone.booted = ["", "", "1"]
    device.setup(QUICK)
    asked = [script for script in phone.scripts if "sys.boot_completed" in script]
    assert len(asked) == 3
    assert phone.scripts.index(asked[-1]) < len(phone.scripts) - 1


def test_a_phone_that_does_not_boot_is_let_go_with_what_it_says(phone):
    device = AdbDevice("FAKE", recovery=Recovery(boot_s=0.3, pause_s=0.1))
    pull_the_cable(device)
    phone.booted = ["0"]
    phone.closed = False
    with pytest.raises(DeviceTransientError, match=r"not within 0\.3 s: it is still booting"):
        device.setup(QUICK)
    assert phone.closed


def test_a_phone_that_is_lost_while_it_is_held_is_reached_anew(phone, monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    device = AdbDevice("FAKE")
    device.setup(QUICK)
    Journal(device.id).write((Change(name="screen", undo=("input", "keyevent", "223")),))
    with monkeypatch.context() as patch:
        patch.setattr(phone, "_answer", lost)
        with pytest.raises(DeviceTransientError, match="cable was pulled"), device.hold(QUICK):
            pytest.fail("it was held")
    assert phone.closed
    with device.hold(QUICK) as labels:
        assert labels
    assert sum("sys.boot_completed" in script for script in phone.scripts) == 1
    assert Journal(device.id).read() == ()


LITERT_HELP = "\t--use_cpu=true\tbool\n\t--signature_to_run_for=\tstring"
LITERT_TEXT = """Model initialization: 0.80 ms
Warmup (first): 42.00 ms
Warmup (avg): 42.00 ms (1 runs)
Inference (avg): 32.00 ms (3 runs)
"""


@pytest.mark.parametrize("lists_it", [True, False])
def test_litert_without_a_result_file_is_read_from_its_text(phone, model, lists_it):
    phone.help = LITERT_HELP + "\n\t--result_file_path=\tstring" * lists_it
    timed = TIMED[: TIMED.index("INFO: Inference timings")]
    phone.output = ShellResult(exit_code=0, stdout=timed, stderr=LITERT_TEXT)
    record = AdbDevice("FAKE").run(model, QUICK)
    assert record.samples.mean_ms == 32.0
    assert ("--result_file_path=" in phone.runs[0]) == lists_it


def test_what_a_failed_run_wrote_does_not_stay_on_the_phone(phone, model, monkeypatch):
    phone.help = LITERT_HELP + "\n\t--result_file_path=\tstring"
    phone.output = ShellResult(exit_code=1, stdout="", stderr="ERROR: no memory\n")
    reply = phone.reply

    def write(command):
        found = re.search(r"--result_file_path=([\w./-]+)", command)
        if found:
            phone.results[found[1]] = "half"
        return reply(command)

    monkeypatch.setattr(phone, "_answer", write)
    with pytest.raises(DevicePermanentError, match="no memory"):
        AdbDevice("FAKE").run(model, QUICK)
    assert phone.results == {}
    assert sum(script.startswith("rm -f ") for script in phone.scripts) == 1


@pytest.mark.parametrize(
    ("signal", "name", "kind"),
    [
        (4, "SIGILL", DevicePermanentError),
        (6, "SIGABRT", DevicePermanentError),
        (7, "SIGBUS", DevicePermanentError),
        (8, "SIGFPE", DevicePermanentError),
        (9, "SIGKILL", DeviceTransientError),
        (11, "SIGSEGV", DevicePermanentError),
        (15, "SIGTERM", DeviceTransientError),
    ],
)
def test_a_crash_is_the_models_own_and_being_killed_is_not(phone, model, signal, name, kind):
    phone.output = ShellResult(exit_code=128 + signal, stdout="", stderr="")
    with pytest.raises(kind, match=rf"ended with {128 + signal} \({name}\): "):
        AdbDevice("FAKE").run(model, QUICK)


def test_an_exit_code_that_is_no_signals_is_the_programs_own(phone, model):
    phone.output = ShellResult(exit_code=255, stdout="", stderr="ERROR: no such flag\n")
    with pytest.raises(DevicePermanentError, match="ended with 255: ERROR: no such flag"):
        AdbDevice("FAKE").run(model, QUICK)


def test_all_steps_of_a_run_share_one_deadline(phone, model, monkeypatch):
    reply = phone.reply

    def slow(command):
        if "--graph=" in command or "sha256sum" in command:
            time.sleep(0.1)
        return reply(command)

    monkeypatch.setattr(phone, "_answer", slow)
    phone.output = ShellResult(exit_code=1, stdout="", stderr="ERROR: broken\n")
    device = AdbDevice("FAKE")
    device.setup(QUICK)
    with pytest.raises(DevicePermanentError):
        device.run(model, QUICK)
    long = [seconds for seconds in phone.timeouts_s if seconds > 20]
    assert len(long) >= 4
    assert long == sorted(long, reverse=True)
    assert long[0] - long[-1] >= 0.3


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
        times = []
        for _ in range(15):
            started = time.perf_counter()
            device.transport.shell(["true"], 5)
            times.append(time.perf_counter() - started)
        assert sorted(times)[7] < 0.040, f"{os.getloadavg()}: {times}"

    def test_a_large_file_arrives_whole(self, device, tmp_path):
        path = tmp_path / "large"
        path.write_bytes(os.urandom(3_000_001))
        model = file_of(path)
        device.transport.push(path, "/data/local/tmp/large", model.sha256, 30)
        assert device.transport.read("/data/local/tmp/large", 30) == path.read_bytes()
