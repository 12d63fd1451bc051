import pytest

from devices.android_hold import QUIET
from devices.device import DeviceTransientError
from devices.phone_support import examine, settings_now
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport

INFO = """model=Fake 8
sdk=33
kernel=5.10
ram_kb=8000000
root=su
has_taskset=1
has_settings=1
has_cmd=1
has_dumpsys=1
khz 0 1800000
available 0 900000 1800000
khz 1 2850000
available 1 1400000 2850000
"""
STATE = """  level: 87
  temperature: 312
Thermal Status: 0
low_power=0
mWakefulness=Awake
boot=b1
khz 0 1803000
khz 1 2401000
spent 0 1803000 12
zone 31000 cpu-0-0
"""
HELP = """usage: benchmark_model <flags>
Flags:
\t--num_runs=50 \tint32
\t--use_xnnpack=false
\t--graph=
"""


def result(stdout="", exit_code=0, stderr=""):
    return ShellResult(exit_code=exit_code, stdout=stdout, stderr=stderr)


def phone(**answers):
    """A transport to a phone that answers as a good one does, but for ``answers``."""
    known = {
        "exit": result("out\n", 7, "err\n"),
        "info": result(INFO),
        "state": result(STATE),
        "runner": result(HELP, 1),
        "df": result("/dev/x 9000000 1 4096000 1% /data\n"),
        "rails": result("node /sys/bus/iio/devices/iio:device0/energy_value\nCH1(T=1)[CPU], 5\n"),
        "cache": result(),
    } | answers
    signs = (
        ("exit 7", "exit"),
        ("ro.product.model", "info"),
        ("dumpsys battery", "state"),
        ("--help", "runner"),
        ("iio", "rails"),
        ("df -k", "df"),
    )

    def answer(script):
        name = next((name for sign, name in signs if sign in script), "cache")
        return known[name]

    return Transport("adb:fake", FakeWire(answer))


def parts(**answers):
    found = examine(phone(**answers), "adb:fake", "SERIAL")
    assert len({part.item for part in found}) == len(found)
    return {part.item: part for part in found}


def test_a_phone_that_tells_everything_supports_everything():
    found = parts()
    lacking = [part for part in found.values() if not part.supported]
    assert lacking == []
    assert {part.remedy for part in found.values()} == {""}
    assert "not tried" in found["GPU delegate"].detail
    assert found["benchmark_model"].detail.endswith("tflite dialect")
    assert found["core clusters"].detail == "1 x 1.8 GHz, 1 x 2.85 GHz"
    assert found["clock tier T1"].detail == "root by su"
    assert found["clock tier T2"].detail == "Android API level 33"
    assert found["power saver"].detail == "off"
    assert found["space in /data/local/tmp"].detail == "4000 MB free"


def test_one_that_tells_nothing_has_something_to_do_about_each_part():
    silent = {
        "info": result("kernel=6\n"),
        "state": result(""),
        "runner": result("", 127, "not found"),
        "df": result(""),
        "rails": result(""),
    }
    lacking = {name: part for name, part in parts(**silent).items() if not part.supported}
    expected = {
        "benchmark_model",
        "core clusters",
        "core mask",
        "clock tier T1",
        "clock tier T2",
        "clocks",
        "battery",
        "battery temperature",
        "thermal status",
        "thermal zones",
        "time at each clock",
        "power saver",
        "screen",
        "doze",
        "start of the system",
        "space in /data/local/tmp",
        "energy",
    }
    assert set(lacking) == expected
    assert all(part.detail and part.remedy for part in lacking.values())


@pytest.mark.parametrize(
    "told", [result("out\n", 0, "err\n"), result("out\nerr\n", 7), result("", 7, "err\n")]
)
def test_exit_codes_that_are_lost_are_told(told):
    assert parts()["exit codes"].supported
    part = parts(exit=told)["exit codes"]
    assert not part.supported
    assert part.remedy


def test_a_runner_that_is_there_and_does_not_run_is_told_from_none():
    missing = parts(runner=result("", 127, "not found"))["benchmark_model"]
    assert missing.detail == "not there"
    assert missing.remedy == "pocketnas devices provision adb:fake"
    broken = parts(runner=result("", 126, "Exec format error"))["benchmark_model"]
    assert not broken.supported
    assert "does not run (exit code 126): Exec format error" in broken.detail
    assert broken.remedy == missing.remedy


def test_root_without_clocks_is_no_clock_tier_t1():
    hidden = "\n".join(line for line in INFO.splitlines() if "available" not in line)
    part = parts(info=result(hidden))["clock tier T1"]
    assert not part.supported
    assert part.detail == "root by su, clocks hidden"


def test_an_old_android_has_no_fixed_performance_mode():
    part = parts(info=result(INFO.replace("sdk=33", "sdk=29")))["clock tier T2"]
    assert not part.supported
    assert "T3" in part.remedy


def test_a_power_saver_that_is_on_says_so():
    assert (
        parts(state=result(STATE.replace("low_power=0", "low_power=1")))["power saver"].detail
        == "on"
    )


def test_a_full_phone_says_how_much_to_free():
    part = parts(df=result("/dev/x 9000000 1 102400 99% /data\n"))["space in /data/local/tmp"]
    assert (part.supported, part.detail) == (False, "100 MB free")
    assert "600 MB" in part.remedy


def test_a_phone_that_does_not_answer_is_an_error():
    with pytest.raises(DeviceTransientError, match="does not tell what it is"):
        examine(phone(info=result("", 1)), "adb:fake", "SERIAL")


def test_what_a_measurement_changes_is_read_by_name():
    told = "window_animation_scale=1.0\ncpu0/cpufreq/scaling_min_freq=300000\nnoise\n"
    transport = phone(cache=result(told))
    assert settings_now(transport) == {
        "window_animation_scale": "1.0",
        "cpu0/cpufreq/scaling_min_freq": "300000",
    }


@pytest.mark.loopback
def test_a_loopback_phone_says_what_it_lacks_and_that_its_runner_is_a_stand_in(loopback_phones):
    from devices.transport import open_transport

    (made,) = loopback_phones(1)
    transport = open_transport(f"adb:{made.serial}", made.serial)
    try:
        found = {part.item: part for part in examine(transport, f"adb:{made.serial}", made.serial)}
        assert found["exit codes"].supported
        assert "stand-in" in found["benchmark_model"].detail
        assert not found["clock tier T2"].supported
        assert settings_now(transport) == {}
    finally:
        transport.close()


@pytest.mark.loopback
def test_one_with_a_scenario_has_settings_that_holding_it_changes_and_puts_back(
    loopback_phones,
):
    from devices.adb import AdbDevice
    from devices.device import RunSettings
    from devices.loopback.phone import up

    loopback_phones(1)  # in a home folder of this test, which the next one goes to as well
    (made,) = up(1, scenario="rooted")
    device = AdbDevice(made.serial)
    try:
        before = settings_now(device.transport)
        assert {setting.key for setting in QUIET} <= set(before)
        with device.hold(RunSettings()):
            assert settings_now(device.transport) != before
        assert settings_now(device.transport) == before
        found = {part.item: part for part in examine(device.transport, device.id, made.serial)}
        assert found["clock tier T1"].supported
        assert found["thermal zones"].supported
    finally:
        device.close()
