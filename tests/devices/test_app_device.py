from contextlib import suppress

from devices.adb import AdbDevice
from devices.app_device import AppDevice
from devices.device import DeviceTransientError
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport


def answer(command):
    """A fake phone that has the app, and has booted."""
    said = {
        "pm path": "package:/data/app/base.apk\n",
        "sha256sum": f"{'ab' * 32}  base.apk\n",
        "getprop sys.boot_completed": "1\nboot\n",
    }
    found = [text for begin, text in said.items() if command.startswith(begin)]
    return ShellResult(exit_code=0, stdout=found[0] if found else "", stderr="")


def test_the_app_is_asked_over_the_connection_that_there_is_after_a_fault(monkeypatch):
    wires = [FakeWire(answer), FakeWire(answer)]
    left = list(wires)
    monkeypatch.setattr(
        "devices.adb.open_transport", lambda device, _: Transport(device, left.pop(0))
    )
    phone = AdbDevice("FAKE")
    app = AppDevice(phone)
    id_, msg = phone.id, "the cable was pulled"
    with suppress(DeviceTransientError), phone.letting_go():
        raise DeviceTransientError(id_, msg)
    assert app._app.info().sha256 == "ab" * 32
    assert wires[0].closed
    assert wires[0].scripts == []
    assert any(script.startswith("pm path") for script in wires[1].scripts)
