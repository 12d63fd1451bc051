"""Which way leads to a phone, and what is said where none does."""

import socket
import threading
from contextlib import suppress

import pytest

from devices import ways
from devices.adb_server import ServerAddress
from devices.adb_wire import Packet
from devices.device import DevicePermanentError
from devices.transport import open_transport
from workspace.errors import InputError


@pytest.fixture
def none_held(monkeypatch):
    monkeypatch.setattr(ways, "listed", lambda _: None)
    monkeypatch.setattr(ways, "attached", lambda: ())


class FakePhone:
    """A fake phone that answers everything with the same packet."""

    def __init__(self, command, arg0):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._socket.getsockname()[1]}"
        payload = b"x" * 20 if command == b"AUTH" else b""
        packet = Packet(command=command, arg0=arg0, arg1=0, payload=payload)
        self._answer = packet.header() + payload
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with suppress(OSError):
            client, _ = self._socket.accept()
            with client, client.makefile("rb") as incoming:
                while header := incoming.read(24):
                    incoming.read(int.from_bytes(header[12:16], "little"))
                    client.sendall(self._answer)

    def __enter__(self):
        return self.serial

    def __exit__(self, *_):
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.mark.usefixtures("none_held")
def test_a_phone_that_does_not_know_this_computer_says_what_to_tap(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ADB_VENDOR_KEYS", raising=False)
    words = "unlock it and tap 'Allow USB debugging'"
    with FakePhone(b"AUTH", 1) as serial, pytest.raises(DevicePermanentError, match=words):
        open_transport(f"adb:{serial}", serial)


@pytest.mark.usefixtures("none_held")
def test_a_phone_that_wants_tls_says_that_a_server_is_needed():
    words = r"wireless debugging\), which goes through an adb server: .*adb pair"
    with (
        FakePhone(b"STLS", 0x01000000) as serial,
        pytest.raises(DevicePermanentError, match=words),
    ):
        open_transport(f"adb:{serial}", serial)


def test_a_serial_of_wireless_debugging_needs_a_server(monkeypatch):
    serial = "adb-0A1B2C-x1y2z3._adb-tls-connect._tcp"
    monkeypatch.setattr(ways, "listed", lambda _: None)
    with pytest.raises(DevicePermanentError, match=r"none runs at .*adb start-server"):
        open_transport(f"adb:{serial}", serial)
    monkeypatch.setattr(ways, "listed", lambda _: {})
    with pytest.raises(DevicePermanentError, match="does not list it: pair it"):
        open_transport(f"adb:{serial}", serial)
    monkeypatch.setattr(ways, "listed", lambda _: {serial: "device"})
    monkeypatch.setattr(ways, "ServerLink", lambda server, name, _: (server, name))
    found: object = ways.way_to("adb:x", serial)(0.0)
    assert found == (ServerAddress(), serial)


@pytest.mark.usefixtures("none_held")
@pytest.mark.parametrize(
    ("serial", "place"),
    [
        ("10.0.0.2:5555", ("10.0.0.2", 5555)),
        ("phone.local:41000", ("phone.local", 41000)),
        ("[fe80::1]:5555", ("fe80::1", 5555)),
        ("emulator-5554", ("127.0.0.1", 5555)),
    ],
)
def test_an_address_is_reached_directly_where_no_server_holds_it(monkeypatch, serial, place):
    monkeypatch.setattr(ways, "TcpLine", lambda host, port, _: (host, port))
    monkeypatch.setattr(ways, "_direct", lambda line, _: line)
    assert ways.way_to("adb:x", serial)(0.0) == place


def test_what_a_server_holds_is_reached_through_it_even_if_it_has_an_address(monkeypatch):
    monkeypatch.setattr(ways, "listed", lambda _: {"10.0.0.2:5555": "device"})
    monkeypatch.setattr(ways, "ServerLink", lambda server, name, _: (str(server), name))
    near: object = ways.way_to("adb:x", "10.0.0.2:5555")(0.0)
    assert near == (str(ServerAddress()), "10.0.0.2:5555")
    far: object = ways.way_to("adb:x", "10.0.0.2:5555@desk:5037")(0.0)
    assert far == ("desk:5037", "10.0.0.2:5555")


@pytest.mark.parametrize("serial", ["PHONE@", "PHONE@desk", "PHONE@desk:x", "PHONE@desk:70000"])
def test_a_server_that_is_named_wrongly_is_quoted(serial):
    with pytest.raises(InputError, match=f"'{serial}' names no adb server"):
        open_transport(f"adb:{serial}", serial)
