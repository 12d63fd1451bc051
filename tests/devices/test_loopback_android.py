"""The Android of a loopback phone, without the phone: its commands, nodes and programs."""

import json
import os
import re
import subprocess

import pytest

from devices.android import fastest_cluster
from devices.loopback import android_su, installation
from devices.loopback.android_commands import Android
from devices.loopback.android_nodes import Nodes
from devices.loopback.android_settings import AndroidSettings, write_if_changed
from devices.loopback.android_text import properties
from devices.loopback.phone_model import PhoneModel
from devices.loopback.scenario import HIDEABLE, load
from devices.loopback.scenario_parser import parse


def android(text=""):
    return Android(PhoneModel(parse("test", f"version = 1\n{text}")), AndroidSettings())


def says(phone, command):
    answer = phone.answer(command.split())
    assert answer.exit_code == 0, answer
    assert answer.stderr == ""
    return answer.stdout


def test_the_battery_is_told_as_android_tells_it():
    phone = android("[battery]\npercent = 42\ncharging = false")
    lines = says(phone, "dumpsys battery").splitlines()
    assert lines[0] == "Current Battery Service state:"
    assert lines[1:5] == [
        "  AC powered: false",
        "  USB powered: false",
        "  Wireless powered: false",
        "  Dock powered: false",
    ]
    for line in ("  status: 3", "  level: 42", "  scale: 100", "  temperature: 250"):
        assert line in lines


def test_a_battery_set_by_hand_says_so_until_reset():
    phone = android()
    assert says(phone, "dumpsys battery set level 7") == ""
    said = says(phone, "dumpsys battery")
    assert "(UPDATES STOPPED -- use 'reset' to restart)" in said
    assert "  level: 7\n" in said
    says(phone, "cmd battery reset")
    assert "  level: 85\n" in says(phone, "dumpsys battery")


def test_the_thermal_service_tells_status_and_temperatures():
    phone = android(
        "[thermal]\nheating_c_per_s = 1\n[[thermal.steps]]\nabove_c = 30\nthermal_status = 2"
    )
    assert "\nThermal Status: 0\n" in says(phone, "dumpsys thermalservice")
    phone.model.advance(10, busy=1)
    said = says(phone, "dumpsys thermalservice")
    assert "\nThermal Status: 2\n" in said
    assert "HAL Ready: true\n" in said
    hal = said.split("Current temperatures from HAL:\n")[1]
    found = re.findall(
        r"\tTemperature\{mValue=([\d.]+), mType=(\d), mName=([\w-]+), mStatus=(\d)\}", hal
    )
    assert [kind for _, kind, _, _ in found] == ["0", "2", "3"]
    assert float(found[0][0]) == pytest.approx(phone.model.chip_c, abs=0.05)


def test_a_thermal_status_can_be_overridden_and_reset():
    phone = android()
    says(phone, "cmd thermalservice override-status 3")
    said = says(phone, "dumpsys thermalservice")
    assert "IsStatusOverride: true" in said
    assert "Thermal Status: 3" in said
    says(phone, "cmd thermalservice reset")
    assert "Thermal Status: 0" in says(phone, "dumpsys thermalservice")
    assert phone.answer(["cmd", "thermalservice", "override-status", "9"]).exit_code == 255


def test_the_fixed_performance_mode_holds_the_clock_and_is_noted():
    phone = android()
    assert says(phone, "cmd power set-fixed-performance-mode-enabled true") == ""
    assert phone.settings.fixed_performance
    assert phone.model.cluster_khz(1) == phone.model.cluster_khz(1, busy=True) < 2_400_000
    says(phone, "cmd power set-fixed-performance-mode-enabled false")
    assert phone.model.cluster_khz(1, busy=True) == 2_400_000


@pytest.mark.parametrize("text", ["fixed_performance_factor = 0", "[phone]\nsdk = 29"])
def test_a_phone_without_the_fixed_performance_mode_fails(text):
    answer = android(text).answer(["cmd", "power", "set-fixed-performance-mode-enabled", "true"])
    assert answer.exit_code == 255
    assert "FIXED_PERFORMANCE" in answer.stderr or "Unknown command" in answer.stdout


def test_settings_are_put_told_and_deleted():
    phone = android()
    assert says(phone, "settings get global window_animation_scale") == "1.0\n"
    says(phone, "settings put global window_animation_scale 0")
    assert says(phone, "settings get global window_animation_scale") == "0\n"
    assert says(phone, "settings get secure nothing") == "null\n"
    says(phone, "settings --user 0 put secure mine 1")
    assert "mine=1\n" in says(phone, "settings list secure")
    assert says(phone, "settings delete secure mine") == "Deleted 1 rows\n"
    assert says(phone, "settings delete secure mine") == "Deleted 0 rows\n"
    assert phone.answer(["settings", "get", "nowhere", "x"]).exit_code == 255


def test_the_power_saver_is_a_setting_and_a_state():
    phone = android()
    says(phone, "settings put global low_power 1")
    assert phone.model.power_saver
    assert "mSettingBatterySaverEnabled=true" in says(phone, "dumpsys power")
    says(phone, "cmd power set-mode 0")
    assert says(phone, "settings get global low_power") == "0\n"


def test_the_screen_is_switched_by_keys_and_stays_on_where_told():
    phone = android()
    assert "mWakefulness=Asleep\n" in says(phone, "dumpsys power")
    says(phone, "input keyevent KEYCODE_WAKEUP")
    assert "mWakefulness=Awake\n" in says(phone, "dumpsys power")
    assert "mScreenState=ON\n" in says(phone, "dumpsys display")
    says(phone, "input keyevent 26")
    assert "Display Power: state=OFF\n" in says(phone, "dumpsys power")
    says(phone, "svc power stayon usb")
    assert says(phone, "settings get global stay_on_while_plugged_in") == "2\n"
    assert "mStayOn=true\n" in says(phone, "dumpsys power")
    says(phone, "svc power stayon false")
    assert says(phone, "settings get global stay_on_while_plugged_in") == "0\n"


@pytest.mark.parametrize("command", ["dumpsys", "cmd"])
def test_doze_is_forced_and_unforced(command):
    phone = android()
    assert says(phone, f"{command} deviceidle force-idle") == "Now forced in to deep idle mode\n"
    assert says(phone, f"{command} deviceidle get deep") == "IDLE\n"
    assert "mState=IDLE mLightState=OVERRIDE\n" in says(phone, "dumpsys deviceidle")
    assert "mDeviceIdleMode=true\n" in says(phone, "dumpsys power")
    assert says(phone, f"{command} deviceidle unforce").startswith("Light state: ACTIVE, deep")
    assert says(phone, f"{command} deviceidle get deep") == "ACTIVE\n"
    says(phone, "dumpsys deviceidle disable")
    assert "not enabled" in says(phone, f"{command} deviceidle force-idle")


@pytest.mark.parametrize("command", ["cmd package", "pm"])
def test_background_compilation_can_be_held(command):
    phone = android()
    assert says(phone, f"{command} bg-dexopt-job --disable") == "Success\n"
    assert not phone.settings.background_compilation
    says(phone, f"{command} bg-dexopt-job --enable")
    assert phone.settings.background_compilation


@pytest.mark.parametrize(
    "command",
    [
        "am start -n x/y",
        "pm install x.apk",
        "cmd wifi status",
        "dumpsys meminfo",
        "svc wifi enable",
        "logcat",
    ],
)
def test_what_is_not_simulated_says_so_and_fails(command):
    answer = android().answer(command.split())
    assert answer.exit_code != 0
    assert "not simulated on this stand-in" in answer.stderr


@pytest.mark.parametrize("what", [each for each in HIDEABLE if " " in each])
def test_a_hidden_service_is_not_found(what):
    phone = android(f"hidden = ['{what}']")
    answer = phone.answer(what.split())
    assert answer.stdout == ""
    assert "Can't find service: " in answer.stderr
    assert answer.exit_code == (0 if what.startswith("dumpsys") else 20)


def test_properties_say_that_they_are_simulated():
    found = properties(load("rooted"), "x86_64")
    assert found["ro.product.model"] == "PocketNAS Simulated 4+3+1"
    assert found["ro.product.cpu.abi"] == "x86_64"
    assert "simulated:rooted@" in found["ro.build.fingerprint"]


def test_a_start_keeps_settings_and_forgets_modes():
    phone = android()
    for command in (
        "settings put global window_animation_scale 0",
        "cmd power set-fixed-performance-mode-enabled true",
        "dumpsys deviceidle force-idle",
        "cmd thermalservice override-status 2",
    ):
        says(phone, command)
    phone.model.reboot(1)
    phone.rebooted()
    fresh = AndroidSettings()
    fresh.tables["global"]["window_animation_scale"] = "0"
    assert phone.settings == fresh


def test_the_settings_file_is_written_whole_and_only_when_it_changes(tmp_path):
    path = tmp_path / "data/settings.json"
    settings = AndroidSettings()
    text = write_if_changed(settings, str(path), "")
    assert json.loads(path.read_text())["tables"] == settings.tables
    path.unlink()
    write_if_changed(settings, str(path), text)
    assert not path.exists()


# --- nodes ------------------------------------------------------------


@pytest.fixture
def nodes(tmp_path):
    def make(text=""):
        model = PhoneModel(parse("test", f"version = 1\n{text}"))
        made = Nodes(
            model, cpu=f"{tmp_path}/cpu", thermal=f"{tmp_path}/thermal", meter=f"{tmp_path}/meter"
        )
        made.create()
        return model, made, tmp_path

    return make


def test_each_core_leads_to_the_clock_of_its_cluster(nodes):
    _, _, root = nodes()
    khz = tuple(
        int((root / f"cpu/cpu{core}/cpufreq/cpuinfo_max_freq").read_text()) for core in range(8)
    )
    assert fastest_cluster(khz) == (4, 5, 6, 7)
    assert os.readlink(root / "cpu/cpu6/cpufreq") == "../cpufreq/policy4"
    assert (root / "cpu/cpu0/cpufreq/affected_cpus").read_text() == "0 1 2 3\n"


def test_the_nodes_show_the_model(nodes):
    model, shown, root = nodes("[thermal]\nheating_c_per_s = 1\n[rails]\nidle_mw = 100")
    model.advance(10, busy=1)
    shown.show()
    assert (root / "cpu/cpu7/cpufreq/scaling_cur_freq").read_text() == "2400000\n"
    times = (root / "cpu/cpu7/cpufreq/stats/time_in_state").read_text().splitlines()
    assert times[0] == "500000 0"
    assert times[-1] == "2400000 1000"
    assert (root / "thermal/thermal_zone0/type").read_text() == "cpu-0-0\n"
    assert int((root / "thermal/thermal_zone0/temp").read_text()) == round(1000 * model.chip_c)
    assert re.search(
        r"^CH0\(T=10000\)\[VSYS_SIMULATED\], \d{6,}$",
        (root / "meter/energy_value").read_text(),
        re.M,
    )


def test_a_value_that_gets_shorter_leaves_nothing_of_the_longer_one(nodes):
    model, shown, root = nodes()
    model.advance(1, busy=1)
    shown.show()
    model.advance(1)
    shown.show()
    assert (root / "cpu/cpu7/cpufreq/scaling_cur_freq").read_text() == "500000\n"


def test_what_root_writes_is_taken_over_as_the_kernel_would(nodes):
    model, shown, root = nodes()
    policy = root / "cpu/cpufreq/policy4"
    (policy / "scaling_max_freq").write_text("1400000\n")
    assert shown.limits_written()
    assert not shown.limits_written()
    assert (policy / "scaling_max_freq").read_text() == "1314000\n"
    (policy / "scaling_min_freq").write_text("9999999\n")
    (policy / "scaling_governor").write_text("nonsense\n")
    assert shown.limits_written()
    assert (policy / "scaling_min_freq").read_text() == "1314000\n"
    assert (policy / "scaling_governor").read_text() == "schedutil\n"
    shown.show()
    assert (policy / "scaling_cur_freq").read_text() == "1314000\n"
    (policy / "scaling_max_freq").write_text("")  # a shell has opened it and not written yet
    assert not shown.limits_written()
    assert model.limits[1].max_khz == 1_314_000


def test_hidden_nodes_are_not_there(nodes):
    _, _, root = nodes(
        "hidden = ['cpufreq', 'thermal_zones', 'power_rails']\n[rails]\nidle_mw = 1"
    )
    assert list(root.iterdir()) == []


def test_hidden_times_leave_the_clocks(nodes):
    _, _, root = nodes("hidden = ['time_in_state']")
    assert (root / "cpu/cpu0/cpufreq/scaling_cur_freq").exists()
    assert not (root / "cpu/cpu0/cpufreq/stats").exists()


# --- programs ------------------------------------------------------------


def test_the_phone_is_given_what_its_daemon_imports_and_no_more(tmp_path):
    installation.install(tmp_path, load("plain"))
    done = subprocess.run(
        [
            *("python3", "-IS", "-c"),
            f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r})\n"
            "from devices.loopback import android_daemon\n"
            "print(*sorted(m for m in sys.modules if m.startswith('devices.loopback.')))",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    given = {f"devices.loopback.{name}" for name in installation.LIBRARY} - {
        "devices.loopback.__init__"
    }
    assert set(done.stdout.split()) == given


def test_su_and_hidden_programs_are_not_installed(tmp_path):
    installation.install(tmp_path / "a", load("plain"))
    installation.install(tmp_path / "b", load("vendor-hides"))
    installation.install(tmp_path / "c", load("rooted"))
    programs = [{p.name for p in (tmp_path / f / "bin").iterdir()} for f in "abc"]
    assert "su" not in programs[0]
    assert programs[0] - programs[1] == {"taskset"}
    assert programs[2] - programs[0] == {"su"}


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["-c", "id -u"], ["/bin/sh", "-c", "id -u"]),
        (["-c", "id", "-u"], ["/bin/sh", "-c", "id -u"]),
        (["0", "id", "-u"], ["id", "-u"]),
        (["root", "-c", "id"], ["/bin/sh", "-c", "id"]),
        (["0"], ["/bin/sh"]),
        ([], ["/bin/sh"]),
        (["--nonsense"], None),
    ],
)
def test_su_takes_androids_and_magisks_ways(arguments, command):
    assert android_su.command(arguments) == command
