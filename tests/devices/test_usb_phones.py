"""Phones on a fake USB, behind which a loopback phone's real adbd answers."""

import hashlib
import os
import time

import pytest

from devices import usb_phones as module
from devices.device import DeviceBusyError, DevicePermanentError, DeviceTransientError
from devices.testing_usb import FakeLibusb, FakeTrouble, FakeUsbPhone, installed
from devices.transport import open_transport
from devices.usb_phones import attached, holders_of, usb_phones

NOWHERE = ("127.0.0.1", 9)


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """Puts fake phones on the fake USB of this computer, and no adb server beside them."""
    root = tmp_path / "sysfs"
    root.mkdir()
    monkeypatch.setattr("devices.ways.attached", lambda: attached(root))
    monkeypatch.setattr("devices.ways.usb_phones", lambda: usb_phones(root))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    fakes = []

    def plug(*phones):
        for phone in phones:
            phone.write_sysfs(root)
        fakes.append(installed(FakeLibusb(*phones)))
        fakes[-1].__enter__()

    yield plug
    for fake in fakes:
        fake.__exit__(None, None, None)


@pytest.fixture
def adbd(loopback_phones):
    (phone,) = loopback_phones(1)
    host, _, port = phone.serial.rpartition(":")
    return host, int(port)


def test_phones_are_found_by_adbs_interface(tmp_path):
    FakeUsbPhone(serial="PHONE1", ports=(1, 2, 3), adbd=NOWHERE).write_sysfs(tmp_path)
    for name, kind in (("1-1", "03/01/01"), ("1-4", "ff/42/03"), ("2-1", "ff/42")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "serial").write_text("OTHER\n")
        (tmp_path / f"{name}:1.0").mkdir()
        for part, value in zip(("Class", "SubClass", "Protocol"), kind.split("/"), strict=False):
            (tmp_path / f"{name}:1.0" / f"bInterface{part}").write_text(f"{value}\n")
    (phone,) = attached(tmp_path)
    assert (phone.serial, phone.port_path) == ("PHONE1", (1, 2, 3))
    assert str(phone.node) == "/dev/bus/usb/001/009"
    assert usb_phones(tmp_path) == ("PHONE1",)


@pytest.mark.loopback
def test_a_phone_on_usb_answers_and_takes_files_of_every_size(plugged, adbd, tmp_path):
    """Also those that fill USB packets and adbd's blocks exactly, which must be ended for it."""
    fake = FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=adbd)
    other = FakeUsbPhone(
        serial="LOCKED", ports=(1, 3), adbd=NOWHERE, trouble=FakeTrouble.NO_ACCESS
    )
    plugged(other, fake)
    transport = open_transport("adb:FAKE", "FAKE")
    assert transport.shell(["id", "-u"], 5).stdout == "2000\n"
    source = tmp_path / "file"
    for size in (0, 1, 504, 1016, 16_376, 32_752, 65_536, 1_000_001):
        source.write_bytes(os.urandom(size))
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        transport.push(source, "/data/local/tmp/file", digest, 10)
        assert transport.read("/data/local/tmp/file", 10) == source.read_bytes()
        assert transport.pull("/data/local/tmp/file", 10) == source.read_bytes()
    transport.close()
    assert (fake.opened, fake.closed) == (1, 1)


@pytest.mark.loopback
def test_a_deadline_on_usb_ends_the_tree_and_keeps_the_connection(plugged, adbd):
    fake = FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=adbd)
    plugged(fake)
    transport = open_transport("adb:FAKE", "FAKE")
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="did not end within"):
        transport.script("sleep 61 & sleep 62", 0.5)
    assert time.monotonic() - started < 2.5
    count = transport.script("grep -l 'slee[p]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l", 5)
    assert count.stdout.strip() == "0"
    assert fake.opened == 1
    transport.close()


@pytest.mark.loopback
def test_what_an_earlier_program_left_in_the_pipe_is_skipped(plugged, adbd):
    plugged(FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=adbd, left_over=os.urandom(700)))
    transport = open_transport("adb:FAKE", "FAKE")
    assert transport.shell(["true"], 5).exit_code == 0
    transport.close()


@pytest.mark.loopback
def test_a_phone_unplugged_in_mid_push_is_told_at_once(plugged, adbd, tmp_path):
    fake = FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=adbd, unplugged_after=1_000_000)
    plugged(fake)
    transport = open_transport("adb:FAKE", "FAKE")
    source = tmp_path / "file"
    source.write_bytes(bytes(5_000_000))
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="USB: FakeNoDeviceError"):
        transport.push(source, "/data/local/tmp/file", "0" * 64, 30)
    assert time.monotonic() - started < 5
    transport.close()


def test_a_phone_that_another_program_holds_says_who(plugged, monkeypatch):
    fake = FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=NOWHERE, trouble=FakeTrouble.BUSY)
    plugged(fake)
    monkeypatch.setattr(module, "holders_of", lambda _: ("adb (pid 7)",))
    with pytest.raises(DeviceBusyError, match=r"adb \(pid 7\) holds its USB interface"):
        open_transport("adb:FAKE", "FAKE")
    assert (fake.opened, fake.closed) == (1, 1)


def test_a_busy_phone_is_reached_through_the_server_that_took_it(plugged, monkeypatch):
    plugged(FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=NOWHERE, trouble=FakeTrouble.BUSY))
    answers = iter([{}, {"FAKE": "device"}, {"FAKE": "device"}])
    monkeypatch.setattr("devices.ways.listed", lambda _: next(answers))

    class Link:
        features = frozenset({"shell_v2"})

        def __init__(self, server, serial, until):  # noqa: ARG002 - ServerLink's
            self.name = f"{serial} through {server}"

        def close(self):
            """Nothing to do."""

    monkeypatch.setattr("devices.ways.ServerLink", Link)
    transport = open_transport("adb:FAKE", "FAKE")
    assert vars(transport)["_wire"]._link.name == "FAKE through 127.0.0.1:9"


def test_a_phone_that_this_user_may_not_open_says_what_to_install(plugged):
    plugged(FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=NOWHERE, trouble=FakeTrouble.NO_ACCESS))
    words = r"android-sdk-platform-tools-common.*plugdev.*replug"
    with pytest.raises(DevicePermanentError, match=words):
        open_transport("adb:FAKE", "FAKE")


def test_a_phone_that_libusb_does_not_see_says_what_is_missing(plugged, tmp_path):
    plugged()
    FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=NOWHERE).write_sysfs(tmp_path / "sysfs")
    with pytest.raises(DevicePermanentError, match="needs /dev/bus/usb"):
        open_transport("adb:FAKE", "FAKE")


def test_who_has_a_file_open_is_found(tmp_path):
    fd = tmp_path / "4242" / "fd"
    fd.mkdir(parents=True)
    (tmp_path / "4242" / "comm").write_text("adb\n")
    (fd / "7").symlink_to("/dev/bus/usb/001/009")
    own = tmp_path / str(os.getpid()) / "fd"
    own.mkdir(parents=True)
    (own / "3").symlink_to("/dev/bus/usb/001/009")
    (phone,) = (node for node in [fd / "7"])
    assert holders_of(phone.readlink(), proc=tmp_path) == ("adb (pid 4242)",)
    assert holders_of(tmp_path, proc=tmp_path) == ()
