"""Deadlines, faults and what they leave, against the real adbd of a loopback phone."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from devices import phone_wire
from devices.adb_lines import TcpLine
from devices.adb_wire import Connection, WireError
from devices.device import DevicePermanentError, DeviceTransientError
from devices.phone_wire import DUTIES, KILL_S, PhoneWire, kill_script, prepared
from devices.transport import Transport

pytestmark = pytest.mark.loopback

RUNNING = "grep -l 'slee[p]' /proc/[0-9]*/cmdline 2>/dev/null | wc -l"
"""How many processes the tests' commands have left."""

TREES = (
    "sleep 61",
    "(sleep 61 & sh -c 'sleep 62; :' & sleep 63; :)",
    "setsid sleep 61 & sleep 62 & exit 0",
    "env -i sleep 61 & exec env -i sleep 62",
    "trap '' HUP TERM; while :; do sleep 61 & wait; done",
)


class Relay:
    """Between a client and a phone: can stall, and hang up."""

    def __init__(self, phone):
        self._phone = phone
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets = []
        self.flowing = threading.Event()
        self.flowing.set()
        self.port = self._server.getsockname()[1]
        self._threads = []
        self._start(self._accept)

    def _start(self, target, *args):
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                phone = socket.create_connection(self._phone)
                self._sockets += [client, phone]
                for pair in ((client, phone), (phone, client)):
                    self._start(self._pump, *pair)

    def _pump(self, source, target):
        with suppress(OSError):
            while content := source.recv(1 << 16):
                self.flowing.wait()
                target.sendall(content)
        self.flowing.wait()
        self._end(source, target)  # and no connection that was made meanwhile

    def hang_up(self):
        self._end(*self._sockets)

    @staticmethod
    def _end(*sockets):
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.flowing.set()
        self.hang_up()
        for each in self._threads:
            each.join(5)
        for each in self._sockets:
            each.close()


def no_keys():
    pytest.fail("a loopback phone asks for no key")


@pytest.fixture
def wired():
    """Transports to phones that say that they have only these features; closed at the end."""
    made = []

    def make(host, port, features=None, device="adb:test"):
        def connect(until):
            line = TcpLine(host, port, until)
            try:
                connection = Connection(line, no_keys, until)
            except WireError:
                line.close()
                raise
            if features is not None:
                connection.features = features
            return connection

        made.append(Transport(device, PhoneWire(device, connect)))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def place(loopback_phones):
    """Where a phone listens."""
    (phone,) = loopback_phones(1)
    host, _, port = phone.serial.rpartition(":")
    return host, int(port)


@pytest.fixture
def phone(wired, place):
    """The phone under another name, so that what is left to do is not done by looking at it."""
    return wired(*place, device="adb:bystander")


@pytest.fixture
def relay(place):
    relay = Relay(place)
    yield relay
    relay.close()


@pytest.fixture(autouse=True)
def nothing_left_to_do():
    yield
    DUTIES.take("adb:test")


def left(transport):
    return int(transport.script(RUNNING, 10).stdout)


def gone(transport, within_s=30.0):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if left(transport) == 0:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("features", [None, frozenset()], ids=["shell v2", "exec"])
def test_stdout_stderr_and_exit_code_come_apart_byte_for_byte(wired, place, features):
    transport = wired(*place, features)
    result = transport.script(
        r"printf '\000\377\r\n\001'; echo complaint >&2; cat; (exit 7); exit $?", 5
    )
    assert result.exit_code == 7
    assert result.stdout_bytes == b"\0\xff\r\n\x01"
    assert result.stderr == "complaint\n"
    assert transport.script("kill -9 $$", 5).exit_code == 137
    assert transport.script("exit 3", 60).exit_code == 3
    assert transport.script("if", 5).exit_code == 2
    assert transport.shell(["nosuchprogram"], 5).exit_code == 127
    with pytest.raises(DeviceTransientError, match=r"did not end within 0\.5 s"):
        transport.script("echo complaint >&2; sleep 61", 0.5)
    names = transport.script("ls -a /data/local/tmp", 5).stdout
    assert names.count(".pocketnas-") == (0 if features is None else 1)  # its own, just now


@pytest.mark.parametrize("long", [False, True], ids=["short call", "long call"])
@pytest.mark.parametrize("features", [None, frozenset()], ids=["shell v2", "exec"])
def test_at_the_deadline_the_whole_tree_is_gone(wired, place, features, long, monkeypatch):
    monkeypatch.setattr(phone_wire, "BACKSTOP_FROM_S", 0.0 if long else 30.0)
    transport = wired(*place, features)
    for tree in TREES:
        started = time.monotonic()
        with pytest.raises(DeviceTransientError, match=r"within 0\.4 s, and was ended"):
            transport.script(tree, 0.4)
        assert time.monotonic() - started < 0.4 + KILL_S
        assert left(transport) == 0, tree


def test_a_stalled_connection_ends_the_call_and_the_next_one_ends_the_tree(
    wired, place, relay, phone
):
    stalled = wired("127.0.0.1", relay.port)
    timer = threading.Timer(0.3, relay.flowing.clear)
    timer.start()
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="did not end within 1 s"):
        stalled.script("sleep 61 & sleep 62", 1)
    assert time.monotonic() - started < 1 + KILL_S + 0.5
    assert left(phone) >= 2, "it still runs, and the shells around it"
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="connection failed"):
        stalled.script("true", 1)
    assert time.monotonic() - started < 1.5
    other = wired(*place)
    assert left(other) == 0, "a new connection to the same device does what was left to do"


def test_a_lost_connection_is_told_at_once_and_its_tree_ends(wired, relay, phone):
    lost = wired("127.0.0.1", relay.port)
    threading.Timer(0.3, relay.hang_up).start()
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match="connection failed"):
        lost.script("sleep 61 & sleep 62", 25)
    assert time.monotonic() - started < 3
    assert lost.shell(["true"], 5).exit_code == 0, "it connects again by itself"
    assert gone(phone)


@pytest.mark.parametrize("timeout_s", [20, 60])
def test_when_this_computer_dies_what_ran_on_the_phone_ends(place, phone, timeout_s):
    program = (
        "from devices.transport import open_transport\n"
        f"phone = open_transport('adb:x', '{place[0]}:{place[1]}')\n"
        f"phone.script('sleep 61 & sleep 62; :', {timeout_s})\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=os.getcwd())
    until = time.monotonic() + 15
    while left(phone) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert left(phone) >= 2
    child.kill()
    child.wait(10)
    assert gone(phone)


def test_the_phone_ends_a_long_call_that_nobody_else_ends(phone, monkeypatch):
    monkeypatch.setattr(phone_wire, "BACKSTOP_S", 0)
    text = prepared("(sleep 61 & sleep 62); :", "pn00", 30.0).replace("KILL 30", "KILL 1")
    assert "KILL 1" in text
    wire = phone._wire
    until = time.monotonic() + 10
    output = phone_wire._spoken(wire._link, text, "pn00", until)
    assert output.exit_code == 137
    assert left(phone) == 0


def test_only_what_carries_the_mark_is_ended(phone):
    """Neither a process that was there before, nor one that only names another mark."""
    phone.script("sleep 61 >/dev/null 2>&1 </dev/null &", 5)
    assert phone.script(kill_script("pn1234567890abcdef"), 5).exit_code == 0
    assert left(phone) == 1
    phone.script("kill $(grep -l 'slee[p]' /proc/[0-9]*/cmdline | tr -dc '0-9\\n')", 5)


def test_megabytes_of_output_are_bounded_and_said_to_be_cut(phone):
    before = _peak_kb()
    result = phone.script("head -c 100000000 /dev/zero; echo end", 30)
    assert result.exit_code == 0
    assert result.cut
    assert len(result.stdout_bytes) < (4 << 20) + 100
    assert result.stdout_bytes.endswith(b"\0end\n")
    assert _peak_kb() - before < 60_000
    phone.script("head -c 5000000 /dev/zero >/data/local/tmp/large", 9)
    with pytest.raises(DeviceTransientError, match="more than 4 MB"):
        phone.read("/data/local/tmp/large", 30)
    assert phone.pull("/data/local/tmp/large", 30) == bytes(5_000_000)


def _peak_kb():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/sys/kernel/x", "Read-only file system"),
        ("/proc/x", "No such file or directory"),
        ("/root/x", "Permission denied"),
    ],
)
def test_a_refused_push_fails_at_once_with_the_phones_words(phone, tmp_path, target, words):
    source = tmp_path / "model"
    source.write_bytes(bytes(8 << 20))
    started = time.monotonic()
    with pytest.raises(DevicePermanentError, match=words):
        phone._wire.push(source, target, 0o644, 60)
    assert time.monotonic() - started < 2
    assert phone.shell(["true"], 5).exit_code == 0


@pytest.mark.skipif(not shutil.which("nsenter"), reason="needs nsenter (util-linux)")
def test_a_disk_that_fills_up_in_mid_push_fails_with_the_phones_words(
    wired, loopback_phones, tmp_path
):
    (phone,) = loopback_phones(1)
    full = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", "/tmp"]
    subprocess.run(["nsenter", "-t", str(phone.pid), "-m", *full], check=True, timeout=10)
    host, _, port = phone.serial.rpartition(":")
    transport = wired(host, int(port))
    source = tmp_path / "model"
    source.write_bytes(bytes(8 << 20))
    started = time.monotonic()
    with pytest.raises(DevicePermanentError, match="No space left on device"):
        transport._wire.push(source, "/tmp/model", 0o644, 60)
    assert time.monotonic() - started < 3
    with pytest.raises(DevicePermanentError, match=r"[12] MB left, 8 MB are needed"):
        transport.push(source, "/tmp/model", "0" * 64, 60)
    assert transport.script("ls -A /tmp", 5).stdout == ""


@pytest.mark.parametrize("fault", ["hang up", "stall"])
def test_an_interrupted_push_leaves_nothing(wired, place, relay, phone, tmp_path, fault):
    source = tmp_path / "model"
    source.write_bytes(os.urandom(60 << 20))
    cut = wired("127.0.0.1", relay.port)
    phone.shell(["mkdir", "/data/local/tmp/models"], 5)
    strike = relay.hang_up if fault == "hang up" else relay.flowing.clear
    watch = threading.Thread(target=_strike_in_mid_push, args=(phone, strike))
    watch.start()
    with pytest.raises(DeviceTransientError):
        cut.push(source, "/data/local/tmp/models/model", "0" * 64, 2.0)
    watch.join()
    relay.close()
    again = wired(*place)
    again.shell(["true"], 5)
    assert again.script("ls -A /data/local/tmp/models", 5).stdout == ""


def _strike_in_mid_push(phone, strike):
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if phone.script("ls -A /data/local/tmp/models", 5).stdout:
            break
    strike()


def test_a_shell_call_takes_less_than_5_ms_at_the_median(phone):
    """On an idle computer 2 to 3 ms; three times the limit is allowed, for a busy one."""
    times_ms = []
    for _ in range(50):
        started = time.perf_counter()
        phone.shell(["true"], 5)
        times_ms.append((time.perf_counter() - started) * 1e3)
    median_ms = sorted(times_ms)[25]
    assert median_ms < 15, f"{median_ms:.1f} ms at the median, load {os.getloadavg()}"


def test_a_second_caller_waits_no_longer_than_its_deadline(phone):
    other = threading.Thread(target=phone.shell, args=(["sleep", "1.5"], 5))
    other.start()
    time.sleep(0.3)
    started = time.monotonic()
    with pytest.raises(DeviceTransientError, match=r"another call to it has not ended in 0\.3 s"):
        phone.shell(["true"], 0.3)
    assert time.monotonic() - started < 1
    other.join()
    assert phone.shell(["true"], 5).exit_code == 0


def test_a_script_that_no_phone_takes_is_refused_for_good(phone):
    with pytest.raises(DevicePermanentError, match="takes 262144"):
        phone.script("true " + "x" * 300_000, 5)
    assert phone.shell(["true"], 5).exit_code == 0
