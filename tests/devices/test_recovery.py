import os
import stat
from dataclasses import dataclass

import pytest

from devices.clock import SimulatedClock
from devices.device import DeviceTransientError
from devices.recovery import Recovery, Step, await_boot, port_of, power_cycle, recover
from workspace.errors import InputError

# As uhubctl 2.x prints it: https://gist.github.com/acassis/65d93269162bc404d93efb04c864f15b
LISTING = """Current status for hub 1-1 [8087:0024, USB 2.00, 6 ports]
  Port 1: 0100 power
  Port 3: 0507 power highspeed suspend enable connect [0bda:0129 Generic CRW 20100201396000000]
  Port 5: 0507 power highspeed suspend enable connect [0c45:648d Laptop_Integrated_Webcam_HD]
Current status for hub 4-3.4 [0bda:0411 Generic 4-Port USB 3.0 Hub, USB 3.00, 4 ports]
  Port 4: 0203 power 5gbps U0 enable connect [18d1:4ee7 Google Pixel 6 18101FDF6]
"""


@dataclass
class Said:
    stdout: str
    exit_code: int = 0


class FakePhone:
    """Answers, or not, by the simulated clock."""

    id = "adb:X"

    def __init__(self, clock, *, gone_until_s=0.0, boots_until_s=0.0, reboots=True, hangs=False):
        self.clock = clock
        self.gone_until_s = gone_until_s
        self.boots_until_s = boots_until_s
        self.reboots = reboots
        self.hangs = hangs
        self.boot_id = "first"
        self.open = 0
        self.switched = []

    def connect(self):
        if self.clock.now_s() < self.gone_until_s:
            msg = "no phone 'X' is attached"
            raise InputError(msg)
        self.open += 1
        return self

    def script(self, text, timeout_s):
        if text == "reboot":
            if self.reboots:
                self.boot_id = "second"
                self.gone_until_s = self.clock.now_s() + 20
                self.boots_until_s = self.clock.now_s() + 45
                self.hangs = False
            raise DeviceTransientError(self.id, "the connection failed")
        if self.hangs:
            self.clock.sleep(timeout_s)
            raise DeviceTransientError(self.id, "it did not answer")
        completed = "1" if self.clock.now_s() >= self.boots_until_s else ""
        return Said(f"{completed}\n{self.boot_id}\n")

    def close(self):
        self.open -= 1

    def switch(self, serial, off_s, usb_port):
        self.switched.append((serial, off_s, usb_port))
        self.gone_until_s = self.clock.now_s() + off_s
        self.hangs = False


@pytest.fixture
def clock():
    return SimulatedClock()


def attempt(phone, settings=None, boot_id=""):
    return recover(
        "adb:X",
        "X",
        phone.connect,
        settings,
        clock=phone.clock,
        switch_power=phone.switch,
        boot_id=boot_id,
    )


def test_a_phone_that_comes_back_is_reconnected(clock):
    phone = FakePhone(clock, gone_until_s=10)
    found = attempt(phone, boot_id="first")
    assert (found.by, found.failed, found.rebooted) == (Step.RECONNECT, (), False)
    assert 10 <= clock.now_s() < 16
    assert phone.open == 0


def test_a_phone_that_rebooted_by_itself_is_awaited_and_told(clock):
    phone = FakePhone(clock, boots_until_s=20)
    assert attempt(phone, boot_id="zeroth").rebooted
    assert clock.now_s() >= 20


def test_only_reconnecting_is_on_by_default(clock):
    phone = FakePhone(clock, hangs=True)
    with pytest.raises(DeviceTransientError, match=r"adb:X: it does not come back \(reconnect: "):
        attempt(phone)
    assert phone.boot_id == "first"
    assert phone.switched == []
    assert clock.now_s() <= 30 + 10


class MutePhone(FakePhone):
    """Answers with nothing until it is rebooted."""

    def script(self, text, timeout_s):
        if text != "reboot" and self.boot_id == "first":
            return Said("")
        return super().script(text, timeout_s)


def test_a_reboot_has_come_about_when_its_boot_id_is_another_one(clock):
    phone = MutePhone(clock)
    found = attempt(phone, Recovery(reboot=True), boot_id="first")
    assert (found.by, found.rebooted) == (Step.REBOOT, True)
    assert [step for step, _ in found.failed] == [Step.RECONNECT]


def test_a_phone_that_ignores_reboot_is_switched_off_and_on(clock):
    phone = FakePhone(clock, hangs=True, reboots=False)
    settings = Recovery(reboot=True, power_cycle=True, boot_s=60, usb_port="1-1.4:2")
    found = attempt(phone, settings)
    assert found.by is Step.POWER_CYCLE
    assert [step for step, _ in found.failed] == [Step.RECONNECT, Step.REBOOT]
    assert phone.switched == [("X", 5.0, "1-1.4:2")]
    assert phone.open == 0


class LostPhone(FakePhone):
    """Nothing brings it back."""

    def connect(self):
        msg = "no phone 'X' is attached"
        raise InputError(msg)


def test_every_step_ends_by_its_deadline(clock):
    phone = LostPhone(clock)
    with pytest.raises(DeviceTransientError, match=r"reconnect.*reboot.*power-cycle"):
        attempt(phone, Recovery(reboot=True, power_cycle=True, reconnect_s=30, boot_s=100))
    assert clock.now_s() <= 30 + 100


@pytest.mark.parametrize("usb_port", ["1-1.4", "1-1.4:2; reboot", "-a:2x"])
def test_a_port_that_is_none_is_refused(usb_port):
    with pytest.raises(InputError, match="HUB:PORT"):
        Recovery(usb_port=usb_port)


def test_a_phone_is_found_in_what_uhubctl_lists():
    assert port_of("18101FDF6", LISTING) == "4-3.4:4"
    assert port_of("20100201396000000", LISTING) == "1-1:3"
    assert port_of("01FDF6", LISTING) == ""


@pytest.fixture
def uhubctl(tmp_path, monkeypatch):
    """A stand-in for uhubctl: prints the listing, notes how it was called."""
    (tmp_path / "listing").write_text(LISTING)
    program = tmp_path / "uhubctl"
    program.write_text(
        f'#!/bin/sh\n[ $# = 0 ] && exec cat {tmp_path}/listing\necho "$@" > {tmp_path}/called\n'
        f'[ "$2" = 1-1 ] && {{ echo "No compatible devices detected" >&2; exit 1; }}\nexit 0\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_uhubctl_is_called_for_exactly_that_port(uhubctl):
    power_cycle("18101FDF6", 3)
    assert (uhubctl / "called").read_text() == "-l 4-3.4 -p 4 -a cycle -d 3\n"


@pytest.mark.usefixtures("uhubctl")
def test_what_uhubctl_says_of_its_failure_is_told():
    with pytest.raises(
        DeviceTransientError, match="uhubctl failed: No compatible devices"
    ) as told:
        power_cycle("20100201396000000", 3)
    assert told.value.exit_code == 1


@pytest.mark.usefixtures("uhubctl")
def test_a_phone_that_uhubctl_does_not_list_is_refused():
    with pytest.raises(InputError, match="uhubctl lists no phone 'NOSUCH'"):
        power_cycle("NOSUCH", 3)


def test_without_uhubctl_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install uhubctl"):
        power_cycle("X", 3)


class Box(FakePhone):
    """Linux without ``getprop``."""

    def script(self, *_):
        return Said(f"{self.boot_id}\n")


def test_what_is_no_android_needs_no_boot_to_be_completed(clock):
    assert attempt(Box(clock)).by is Step.RECONNECT


class Linked(FakePhone):
    """Reached already; it has run for ``uptime_s``."""

    def __init__(self, clock, uptime_s=5.0, **kwargs):
        super().__init__(clock, **kwargs)
        self.uptime_s = uptime_s

    def script(self, text, timeout_s):
        if text == "cat /proc/uptime":
            return Said(f"{self.uptime_s + self.clock.now_s():.2f} 1.00\n")
        return super().script(text, timeout_s)


def test_a_phone_whose_adb_answers_is_awaited_until_it_has_booted(clock):
    await_boot("adb:X", Linked(clock, boots_until_s=20), clock=clock)
    assert 20 <= clock.now_s() < 26


def test_a_phone_that_never_boots_is_given_up_by_its_deadline(clock):
    phone = Linked(clock, boots_until_s=1e9)
    with pytest.raises(DeviceTransientError, match=r"not within 60 s: it is still booting"):
        await_boot("adb:X", phone, Recovery(boot_s=60), clock=clock)
    assert clock.now_s() <= 60


def test_a_phone_that_has_run_for_long_and_hides_whether_it_has_booted_has(clock):
    await_boot("adb:X", Linked(clock, uptime_s=3600, boots_until_s=1e9), clock=clock)
    assert clock.now_s() == 0
    await_boot("adb:X", Box(clock), clock=clock)


def test_a_phone_that_is_gone_again_while_it_boots_is_not_waited_for(clock):
    with pytest.raises(DeviceTransientError, match="did not answer"):
        await_boot("adb:X", Linked(clock, hangs=True), clock=clock)
    assert clock.now_s() <= 10
