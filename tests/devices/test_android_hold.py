"""On simulated loopback phones: real adb, a real shell, Android's commands as stand-ins."""

import json

import pytest

from devices.adb import AdbDevice
from devices.device import ClockTier, DevicePermanentError, DeviceTransientError, RunSettings
from devices.held_changes import Change, Journal
from devices.loopback.phone import down, up
from devices.recovery import Recovery
from devices.testing import QUICK, file_of

pytestmark = pytest.mark.loopback

FREE = RunSettings()


@pytest.fixture
def phone(loopback_phones):
    """Brings up a phone of a scenario and gives it as a device."""
    loopback_phones(1)
    devices = []

    def bring_up(scenario, **kwargs):
        (made,) = up(1, scenario=scenario)
        devices.append(AdbDevice(made.serial, **kwargs))
        return devices[-1]

    yield bring_up
    for device in devices:
        device.close()
    down()


def settings_of(device):
    """The phone's settings as it keeps them."""
    text = device.transport.script("cat /data/pocketnas/settings.json", 5).stdout
    found = json.loads(text)
    assert found
    return found


def read(device, node):
    return device.transport.shell(["cat", f"/sys/devices/system/cpu/{node}"], 5).stdout.strip()


def test_a_phone_is_kept_quiet_and_put_back_as_it_was(phone):
    device = phone("plain")
    get = ("settings", "get", "global", "window_animation_scale")
    before = device.transport.shell(get, 5).stdout
    with device.hold(FREE) as labels:
        assert device.transport.shell(get, 5).stdout.strip() == "0"
        assert any("clock: left to the governor" in label for label in labels)
        assert any("updates: not held" in label for label in labels)
    assert device.transport.shell(get, 5).stdout == before
    assert Journal(device.id).read() == ()


def test_fixed_performance_mode_is_on_inside_and_off_afterwards(phone):
    device = phone("plain")
    before = settings_of(device)
    with device.hold(RunSettings(clock_tier=ClockTier.SUSTAINED)):
        assert settings_of(device) != before
        assert device.setup(RunSettings(clock_tier=ClockTier.SUSTAINED)).clock_tier == "T2"
    assert settings_of(device) == before


def test_one_clock_is_fixed_where_there_is_root_and_read_back(phone):
    device = phone("rooted")
    settings = RunSettings(clock_tier=ClockTier.FIXED)
    setup = device.setup(settings)
    (core,) = setup.cores
    nodes = [f"cpu{core}/cpufreq/scaling_{which}_freq" for which in ("min", "max")]
    before = [read(device, node) for node in nodes]
    with device.hold(settings) as labels:
        assert [read(device, node) for node in nodes] == [str(setup.clock_khz)] * 2
        assert any("(T1), read back" in label for label in labels)
    assert [read(device, node) for node in nodes] == before
    assert 0 < setup.clock_khz < max(setup.info.core_khz)


def test_a_tier_that_the_phone_does_not_give_is_refused_and_leaves_no_trace(phone):
    device = phone("plain")
    with pytest.raises(DevicePermanentError, match="T1 needs root"):
        device.setup(RunSettings(clock_tier=ClockTier.FIXED))
    before = settings_of(device)
    with pytest.raises(DevicePermanentError), device.hold(RunSettings(clock_tier=ClockTier.FIXED)):
        pytest.fail("it was held")
    assert settings_of(device) == before


def test_what_the_vendor_hides_is_a_label_and_no_error(phone):
    device = phone("vendor-hides")
    with device.hold(FREE) as labels:
        assert labels
    state = device.state()
    assert state.time_in_state is None or state.zones_c is None or state.battery_percent is None


def test_what_a_dead_process_left_is_put_back_by_the_next_one(phone, monkeypatch):
    device = phone("plain")
    before = settings_of(device)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "put_back_quietly", lambda *_: None)  # it dies before that
        with device.hold(FREE):
            pass
    assert settings_of(device) != before
    assert Journal(device.id).read()
    next_one = AdbDevice(device.id.removeprefix("adb:"))
    with next_one.hold(FREE):
        pass
    next_one.close()
    assert settings_of(device) == before
    assert Journal(device.id).read() == ()


def test_a_run_is_pinned_and_its_state_is_told(phone, tiny_model):
    device = phone("plain")
    record = device.run(file_of(tiny_model), QUICK)
    assert device.setup(QUICK).cores == (7,)
    assert record.before.battery_percent == 85
    assert record.before.thermal_status == 0
    assert record.before.zones_c
    assert record.before.time_in_state
    assert record.before.boot_id == record.after.boot_id


def test_the_run_of_a_phone_that_reboots_gives_no_number_and_the_phone_comes_back(
    phone, tiny_model
):
    device = phone("plain")
    device.run(file_of(tiny_model), QUICK)
    boot = device.state().boot_id
    device.transport.script("(sleep 0.3; reboot) >/dev/null 2>&1 &", 5)
    long = RunSettings(warmup_runs=0, warmup_min_s=0, timed_runs=1, timed_min_s=5, timeout_s=30)
    with pytest.raises(DeviceTransientError):
        device.run(file_of(tiny_model), long)
    for _ in range(3):  # as the protocol is patient
        try:
            record = device.run(file_of(tiny_model), QUICK)
        except DeviceTransientError:
            continue
        assert record.before.boot_id != boot
        return
    pytest.fail("it did not come back")


def test_a_phone_that_is_gone_when_its_hold_ends_does_not_hide_the_result(phone):
    device = phone("plain", recovery=Recovery(reconnect_s=0.5))
    with device.hold(FREE):
        noted = Journal(device.id).read()
        down(device.id.removeprefix("adb:"))
        with pytest.raises(DeviceTransientError):
            device.state()
    assert Journal(device.id).read() == noted != ()


def hiding(tmp_path, *what):
    """The file of a phone whose vendor left these out."""
    path = tmp_path / "hiding.toml"
    path.write_text(f"version = 1\nhidden = {json.dumps(what)}\n")
    return path


def test_a_screen_that_may_be_on_or_off_is_left_so_and_labelled(phone, tmp_path):
    device = phone(hiding(tmp_path, "dumpsys power"))
    shown = ("dumpsys", "display")
    before = device.transport.shell(shown, 5).stdout
    with device.hold(FREE) as labels:
        assert "screen: not woken, the phone does not tell whether it is on" in labels
        assert device.transport.shell(shown, 5).stdout == before
    known = phone("plain")
    with known.hold(FREE) as labels:
        assert "mScreenState=ON" in known.transport.shell(shown, 5).stdout
        assert not any("not woken" in label for label in labels)
    assert "mScreenState=OFF" in known.transport.shell(shown, 5).stdout


def test_what_the_phone_refused_to_change_is_not_to_be_put_back(phone, tmp_path):
    device = phone(hiding(tmp_path, "cmd package", "cmd power"))
    with device.hold(FREE) as labels:
        assert any("background compilation: not held" in label for label in labels)
    with (
        pytest.raises(DevicePermanentError, match="refuses fixed performance mode"),
        device.hold(RunSettings(clock_tier=ClockTier.SUSTAINED)),
    ):
        pytest.fail("it was held")
    assert Journal(device.id).read() == ()


def test_what_could_not_be_put_back_is_a_label_of_the_next_hold(phone):
    device = phone("plain")
    stuck = Change(name="a vendor's switch", undo=("false",))
    Journal(device.id).write((stuck,))
    for _ in range(2):
        with device.hold(FREE) as labels:
            assert labels[0] == "a vendor's switch: could not be put back"
    assert Journal(device.id).read() == (stuck,)
