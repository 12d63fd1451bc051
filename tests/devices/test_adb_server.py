"""A real adb server, started by the test on a port of its own, that holds a loopback phone."""

import hashlib
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from devices.adb_server import ServerAddress, listed, local_address
from devices.device import DeviceError, DevicePermanentError, DeviceTransientError
from devices.transport import open_transport, server_phones
from workspace.errors import InputError


@pytest.fixture
def adb(tmp_path, monkeypatch, debian_adb):
    """Runs Debian's ``adb`` against a server of the test's own, which is ended by its pid."""
    port = _free_port()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    monkeypatch.delenv("ADB_SERVER_SOCKET", raising=False)
    keys = tmp_path / "user"
    keys.mkdir()
    environment = {**os.environ, "HOME": str(keys), "ADB_MDNS": "0"}
    server = subprocess.Popen(
        [debian_adb, "-P", str(port), "nodaemon", "server"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = ServerAddress(port=port)
    until = time.monotonic() + 15
    while listed(address) is None and time.monotonic() < until:
        time.sleep(0.05)

    def run(*words):
        command = [debian_adb, "-P", str(port), *words]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=30, text=True)
        return done.stdout + done.stderr

    vars(run).update(server=server, address=address)
    yield run
    server.kill()
    server.wait(10)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def held(adb, loopback_phones):
    """The serial of a loopback phone that the server holds."""
    (phone,) = loopback_phones(1)
    assert "connected to" in adb("connect", phone.serial)
    until = time.monotonic() + 10
    while (listed(adb.address) or {}).get(phone.serial) != "device" and time.monotonic() < until:
        time.sleep(0.05)
    return phone.serial


@pytest.mark.loopback
def test_a_phone_that_a_server_holds_is_reached_through_it(held, adb, tmp_path):
    assert server_phones() == {held: "device"}
    transport = open_transport("adb:test", held)
    assert type(vars(transport)["_wire"]._link).__name__ == "ServerLink"
    result = transport.script(r"printf '\000\377\r\n'; echo complaint >&2; exit 7", 5)
    assert (result.exit_code, result.stdout_bytes) == (7, b"\0\xff\r\n")
    assert result.stderr == "complaint\n"
    source = tmp_path / "model"
    source.write_bytes(os.urandom(3_000_001))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    transport.push(source, "/data/local/tmp/new/model", digest, 20)
    assert transport.pull("/data/local/tmp/new/model", 20) == source.read_bytes()
    with pytest.raises(DevicePermanentError, match="Read-only file system"):
        transport._wire.push(source, "/sys/kernel/x", 0o644, 20)
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="did not end within"):
        transport.script("(sleep 61 & sleep 62); :", 0.5)
    assert time.monotonic() - started < 2.5
    count = transport.script("grep -l 'slee[p]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l", 5)
    assert count.stdout.strip() == "0"
    transport.close()
    assert adb("get-state").strip() == "device", "the server keeps the phone"


@pytest.mark.loopback
def test_a_shell_call_through_a_server_takes_milliseconds(held):
    transport = open_transport("adb:test", held)
    times_ms = []
    for _ in range(30):
        started = time.perf_counter()
        transport.shell(["true"], 5)
        times_ms.append((time.perf_counter() - started) * 1e3)
    assert sorted(times_ms)[15] < 30, f"{sorted(times_ms)} load {os.getloadavg()}"


@pytest.mark.loopback
def test_a_server_elsewhere_is_named_after_the_serial(held, adb, monkeypatch):
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    assert server_phones() == {}
    elsewhere = open_transport("adb:test", f"{held}@{adb.address}")
    assert elsewhere.shell(["id", "-u"], 5).stdout == "2000\n"
    with pytest.raises(InputError, match=rf"has no phone 'NOSUCH'; it has {held}"):
        open_transport("adb:test", f"NOSUCH@{adb.address}")


@pytest.mark.loopback
def test_a_server_that_dies_is_a_fault_told_at_once_and_none_is_started(held, adb):
    transport = open_transport("adb:test", held)
    timer = threading.Timer(0.3, adb.server.kill)
    timer.start()
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="connection failed"):
        transport.script("sleep 61", 25)
    assert time.monotonic() - started < 3
    with pytest.raises(DeviceTransientError, match="the adb server at"):
        transport.shell(["true"], 5)
    time.sleep(0.2)
    assert listed(adb.address) is None


def test_no_server_is_started_by_asking(monkeypatch):
    port = _free_port()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    assert server_phones() == {}
    with pytest.raises(DeviceTransientError, match=f"no adb server answers at 127.0.0.1:{port}"):
        open_transport("adb:X", f"X@127.0.0.1:{port}")
    assert listed(ServerAddress(port=port)) is None


class FakeServer:
    """A fake adb server that lists what it was given and refuses everything else."""

    def __init__(self, listing):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._listing = listing.encode()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with client:
                    size = int(client.recv(4), 16)
                    if client.recv(size) == b"host:devices":
                        client.sendall(b"OKAY%04x" % len(self._listing) + self._listing)
                    else:
                        client.sendall(b"FAIL0013device unauthorized")

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("unauthorized", DevicePermanentError, "tap 'Allow USB debugging'"),
        (
            "no permissions (user in plugdev group; are your udev rules wrong?); see [http://x]",
            DevicePermanentError,
            "android-sdk-platform-tools-common.*plugdev.*replug",
        ),
        ("offline", DeviceTransientError, "its state is 'offline'"),
        ("device", DevicePermanentError, "tap 'Allow USB debugging'"),
    ],
)
def test_a_phone_that_a_server_cannot_use_says_what_to_do(monkeypatch, state, kind, words):
    server = FakeServer(f"PHONE\t{state}\n")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    try:
        with pytest.raises(DeviceError, match=words) as told:
            open_transport("adb:PHONE", "PHONE")
        assert type(told.value) is kind
    finally:
        server.close()


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "127.0.0.1:5037"),
        ({"ANDROID_ADB_SERVER_PORT": "6000"}, "127.0.0.1:6000"),
        ({"ADB_SERVER_SOCKET": "tcp:10.1.2.3:7000"}, "10.1.2.3:7000"),
        ({"ADB_SERVER_SOCKET": "tcp:7000", "ANDROID_ADB_SERVER_PORT": "1"}, "127.0.0.1:7000"),
        ({"ADB_SERVER_SOCKET": "tcp:[::1]:7000"}, "[::1]:7000"),
    ],
)
def test_the_server_is_where_adb_itself_looks_for_it(monkeypatch, variables, address):
    for name in ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_PORT", "ANDROID_ADB_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(local_address()) == address


@pytest.mark.parametrize(
    "variables",
    [{"ADB_SERVER_SOCKET": "localabstract:x"}, {"ANDROID_ADB_SERVER_PORT": "70000"}],
)
def test_an_address_that_cannot_be_used_is_quoted(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match=value):
            local_address()
