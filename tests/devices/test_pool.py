import subprocess
import sys

import pytest

from devices.device import DeviceBusyError
from devices.pool import discover, lease, open_device
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
