import itertools
import subprocess
import sys
import threading
import time

import pytest

from devices import pool
from devices.device import DeviceBusyError
from devices.pool import Appeared, Changed, Found, Gone, discover, lease, open_device, watch
from devices.quarantine import release, report_failure
from devices.usb_phones import UsbPhone
from workspace.errors import InputError

HOLD = """
import sys
from devices.pool import lease
with lease("host"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))


def test_this_computer_is_always_there():
    assert discover()[0].id == "host"


@pytest.mark.loopback
def test_a_loopback_phone_is_listed_while_it_is_up(loopback_phones):
    (phone,) = loopback_phones(1)
    (found,) = [each for each in discover() if each.id == f"adb:{phone.serial}"]
    assert found.kind == "loopback phone"
    assert "not a phone" in found.description


@pytest.mark.parametrize("text", ["phone", "adb:", "adb:NOSUCH"])
def test_a_device_that_is_not_there_is_refused(text):
    with pytest.raises(InputError, match=text.removeprefix("adb:") or "unknown device"):
        open_device(text)


def test_a_device_is_leased_to_one_process_and_free_when_that_dies():
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline().strip() == "held"
        with (
            pytest.raises(DeviceBusyError, match=f"in use by process {holder.pid}"),
            lease("host"),
        ):
            pass
        with lease("adb:another"):
            pass
        holder.kill()
        with lease("host", wait_s=5):
            pass
    finally:
        holder.kill()
        holder.communicate()


PHONE = Found(id="adb:X", kind="phone", description="Android phone on USB")


@pytest.fixture
def attached(monkeypatch):
    """What is plugged in now, apart from this computer."""
    there: list[Found] = []
    monkeypatch.setattr(pool, "_phones", lambda: iter(tuple(there)))
    monkeypatch.setattr(pool, "_loopback", lambda: iter(()))
    return there


def test_phones_are_noticed_as_they_come_and_go(attached):
    events = watch(poll_s=0.001)
    assert next(events) == Appeared(found=discover()[0])
    attached.append(PHONE)
    assert next(events) == Appeared(found=PHONE)
    attached.clear()
    assert next(events) == Gone(found=PHONE)


def test_a_phone_in_quarantine_is_listed_with_the_reason(attached):
    attached.append(PHONE)
    events = watch(poll_s=0.001)
    assert [event.found.id for event in itertools.islice(events, 2)] == ["host", "adb:X"]
    report_failure("adb:X", "hot for 20 minutes", at_once=True)
    changed = next(events)
    assert isinstance(changed, Changed)
    assert changed.before == PHONE
    assert "in quarantine until" in changed.found.problem
    assert "(hot for 20 minutes)" in changed.found.problem
    assert discover()[1] == changed.found
    release("adb:X")
    assert next(events) == Changed(before=changed.found, found=PHONE)


def test_what_else_is_wrong_with_a_phone_goes_before_its_quarantine(attached):
    attached.append(Found(id="adb:X", kind="phone", description="", problem="unauthorized"))
    report_failure("adb:X", "hot", at_once=True)
    assert discover()[1].problem == "unauthorized"


@pytest.mark.usefixtures("attached")
def test_watching_ends_within_the_wait_when_asked_to():
    stop = threading.Event()
    events = watch(poll_s=60, stop=stop)
    next(events)
    threading.Timer(0.05, stop.set).start()
    begin = time.monotonic()
    assert list(events) == []
    assert time.monotonic() - begin < 5


@pytest.mark.loopback
def test_a_loopback_phone_is_noticed_when_it_is_up(loopback_phones):
    events = watch(poll_s=0.05)
    assert next(events).found.id == "host"
    (phone,) = loopback_phones(1)
    event = next(events)
    assert isinstance(event, Appeared)
    assert event.found.id == f"adb:{phone.serial}"


def test_a_phone_whose_usb_node_may_not_be_opened_says_what_to_install(tmp_path, monkeypatch):
    node = tmp_path / "node"
    phone = UsbPhone(serial="X", port_path=(1, 2), node=node)
    monkeypatch.setattr("devices.usb_phones.attached", lambda: (phone,))
    monkeypatch.setattr("devices.transport.server_phones", dict)
    (found,) = [each for each in discover() if each.id == "adb:X"]
    assert "android-sdk-platform-tools-common" in found.problem
    node.touch()
    (found,) = [each for each in discover() if each.id == "adb:X"]
    assert found.problem == ""
