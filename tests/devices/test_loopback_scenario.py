"""Loopback phones that follow a scenario, for real: asked over adb, and gone without a trace."""

import json
import shutil
import socket
import statistics
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devices.adb import AdbDevice
from devices.device import RunSettings
from devices.loopback import network, processes, state
from devices.loopback.android_settings import SETTINGS_FILE
from devices.loopback.phone import SIMULATED, down, up
from devices.testing import file_of
from workspace.errors import InputError

pytestmark = pytest.mark.loopback

CPU = "/sys/devices/system/cpu"
RUNNER = "/data/local/tmp/pocketnas/benchmark_model"
QUICK = RunSettings(warmup_runs=2, warmup_min_s=0, timed_runs=5, timed_min_s=0, timeout_s=20)
HOT = """
version = 1
[thermal]
start_c = 60
cooling_tau_s = 100000
[[thermal.steps]]
above_c = 50
thermal_status = 2
clock_factor = 0.25
[[clusters]]
cores = 1
min_khz = 500000
max_khz = 2000000
frequencies_khz = [500000, 2000000]
"""


class Phone:
    """One that is up, and what to ask it."""

    def __init__(self, phone):
        self.about = phone
        self.folder = state.phones_folder() / phone.id / "data"

    def says(self, script):
        from adb_shell.adb_device import AdbDeviceTcp

        host, _, port = self.about.serial.rpartition(":")
        device = AdbDeviceTcp(host, int(port), default_transport_timeout_s=5.0)
        device.connect()
        try:
            return device.shell(script, read_timeout_s=20.0, transport_timeout_s=20.0)
        finally:
            device.close()

    def ledger(self):
        path = self.folder / "local/tmp/pocketnas/ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def settings(self):
        return json.loads((self.folder.parent / SETTINGS_FILE.strip("/")).read_text())

    def runs(self, model, flags="", before=""):
        shutil.copyfile(model, self.folder / "local/tmp/m.tflite")
        usual = "--num_threads=1 --num_runs=30 --min_secs=0.2 --warmup_runs=1 --warmup_min_secs=0"
        asked = f"{before} {RUNNER} --graph=/data/local/tmp/m.tflite {usual} {flags}"
        assert "Inference (avg)" in self.says(asked)
        return self.ledger()[-1]


@pytest.fixture
def bring_up(loopback_root, tmp_path, monkeypatch):
    """Brings up one phone that follows a shipped scenario, or the text of one."""
    shelter = tmp_path / "home" / "loopback"
    shelter.mkdir(parents=True)
    (shelter / loopback_root.name).symlink_to(loopback_root)
    monkeypatch.setenv("POCKETNAS_HOME", str(shelter.parent))

    def bring(scenario):
        if "=" in scenario:
            path = tmp_path / "own.toml"
            path.write_text(scenario)
            scenario = path
        return Phone(up(1, scenario=scenario)[0])

    yield bring
    down()


def test_it_says_that_it_is_simulated_and_by_which_scenario(bring_up):
    phone = bring_up("rooted")
    identity = json.loads(phone.says("cat /etc/pocketnas-loopback"))
    assert identity["stand_in"] == f"{SIMULATED} rooted"
    assert identity["scenario"].startswith("rooted@")
    assert f"simulated:{identity['scenario']}" in phone.says("getprop ro.build.fingerprint")
    device = AdbDevice(phone.about.serial)
    info = device.setup(QUICK).info
    device.close()
    assert info.model == "PocketNAS Simulated 4+3+1 (simulated)"
    assert info.core_khz == (*4 * (1_803_000,), *3 * (2_253_000,), 2_850_000)
    assert "simulated" in info.stand_in


def test_its_shell_is_as_powerless_as_any_loopback_phones(bring_up):
    phone = bring_up("rooted")
    assert phone.says("id -un").strip() == "shell"
    assert phone.says("grep CapBnd /proc/self/status").split() == ["CapBnd:", "0" * 16]
    for path in (
        f"{CPU}/cpu7/cpufreq/scaling_max_freq",
        f"{CPU}/cpu7/cpufreq/scaling_cur_freq",
        "/run/pocketnas/clock",
        "/run/android/client.py",
        SETTINGS_FILE,
    ):
        assert phone.says(f"test -e {path} && (echo 1 > {path}) 2>/dev/null || echo refused") == (
            "refused\n"
        )


def test_its_state_is_read_by_androids_commands(bring_up):
    phone = bring_up("plain")
    device = AdbDevice(phone.about.serial)
    found = device.state()
    device.close()
    assert found.battery_percent == 85
    assert found.charging
    assert found.temperature_c == pytest.approx(25, abs=2)
    assert found.thermal_status == 0
    assert set(found.core_khz or ()) <= {300_000, 1_800_000, 500_000, 2_400_000}


def test_the_real_nodes_are_still_there_beside_the_simulated_ones(bring_up):
    phone = bring_up("plain")
    for node in ("possible", "present", "online", "cpu0/topology/core_id"):
        assert phone.says(f"cat {CPU}/{node}") == Path(CPU, node).read_text()
    assert phone.says(f"ls -d {CPU}/cpu[0-9]*/cpufreq | wc -l").strip() == "8"
    zones = phone.says("cat /sys/class/thermal/thermal_zone*/type").split()
    assert zones == ["cpu-0-0", "cpu-1-0", "skin-therm", "battery"]


def test_litert_is_as_fast_as_on_a_phone_without_a_scenario(bring_up, tiny_model):
    followers = bring_up("plain"), Phone(up(1)[0])
    best: dict[object, int] = {}
    for _ in range(3):
        for phone in followers:
            fastest = min(phone.runs(tiny_model)["timed_us"])
            best[phone] = min(best.get(phone, fastest), fastest)
    assert best[followers[0]] <= 1.5 * best[followers[1]] + 2


def test_a_throttled_phone_takes_longer_for_each_run_and_its_ledger_says_so(bring_up, wide_model):
    cool = bring_up(HOT.replace("start_c = 60", "start_c = 30"))
    hot = bring_up(HOT)
    model_us = {p: statistics.median(p.runs(wide_model)["timed_us"]) for p in (cool, hot)}
    assert model_us[hot] > 2.5 * model_us[cool]
    (entry,) = hot.ledger()
    assert entry["thermal_status"] == 2
    assert entry["clock_factor"] == 0.25
    assert 50 < entry["temperature_c"] <= 61
    assert entry["started_at"].endswith("+00:00")
    (entry,) = cool.ledger()
    assert (entry["thermal_status"], entry["clock_factor"]) == (0, 1.0)


def test_work_heats_it_and_rest_cools_it(bring_up, tiny_model):
    thermal = "[thermal]\nheating_c_per_s = 2\ncooling_tau_s = 5\n"
    phone = bring_up(f"version = 1\nseconds_per_second = 5\n{thermal}")
    zone = "cat /sys/class/thermal/thermal_zone0/temp"
    cold = int(phone.says(zone))
    phone.runs(tiny_model, "--num_runs=10000000 --max_secs=1")
    hot = int(phone.says(zone))
    assert hot > cold + 2000
    time.sleep(2)
    assert int(phone.says(zone)) < hot - 2000


def test_root_writes_a_clock_and_reads_it_back(bring_up):
    phone = bring_up("rooted")
    policy = f"{CPU}/cpu7/cpufreq"
    assert phone.says("su -c 'id -u'; su 0 id -u; su -c 'exit 7'; echo $?").split() == [
        "0",
        "0",
        "7",
    ]
    before = phone.settings()
    writes = "; ".join(f"echo 1426000 > {policy}/scaling_{end}_freq" for end in ("max", "min"))
    phone.says(f"su -c '{writes}'")
    read = f"cat {policy}/scaling_min_freq {policy}/scaling_cur_freq {policy}/scaling_max_freq"
    assert phone.says(read).split() == ["1426000"] * 3
    assert phone.settings() != before
    writes = f"echo 500000 > {policy}/scaling_min_freq; echo 2850000 > {policy}/scaling_max_freq"
    phone.says(f"su -c '{writes}'")
    assert phone.settings() == before


def test_the_root_of_su_has_no_rights_outside_the_phone(bring_up):
    phone = bring_up("rooted")
    for attempt in (
        "mount -t tmpfs tmpfs /tmp",
        "echo x > /proc/sys/kernel/core_pattern",
        "touch /etc/x",
        "python3 -c 'import socket; socket.socket(40, 1)'",
        "kill -9 1",
    ):
        assert phone.says(f'su -c "{attempt}" 2>/dev/null && echo done') == ""
    assert phone.says("su -c 'touch /data/local/tmp/x && stat -c %u /data/local/tmp/x'") == "0\n"


def test_without_root_there_is_no_su(bring_up):
    assert bring_up("plain").says("command -v su || echo none") == "none\n"


def test_what_su_runs_ends_with_who_asked(bring_up):
    phone = bring_up("rooted")
    phone.says("timeout 0.5 su -c 'sleep 1000'")
    assert processes.wait_for(
        lambda: "sleep" not in phone.says("cat /proc/[0-9]*/comm").split(), 5.0
    )


def test_taskset_checks_the_phones_cores_and_tells_them_again(bring_up):
    phone = bring_up("rooted")
    said = phone.says("taskset 80 sh -c 'taskset -p $$; sh -c \"taskset -p \\$\\$\"'")
    assert [line.rpartition(" ")[2] for line in said.splitlines()] == ["80", "80"]
    assert "current affinity mask: " in said
    assert phone.says("taskset 1 grep Cpus_allowed_list /proc/self/status").split()[1] == "0"
    assert "Invalid argument" in phone.says("taskset 100 true 2>&1")
    assert "bad mask '0x1'" in phone.says("taskset 0x1 true 2>&1")
    said = phone.says("taskset -p 40 $$; taskset -p $$").splitlines()
    assert [line.rpartition(" ")[2] for line in said] == ["ff", "40", "40"]
    assert phone.says("taskset 1 no-such-program; echo $?").endswith("127\n")


def test_a_run_on_a_little_core_is_slower_by_its_clock(bring_up, wide_model):
    phone = bring_up(
        "version = 1\n[[clusters]]\ncores = 4\nmin_khz = 100000\nmax_khz = 500000\n"
        "[[clusters]]\ncores = 4\nmin_khz = 100000\nmax_khz = 2000000\n"
    )
    medians = {
        mask: statistics.median(phone.runs(wide_model, before=f"taskset {mask}")["timed_us"])
        for mask in ("10", "1")
    }
    assert medians["1"] > 2.5 * medians["10"]
    assert [entry["clock_factor"] for entry in phone.ledger()] == [1.0, 1.0]


def test_what_is_changed_stands_in_the_settings_file(bring_up):
    phone = bring_up("plain")
    before = phone.settings()
    phone.says(
        "settings put global window_animation_scale 0; svc power stayon true;"
        "cmd power set-fixed-performance-mode-enabled true; dumpsys deviceidle force-idle"
    )
    changed = phone.settings()
    assert changed["fixed_performance"]
    assert changed["forced_idle"] == "deep"
    assert changed["tables"]["global"]["window_animation_scale"] == "0"
    phone.says(
        "settings put global window_animation_scale 1.0; svc power stayon false;"
        "cmd power set-fixed-performance-mode-enabled false; dumpsys deviceidle unforce;"
        "input keyevent SLEEP"
    )
    assert phone.settings() == before


def test_what_the_vendor_hides_is_not_there(bring_up, tiny_model):
    phone = bring_up("vendor-hides")
    for command in ("command -v taskset", f"ls {CPU}/cpu0/cpufreq", "ls /sys/class/thermal/*"):
        assert phone.says(f"{command} >/dev/null 2>&1 && echo there") == ""
    assert "Can't find service" in phone.says("dumpsys thermalservice 2>&1")
    assert "Can't find service" in phone.says("cmd power set-mode 0 2>&1")
    assert "level: 85" in phone.says("dumpsys battery")
    assert phone.runs(tiny_model)["clock_factor"] == 1.0


@pytest.mark.parametrize("asked", [True, False])
def test_a_reboot_ends_all_and_comes_back_as_another_start(bring_up, asked):
    event = "" if asked else "[[events]]\nat_s = 25\nkind = 'reboot'\ndown_s = 20\n"
    phone = bring_up(f"version = 1\nseconds_per_second = 10\n{event}")
    first = phone.says("cat /proc/sys/kernel/random/boot_id")
    phone.says(
        "echo kept > /data/local/tmp/note; cmd power set-fixed-performance-mode-enabled true"
    )
    started = subprocess.Popen(
        ["nsenter", f"--target={phone.about.pid}", "--pid", "--mount", "sleep", "1000"]
    )
    if asked:
        phone.says("setsid sh -c 'sleep 0.3; reboot' >/dev/null 2>&1 </dev/null & sleep 0.1")
    assert started.wait(10) == -9
    assert processes.wait_for(lambda: not _answers(phone), 5.0)  # the daemon may die a bit later
    assert processes.wait_for(lambda: _answers(phone), 10.0)
    assert phone.says("cat /proc/sys/kernel/random/boot_id") != first
    assert phone.says("cat /data/local/tmp/note") == "kept\n"
    assert not phone.settings()["fixed_performance"]


def test_the_cable_carries_what_the_scenario_says(bring_up):
    phone = bring_up("version = 1\ntransfer_mb_per_s = 8\n")
    (phone.folder / "local/tmp/blob").write_bytes(bytes(8_000_000))
    times_s = []
    for _ in range(3):  # the quickest: a busy computer can only make it slower
        start = time.monotonic()
        phone.says("head -c 4000000 /data/local/tmp/blob | tr '\\0' x")
        times_s.append(time.monotonic() - start)
    assert 0.4 < min(times_s) < 1.5
    said = subprocess.check_output(["tc", "qdisc", "show", "dev", phone.about.link], text=True)
    assert "rate 64Mbit" in said


def test_it_comes_down_without_a_trace(bring_up):
    phone = bring_up("rooted")
    phone.says("setsid sleep 1000 >/dev/null 2>&1 </dev/null & sleep 0.2")
    inside = {pid for pid in _pids() if _namespace(pid) == _namespace(phone.about.pid)}
    assert len(inside) >= 4  # the box's first process, the daemon, adbd, what was left running
    assert down() == (phone.about,)
    assert not any(processes.lives(pid) for pid in inside)
    assert state.known_ids() == frozenset()
    hardware = network.hardware_address(phone.about.id)
    links = json.loads(subprocess.check_output(["ip", "-json", "link", "show", "type", "veth"]))
    assert hardware not in {link["address"] for link in links}
    assert phone.about.id not in Path("/proc/self/mountinfo").read_text()


def test_a_scenario_that_is_wrong_brings_nothing_up(bring_up):
    with pytest.raises(InputError, match="scenario 'own': there is no key 'colour'"):
        bring_up("version = 1\ncolour = 'red'\n")
    with pytest.raises(InputError, match="one of battery-low, "):
        bring_up("no-such-scenario")
    assert state.known_ids() == frozenset()


def test_its_daemon_costs_next_to_nothing_while_the_phone_is_idle(bring_up):
    phone = bring_up("rooted")
    (daemon,) = (
        pid
        for pid in _pids()
        if _namespace(pid) == _namespace(phone.about.pid) and "python3" in _name(pid)
    )
    time.sleep(0.5)
    before, start = _processor_s(daemon), time.monotonic()
    time.sleep(3)
    assert (_processor_s(daemon) - before) / (time.monotonic() - start) < 0.03


@pytest.mark.usefixtures("bring_up")
def test_the_commands_take_and_show_the_scenario():
    from pocketnas.cli.phone import app

    run = CliRunner().invoke
    started = run(app, ["up", "--scenario", "heats", "--json"])
    assert json.loads(started.stdout)["phones"][0]["scenario"] == "heats"
    assert "heats" in run(app, ["list"]).stdout


def test_a_session_over_adb_is_a_run_of_the_ledger_with_its_clock(bring_up, tiny_model):
    phone = bring_up("plain")
    device = AdbDevice(phone.about.serial)
    record = device.run(file_of(tiny_model), QUICK)
    device.close()
    (entry,) = phone.ledger()
    assert record.samples.min_ms == min(entry["timed_us"]) / 1e3
    assert entry["clock_factor"] == 1.0
    assert record.before.thermal_status == record.after.thermal_status == 0


def _answers(phone):
    host, _, port = phone.about.serial.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1.0).close()
    except OSError:
        return False
    return True


def _pids():
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _namespace(pid):
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:
        return None


def _name(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _processor_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
