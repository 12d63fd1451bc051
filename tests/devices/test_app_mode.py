"""The benchmark app on a fake phone: no real phone has run it here."""

import hashlib
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from devices.app_mode import ACTIVITY, PACKAGE, AppRunner, after_marker, watch_script
from devices.clock import SimulatedClock
from devices.device import (
    Delegate,
    DevicePermanentError,
    DeviceTransientError,
    RunSettings,
)
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport
from workspace.errors import InputError

MODEL = "/data/local/tmp/pocketnas/models/m.tflite"
SETTINGS = RunSettings(threads=4, warmup_runs=1, timeout_s=60)
SAID = f"""Log parameter values verbosely: [0]
Min num runs: [50]
Min runs duration (seconds): [1]
Num threads: [4]
Min warmup runs: [1]
Min warmup runs duration (seconds): [0.5]
Graph: [{MODEL}]
#threads used for CPU inference: [4]
Use xnnpack: [1]
Loaded model {MODEL}
XNNPACK delegate created.
Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the \
delegate w/ 1 delegate kernels.
The input model file size (MB): 20.5603
Initialized session in 164.025ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding \
150 seconds.
count=2 first=394833 curr=393465 min=393465 max=394833 avg=394149 std=684

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding \
150 seconds.
count=50 first=392063 curr=392613 min=390939 max=416049 avg=392865 std=3443

Inference timings in us: Init: 164025, First inference: 394833, Warmup (avg): 394149, Inference \
(avg): 392865
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to \
the actual memory footprint of the model at runtime. Take the information at your discretion.
Memory footprint delta from the start of the tool (MB): init=5.48438 overall=40.1914
""".splitlines()
"""The form and figures of a log that a user of the app published, completed as the tool prints."""
APK = b"PK\x03\x04 the app"


def logged(lines, pid=2638, level="I"):
    return [f"07-01 10:04:31.319  {pid}  {pid + 2} {level} tflite  : {line}" for line in lines]


class FakePhone(FakeWire):
    """A fake phone with a fake app, which logs a line more at every look; no time is real."""

    def __init__(self, said=SAID, per_look=7):
        super().__init__(self.reply)
        self.app = logged(said)
        self.per_look = per_look
        self.log = ["--------- beginning of main", *logged(["old run"], pid=99)]
        self.installed = APK
        self.running = False
        self.lives = True
        self.overflows = False
        self.install_says = "Success\n"

    def reply(self, command):
        words = command.split()
        match words[:2]:
            case ["pm", "path"]:
                paths = "package:/data/app/x/base.apk\npackage:/data/app/x/split.apk\n"
                return said(paths) if self.installed else said("", 1)
            case ["pm", "install"]:
                if "Success" in self.install_says:
                    self.installed = next(iter(self.pushed.values()))
                return said(self.install_says, int("Success" not in self.install_says))
            case ["sha256sum", path]:
                content = self.installed if path.startswith("/data/app") else self.arrived(path)
                return said(f"{hashlib.sha256(content).hexdigest()}  {path}\n")
            case ["dumpsys", "package"]:
                return said("  Packages:\n    versionName=2.17.0\n")
            case ["log", "-t"]:
                self.log += logged([words[3]], pid=4000)
            case ["am", "start"]:
                self.running = True
                self.log += logged(["Initialized TensorFlow Lite runtime."], pid=77)
                return said("Starting: Intent { cmp=org.tensorflow.lite.benchmark }\n")
            case ["am", "force-stop"]:
                self.running = False
            case ["pidof", _]:
                return said("2638\n", 0 if self.running and (self.lives or self.app) else 1)
            case ["logcat", "-d"]:
                more, self.app = self.app[: self.per_look], self.app[self.per_look :]
                self.log += more if self.running else []
                return said("\n".join(self.log[-3:] if self.overflows else self.log) + "\n")
        return said("")

    def arrived(self, path):
        return next(content for name, content in self.pushed.items() if name.startswith(path))


def said(stdout, exit_code=0, stderr=""):
    return ShellResult(exit_code=exit_code, stdout=stdout, stderr=stderr)


def runner_on(phone, apk=None):
    transport = Transport("adb:fake", phone)
    return AppRunner(lambda: transport, "adb:fake", apk, clock=SimulatedClock())


def test_the_figures_are_read_from_the_log_as_the_tool_would_print_them():
    phone = FakePhone()
    parsed = runner_on(phone).run(MODEL, SETTINGS)
    assert (parsed.summary.count, parsed.summary.mean_ms) == (50, 392.865)
    assert (parsed.first_ms, parsed.init_ms) == (394.833, 164.025)
    assert parsed.footprint_mb == 40.1914


def test_the_app_is_started_afresh_with_its_flags_as_one_word_and_stopped_afterwards():
    phone = FakePhone()
    runner_on(phone).run(MODEL, SETTINGS)
    (start,) = [script for script in phone.scripts if script.startswith("am start")]
    assert start.startswith(f"am start -S -n {ACTIVITY} --es args '--graph={MODEL} ")
    assert start.endswith("--use_xnnpack=true'")
    assert phone.scripts[-1] == f"am force-stop {PACKAGE}"
    assert not phone.running
    assert f"chmod 644 {MODEL}" in phone.scripts


def test_the_runner_says_that_it_is_the_app():
    info = runner_on(FakePhone()).info()
    assert (info.name, info.dialect, info.version) == ("benchmark_app", "tflite", "2.17.0")
    assert info.sha256 == hashlib.sha256(APK).hexdigest()


def test_an_app_is_installed_where_another_or_none_is_there(tmp_path):
    apk = tmp_path / "benchmark.apk"
    apk.write_bytes(APK)
    for there, installs in ((APK, 0), (b"older", 1), (b"", 1)):
        phone = FakePhone()
        phone.installed = there
        assert runner_on(phone, apk).info().sha256 == hashlib.sha256(APK).hexdigest()
        assert sum(script.startswith("pm install") for script in phone.scripts) == installs


def test_a_phone_without_the_app_says_how_to_get_it():
    phone = FakePhone()
    phone.installed = b""
    with pytest.raises(DevicePermanentError, match=r"lacks the app .*: give .* --apk PATH"):
        runner_on(phone).run(MODEL, SETTINGS)


def test_an_app_that_is_refused_gives_the_phones_words(tmp_path):
    apk = tmp_path / "benchmark.apk"
    apk.write_bytes(b"another")
    phone = FakePhone()
    phone.install_says = "Failure [INSTALL_FAILED_NO_MATCHING_ABIS]\n"
    with pytest.raises(DevicePermanentError, match=r"cannot be installed: .*NO_MATCHING_ABIS"):
        runner_on(phone, apk).info()
    with pytest.raises(InputError, match="there is no file"):
        runner_on(phone, Path("/nowhere.apk"))


def test_an_app_that_never_ends_is_stopped_at_its_deadline():
    phone = FakePhone(said=SAID[:14])
    with pytest.raises(DeviceTransientError, match="told no result within 60 s"):
        runner_on(phone).run(MODEL, SETTINGS)
    assert not phone.running


def test_an_app_that_dies_gives_no_number():
    phone = FakePhone(said=SAID[:17])
    phone.lives = False
    with pytest.raises(DeviceTransientError, match="ended without a result"):
        runner_on(phone).run(MODEL, SETTINGS)


def test_an_app_that_says_why_it_failed_is_quoted():
    phone = FakePhone(said=SAID[:7])
    phone.app += logged(["Failed to load model /data/m.tflite"], level="E")
    phone.lives = False
    with pytest.raises(DevicePermanentError, match="the app ended: ERROR: Failed to load model"):
        runner_on(phone).run(MODEL, SETTINGS)


def test_a_log_that_overflowed_gives_no_number():
    phone = FakePhone()
    phone.overflows = True
    with pytest.raises(DeviceTransientError, match="the log overflowed"):
        runner_on(phone).run(MODEL, SETTINGS)


@pytest.mark.parametrize("lost", range(len(SAID)))
def test_a_line_that_the_log_lost_gives_the_same_number_or_none(lost):
    whole = runner_on(FakePhone()).run(MODEL, SETTINGS).summary
    phone = FakePhone(said=[*SAID[:lost], *SAID[lost + 1 :]])
    given = None
    with suppress(DeviceTransientError):
        given = runner_on(phone).run(MODEL, SETTINGS).summary
    assert given in (whole, None)
    repeated = ("count=", "Running", "Inference", "Num threads", "Loaded", "Use xnnpack")
    assert (given is None) or not SAID[lost].startswith(repeated)


def test_what_the_app_ignored_is_an_error():
    said_so = [*SAID[:1], "", *SAID[1:]]
    phone = FakePhone(said=said_so)
    phone.app[1] = logged(["Unconsumed cmdline flags: --use_xnnpack=true"], level="W")[0]
    with pytest.raises(DevicePermanentError, match="ignored --use_xnnpack=true"):
        runner_on(phone).run(MODEL, SETTINGS)


def test_what_an_app_cannot_do_is_refused_before_it_is_started():
    phone = FakePhone()
    with pytest.raises(DevicePermanentError, match=r"cannot be pinned to the cores \(4, 5\)"):
        runner_on(phone).run(MODEL, RunSettings(cores=(4, 5)))
    assert not any(script.startswith("am start") for script in phone.scripts)


def test_a_gpu_that_is_not_mentioned_in_the_log_is_not_believed():
    gpu = RunSettings(threads=4, warmup_runs=1, delegate=Delegate.GPU, timeout_s=60)
    with pytest.raises(DeviceTransientError, match="GPU"):
        runner_on(FakePhone()).run(MODEL, gpu)


def test_only_the_benchmarks_own_process_after_the_marker_is_listened_to():
    log = [
        *logged(["Graph: [before]"], pid=3),
        *logged(["pocketnas-1"], pid=2),
        *logged(["another's"], pid=4),
        *logged(["Unconsumed cmdline flags: --x"], pid=3, level="W"),
        "garbage",
        *logged(["another's"], pid=4),
        *logged(["Graph: [mine]", ""], pid=3),
    ]
    mine = ["WARN: Unconsumed cmdline flags: --x", "INFO: Graph: [mine]", ""]
    assert after_marker(log, "pocketnas-1") == mine
    assert after_marker(log[:3], "pocketnas-1") == []
    assert after_marker(log, "pocketnas-2") is None


def test_the_log_is_read_seldom_while_the_app_times():
    phone = FakePhone()
    transport, clock = Transport("adb:fake", phone), SimulatedClock()
    AppRunner(lambda: transport, "adb:fake", clock=clock).run(MODEL, SETTINGS)
    looks = sum(script.startswith("logcat -d") for script in phone.scripts)
    assert looks <= 1 + clock.now_s() / 5 + 1  # the last one is for the lines after the summary


def test_it_goes_on_over_the_connection_that_there_is_after_a_fault():
    phones = [FakePhone(), FakePhone()]
    transports = [Transport("adb:fake", phone) for phone in phones]
    runner = AppRunner(lambda: transports[-1], "adb:fake", clock=SimulatedClock())
    runner.run(MODEL, SETTINGS)
    transports.reverse()
    runner.run(MODEL, SETTINGS)
    assert all(any(script.startswith("am start") for script in phone.scripts) for phone in phones)


@pytest.fixture
def shell(tmp_path):
    """Runs a script in this computer's shell, with stand-ins for Android's programs."""
    (tmp_path / "alive").touch()
    until_told = f"while [ ! -e {tmp_path}/told ]; do sleep 0.05; done"
    programs = {
        "logcat": f'echo "$@" >{tmp_path}/asked\n{until_told}',
        "pidof": f"[ -e {tmp_path}/alive ]",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def start(script):
        path = f"{tmp_path}:{os.environ['PATH']}"
        return subprocess.Popen(["sh", "-c", script], env={**os.environ, "PATH": path})

    return start


@pytest.mark.parametrize(("name", "happens"), [("told", "touch"), ("alive", "unlink")])
def test_the_watch_ends_when_the_result_is_logged_or_the_app_is_gone(
    shell, tmp_path, name, happens
):
    began = time.monotonic()
    watch = shell(watch_script(60, alive_s=0.2))
    time.sleep(0.5)
    assert watch.poll() is None
    getattr(tmp_path / name, happens)()
    assert watch.wait(10) == 0
    assert time.monotonic() - began < 10
    assert "-m 1 -e Inference timings in us: " in (tmp_path / "asked").read_text()


def test_the_watch_ends_by_itself_at_its_limit(shell):
    began = time.monotonic()
    assert shell(watch_script(0.6, alive_s=0.2)).wait(10) == 0
    assert 0.5 < time.monotonic() - began < 5
