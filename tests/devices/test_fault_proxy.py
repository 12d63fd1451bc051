import hashlib
import math
import socket
import struct
import threading
import time

import pytest

from devices.device import DeviceError, DeviceTransientError
from devices.fault_plan import (
    MID_ANSWER,
    MID_PUSH,
    MID_RUN,
    Direction,
    Fault,
    FaultKind,
    Plan,
    When,
    as_json,
    from_json,
    random_plan,
)
from devices.fault_proxy import FaultProxy
from workspace.errors import InputError

UP, DOWN = Direction.UP, Direction.DOWN


@pytest.fixture
def echo():
    """Where a server listens that says again whatever it hears."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(client):
        with client:
            try:
                while content := client.recv(1 << 16):
                    client.sendall(content)
            except OSError:
                return

    def listen():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    thread = threading.Thread(target=listen)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def connect(proxy):
    host, _, port = proxy.serial.partition(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client, count):
    content = b""
    while len(content) < count and (more := client.recv(count - len(content))):
        content += more
    return content


def echoed(client, content):
    client.sendall(content)
    return receive(client, len(content))


def packet(command, payload=b"", first=0):
    magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
    return struct.pack("<4s5I", command, first, 0, len(payload), sum(payload), magic) + payload


CONNECT = packet(b"CNXN", b"host::")


def fault(kind, when=None, **more):
    return Fault(kind=kind, when=when or When(), **more)


def plan(kind, when, **more):
    return Plan(faults=(fault(kind, when, **more),), seed=3)


def test_without_faults_every_byte_goes_through_whatever_it_is(echo):
    contents = [CONNECT + packet(b"WRTE", bytes(range(256)) * 1000), b"x", b"CNXNgarbage" * 9]
    with FaultProxy(echo) as proxy:
        for content in contents:
            with connect(proxy) as client:
                assert echoed(client, content) == content
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
        counters = proxy.counters
    total = sum(map(len, contents))
    assert (counters.bytes_up, counters.bytes_down) == (total, total)
    assert (counters.connections, counters.faults) == (3, ())


def test_what_follows_after_tls_began_is_left_alone(echo):
    content = packet(b"CNXN") + packet(b"STLS") + b"\x16\x03\x01 encrypted"
    with FaultProxy(echo) as proxy, connect(proxy) as client:
        assert echoed(client, content) == content


def test_several_connections_at_once_do_not_mix(echo):
    with FaultProxy(echo) as proxy:
        clients = [connect(proxy) for _ in range(8)]
        for number, client in enumerate(clients):
            client.sendall(bytes([number]) * 100_000)
        for number, client in enumerate(clients):
            assert receive(client, 100_000) == bytes([number]) * 100_000
            client.close()


@pytest.mark.parametrize("many_bytes", [1, 1000, len(CONNECT), 70_001])
def test_a_cut_comes_after_exactly_so_many_bytes(echo, many_bytes):
    content = CONNECT + packet(b"WRTE", b"a" * 60_000) * 2
    when = When(direction=UP, after_bytes=many_bytes)
    with FaultProxy(echo, plan(FaultKind.CUT, when)) as proxy, connect(proxy) as client:
        client.sendall(content)
        assert len(receive(client, len(content))) <= many_bytes
        assert proxy.counters.bytes_up == many_bytes
        (struck,) = proxy.counters.faults
    assert struck.connections == (1,)


def test_a_packet_that_matches_is_cut_in_its_midst_and_its_fault_comes_once(echo):
    when = When(direction=UP, packet=2, command="WRTE", contains="DATA")
    data, other = packet(b"WRTE", b"DATA" + b"x" * 996), packet(b"WRTE", b"SEND")
    with FaultProxy(echo, plan(FaultKind.CUT, when)) as proxy:
        with connect(proxy) as client:
            assert echoed(client, CONNECT + data + other) == CONNECT + data + other
            client.sendall(data)
            receive(client, len(data))
        assert proxy.counters.bytes_up == len(CONNECT + data + other) + len(data) // 2
        with connect(proxy) as client:
            assert echoed(client, CONNECT + data + data) == CONNECT + data + data
        assert len(proxy.counters.faults) == 1


def test_a_packet_that_matches_drops_its_connection_and_no_other(echo):
    proxy = FaultProxy(echo, plan(FaultKind.DROP, MID_PUSH))
    with proxy, connect(proxy) as other, connect(proxy) as client:
        assert echoed(other, CONNECT) == CONNECT
        client.sendall(CONNECT + packet(b"WRTE", b"DATA"))
        assert len(receive(client, 100)) <= len(CONNECT)
        assert echoed(other, CONNECT) == CONNECT
        assert len(proxy.counters.faults[0].connections) == 1


def test_a_fault_in_mid_run_comes_a_while_after_its_command(echo):
    run = packet(b"OPEN", b"shell:/data/local/tmp/benchmark_model --graph=x")
    proxy = FaultProxy(echo, plan(FaultKind.DROP, MID_RUN))
    with proxy, connect(proxy) as client:
        assert echoed(client, CONNECT + run) == CONNECT + run
        assert client.recv(1) == b""
        assert 0.3 <= proxy.counters.faults[0].at_s < 5


def test_bytes_of_a_payload_are_changed_and_no_header(echo):
    when = When(direction=DOWN, packet=2, command="WRTE")
    write = packet(b"WRTE", bytes(1000))
    with (
        FaultProxy(echo, plan(FaultKind.CORRUPT, when, flips=3)) as proxy,
        connect(proxy) as client,
    ):
        assert echoed(client, CONNECT + write) == CONNECT + write
        answer = echoed(client, write)
        assert answer[:24] == write[:24]
        assert 1 <= sum(answer[24:][at] != 0 for at in range(1000)) <= 3
        assert echoed(client, write) == write
    with (
        FaultProxy(echo, plan(FaultKind.CORRUPT, when, flips=3)) as proxy,
        connect(proxy) as client,
    ):
        echoed(client, CONNECT + write)
        assert echoed(client, write) == answer  # the same seed, the same bytes


def test_nothing_flows_during_a_stall_and_all_of_it_after(echo):
    with FaultProxy(echo) as proxy, connect(proxy) as client:
        echoed(client, b"before")
        proxy.inject(fault(FaultKind.STALL, seconds=0.4))
        begin = time.monotonic()
        assert echoed(client, b"after" * 1000) == b"after" * 1000
        assert time.monotonic() - begin >= 0.4
        assert proxy.counters.faults[0].connections == (1,)


def test_a_stall_for_ever_leaves_later_connections_alone(echo):
    with FaultProxy(echo) as proxy:
        with connect(proxy) as client:
            echoed(client, b"before")
            proxy.inject(fault(FaultKind.STALL))
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                echoed(client, b"after")
        with connect(proxy) as client:
            assert echoed(client, b"again") == b"again"


def test_a_stalled_connection_ends_when_its_client_goes(echo):
    with FaultProxy(echo) as proxy:
        client = connect(proxy)
        echoed(client, b"before")
        proxy.inject(fault(FaultKind.STALL))
        client.sendall(b"x" * 100)
        client.close()
        deadline = time.monotonic() + 5
        while proxy.open_connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert proxy.open_connections == 0


def test_each_packet_is_late_during_a_delay(echo):
    with FaultProxy(echo) as proxy, connect(proxy) as client:
        echoed(client, b"before")
        proxy.inject(fault(FaultKind.DELAY, late_ms=100, seconds=0.5))
        begin = time.monotonic()
        echoed(client, b"x")
        assert time.monotonic() - begin >= 0.2  # there and back
        time.sleep(0.5)
        begin = time.monotonic()
        echoed(client, b"x")
        assert time.monotonic() - begin < 0.1


def test_a_fault_comes_at_its_time_though_nothing_flows(echo):
    with FaultProxy(echo, plan(FaultKind.DROP, When(after_s=0.2))) as proxy:
        with connect(proxy) as client:
            begin = time.monotonic()
            assert client.recv(1) == b""
            assert 0.1 < time.monotonic() - begin < 5
        with connect(proxy) as client:
            assert echoed(client, b"again") == b"again"


def test_an_unplugged_phone_refuses_from_then_on(echo):
    with FaultProxy(echo) as proxy, connect(proxy) as client:
        echoed(client, b"before")
        proxy.inject(fault(FaultKind.UNPLUG))
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)


def test_a_key_that_is_not_known_is_asked_for_signatures_for_ever(echo):
    with FaultProxy(echo, plan(FaultKind.UNAUTHORIZE, When())) as proxy:
        while not proxy.counters.faults:
            time.sleep(0.01)
        with connect(proxy) as client:
            for question in (CONNECT, packet(b"AUTH", b"s" * 256, first=2)):
                client.sendall(question)
                answer = receive(client, 44)
                command, kind, _, length, checksum, _ = struct.unpack("<4s5I", answer[:24])
                assert (command, kind, length) == (b"AUTH", 1, 20)
                assert checksum == sum(answer[24:])
            client.sendall(packet(b"AUTH", b"a public key", first=3))
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)


def test_a_rate_holds_over_both_directions(echo):
    with FaultProxy(echo, rate_bytes_per_s=10e6) as proxy, connect(proxy) as client:
        begin = time.monotonic()
        assert len(echoed(client, bytes(2_000_000))) == 2_000_000
        assert 0.35 < time.monotonic() - begin < 0.7


def test_an_end_closes_what_is_open(echo):
    with FaultProxy(echo) as proxy:
        client = connect(proxy)
        echoed(client, b"x")
    with client:
        assert client.recv(1) == b""
    assert not [thread for thread in threading.enumerate() if thread.name == "fault-proxy"]


@pytest.mark.parametrize("target", ["", "phone", "phone:", ":5555", "phone:adb"])
def test_a_target_that_is_no_address_is_refused(target):
    with pytest.raises(InputError, match="HOST:PORT"):
        FaultProxy(target)


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="positive number of bytes a second, got 0"):
        FaultProxy("127.0.0.1:1", rate_bytes_per_s=0)


def test_a_random_plan_follows_from_its_seed_and_keeps_its_rate():
    first, again, other = (random_plan(seed, 30, duration_s=3600) for seed in (1, 1, 2))
    assert first == again != other
    # Poisson with mean 1800: outside of 5 standard deviations one time in 2 million.
    assert abs(len(first.faults) - 1800) < 5 * math.sqrt(1800)
    kinds = {each.kind for each in first.faults}
    assert kinds == {"drop", "stall", "delay", "corrupt", "cut"}
    assert {each.when.contains for each in first.faults} == {"", "DATA", "benchmark_model"}


@pytest.mark.parametrize(
    ("rate", "kinds", "duration_s"),
    [(0, [FaultKind.DROP], 1), (1, [], 1), (1, [FaultKind.DROP], math.inf)],
)
def test_a_random_plan_of_nothing_or_without_end_is_refused(rate, kinds, duration_s):
    with pytest.raises(InputError, match="a random plan needs"):
        random_plan(1, rate, kinds, duration_s=duration_s)


def test_a_plan_is_read_as_it_was_written():
    everything = tuple(fault(kind, MID_PUSH, seconds=2.5) for kind in FaultKind)
    written = Plan(faults=(*everything, fault(FaultKind.STALL, MID_ANSWER)), seed=9)
    assert from_json(as_json(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1, "more": 1}',
        '{"version": 1, "faults": [{"kind": "melt"}]}',
        '{"version": 1, "faults": [{"kind": "drop", "when": {"packet": -1}}]}',
        '{"version": 1, "faults": [{"kind": "drop", "when": {"contains": "DATA"}}]}',
        '{"version": 1, "faults": [{"kind": "drop", "when": {"after_s": "soon"}}]}',
        '{"version": 1, "faults": [{"kind": "stall", "seconds": 0}]}',
    ],
)
def test_a_text_that_is_no_plan_is_refused(text):
    with pytest.raises(InputError, match=r"fault|plan"):
        from_json(text)


@pytest.mark.loopback
class TestBeforeARealAdbd:
    """Faults between this project's own client and a loopback phone."""

    def transport(self, proxy, connect_s=10.0):
        from devices.transport import open_transport

        return open_transport(f"adb:{proxy.serial}", proxy.serial, connect_s=connect_s)

    def push(self, transport, tmp_path, size=2_000_000):
        path = tmp_path / "model"
        path.write_bytes(bytes(range(256)) * (size // 256))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        transport.push(path, "/data/local/tmp/model", sha256, 20)
        return sha256

    def test_commands_and_files_go_through(self, loopback_phones, tmp_path):
        (phone,) = loopback_phones(1)
        with FaultProxy(phone.serial, random_plan(1, 1e-6)) as proxy:
            transport = self.transport(proxy)
            assert transport.shell(["echo", "hello"], 10).stdout == "hello\n"
            sha256 = self.push(transport, tmp_path)
            assert transport.sha256("/data/local/tmp/model", 10) == sha256
            assert proxy.counters.bytes_up > 2_000_000
            transport.close()

    @pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.CUT, FaultKind.CORRUPT])
    def test_a_fault_in_mid_push_leaves_no_file_and_the_next_push_is_whole(
        self, loopback_phones, tmp_path, kind
    ):
        (phone,) = loopback_phones(1)
        with FaultProxy(phone.serial, plan(kind, MID_PUSH, flips=8)) as proxy:
            transport = self.transport(proxy)
            with pytest.raises(DeviceTransientError):
                self.push(transport, tmp_path)
            assert [struck.fault.kind for struck in proxy.counters.faults] == [kind]
            transport.close()
            transport = self.transport(proxy)
            assert transport.sha256("/data/local/tmp/model", 10) == ""
            sha256 = self.push(transport, tmp_path)
            assert transport.sha256("/data/local/tmp/model", 10) == sha256
            transport.close()

    def test_a_key_that_is_not_known_is_an_error_soon(self, loopback_phones):
        (phone,) = loopback_phones(1)
        with FaultProxy(phone.serial) as proxy:
            proxy.inject(fault(FaultKind.UNAUTHORIZE))
            begin = time.monotonic()
            with pytest.raises(DeviceError, match="Allow USB debugging"):
                self.transport(proxy, connect_s=1.0)
            assert time.monotonic() - begin < 5
