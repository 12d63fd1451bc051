"""The wire against a phone that is a list of bytes: what it sends is written down beforehand."""

import random
import time

import pytest

from devices.adb_wire import (
    Connection,
    NeedsTlsError,
    NotAuthorisedError,
    Packet,
    RequestTooLongError,
    ServiceRefusedError,
    WireClosedError,
    WireGarbledError,
    WireLateError,
    features_of,
    read_packet,
)

BANNER = b"device::ro.product.name=x;ro.product.model=y;features=shell_v2,cmd\0"


def packet(command, arg0=0, arg1=0, payload=b""):
    return Packet(command=command, arg0=arg0, arg1=arg1, payload=payload)


def raw(sent):
    return sent.header() + sent.payload


class FakeLine:
    """A fake line: ``answer`` gives what the phone sends after each whole packet it was sent."""

    def __init__(self, answer, arrived=b""):
        self.arrived = bytearray(arrived)
        self.sent = []
        self.closed = False
        self._answer = answer
        self._written = bytearray()

    def read(self, count, until):  # noqa: ARG002 - the protocol's
        if len(self.arrived) < count:
            raise WireLateError
        content = bytes(self.arrived[:count])
        del self.arrived[:count]
        return content

    def write(self, content, until):  # noqa: ARG002
        self._written += content
        size = int.from_bytes(self._written[12:16], "little")
        if len(self._written) == 24 + size:
            whole, self._written = bytes(self._written), bytearray()
            first, second = (int.from_bytes(whole[at : at + 4], "little") for at in (4, 8))
            received = packet(whole[:4], first, second, whole[24:])
            self.sent.append(received)
            for reply in self._answer(received):
                self.arrived += raw(reply)

    def resync(self):
        self.arrived.clear()

    def close(self):
        self.closed = True


class FakePhone:
    """A fake phone that opens every stream as its number 7 and then sends what it was given."""

    def __init__(self, *after_open):
        self.after_open = after_open

    def __call__(self, received):
        if received.command == b"CNXN":
            return [packet(b"CNXN", 0x01000001, 1 << 20, BANNER)]
        if received.command == b"OPEN":
            local = received.arg0
            return [make(local) for make in (lambda at: packet(b"OKAY", 7, at), *self.after_open)]
        return []


class FakeKey:
    def __init__(self, name):
        self.name = name

    def sign(self, token):
        return self.name + b" signs " + token

    def public_key(self):
        return self.name + b".pub"


def no_keys():
    pytest.fail("a phone that asks for no key was shown one")


def soon():
    return time.monotonic() + 5


def connected(*after_open):
    line = FakeLine(FakePhone(*after_open))
    return line, Connection(line, no_keys, soon())


def test_the_greeting_tells_what_the_phone_can_do():
    _, connection = connected()
    assert connection.features == {"shell_v2", "cmd"}
    assert connection.max_packet == 1 << 18
    assert features_of("device::ro.product.model=features=none") == frozenset()
    assert features_of("device::") == frozenset()


def test_a_stream_gives_what_the_phone_writes_and_answers_each_packet():
    line, connection = connected(
        lambda at: packet(b"WRTE", 7, at, b"one "),
        lambda at: packet(b"WRTE", 7, at, b"two"),
        lambda at: packet(b"CLSE", 7, at),
    )
    stream = connection.open(b"shell:x", soon())
    content = b""
    while piece := stream.receive(soon()):
        content += piece
    assert content == b"one two"
    assert [sent.command for sent in line.sent] == [b"CNXN", b"OPEN", b"OKAY", b"OKAY"]
    assert line.sent[1].payload == b"shell:x\0"


def test_a_packet_whose_sum_is_wrong_is_noticed():
    good = raw(packet(b"WRTE", 7, 1, b"weights"))
    for at in range(24, len(good)):
        changed = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(WireGarbledError, match="whose sum is wrong"):
            read_packet(FakeLine(lambda _: (), changed), soon())


def test_a_header_that_is_none_of_adbs_is_noticed():
    good = bytearray(raw(packet(b"OKAY", 7, 1)))
    good[20] ^= 0x80
    with pytest.raises(WireGarbledError, match="none of adb's"):
        read_packet(FakeLine(lambda _: (), bytes(good)), soon())
    huge = (
        packet(b"WRTE").header()[:12]
        + (1 << 30).to_bytes(4, "little")
        + packet(b"WRTE").header()[16:]
    )
    with pytest.raises(WireGarbledError, match="1073741824 bytes"):
        read_packet(FakeLine(lambda _: (), huge), soon())


def test_packets_of_dead_streams_are_dropped():
    line, connection = connected(
        lambda at: packet(b"WRTE", 7, at + 1000, b"of another connection"),
        lambda at: packet(b"CLSE", 9, at - 1),
        lambda at: packet(b"OKAY", 9, at + 5),
        lambda at: packet(b"WRTE", 7, at, b"mine"),
    )
    first = connection.open(b"shell:a", soon())
    assert first.receive(soon()) == b"mine"
    first.close()
    line.arrived += raw(packet(b"WRTE", 7, first.local, b"late")) + raw(
        packet(b"CLSE", 7, first.local)
    )
    second = connection.open(b"shell:b", soon())
    assert second.receive(soon()) == b"mine"
    assert second.local != first.local


def test_a_stream_that_opens_after_it_was_given_up_is_closed():
    line = FakeLine(lambda sent: [packet(b"CNXN", 1, 4096, BANNER)] * (sent.command == b"CNXN"))
    connection = Connection(line, no_keys, soon())
    with pytest.raises(WireLateError):
        connection.open(b"shell:a", soon())
    local = line.sent[-1].arg0
    line.arrived += raw(packet(b"OKAY", 33, local))
    connection.pump(soon())
    assert line.sent[-1] == packet(b"CLSE", local, 33)


def test_a_refused_service_and_a_request_too_long_are_told_apart():
    line = FakeLine(
        lambda sent: {
            b"CNXN": [packet(b"CNXN", 1, 4096, BANNER)],
            b"OPEN": [packet(b"CLSE", 0, sent.arg0)],
        }.get(sent.command, [])
    )
    connection = Connection(line, no_keys, soon())
    with pytest.raises(ServiceRefusedError, match="refuses b'nosuch:'"):
        connection.open(b"nosuch:", soon())
    with pytest.raises(RequestTooLongError, match="takes 4096"):
        connection.open(b"x" * 5000, soon())


def test_sending_stops_as_soon_as_the_phone_says_something():
    line, connection = connected(lambda at: packet(b"WRTE", 7, at, b"FAIL"))
    stream = connection.open(b"sync:", soon())
    assert stream.send(b"a", soon())
    assert not stream.send(b"b", soon())
    assert b"".join(sent.payload for sent in line.sent if sent.command == b"WRTE") == b"a"
    assert stream.receive(soon()) == b"FAIL"


def test_each_packet_waits_for_the_answer_to_the_one_before():
    line, connection = connected()
    stream = connection.open(b"sync:", soon())
    assert stream.send(b"first", soon())
    with pytest.raises(WireLateError):
        stream.send(b"second", soon())
    line.arrived += raw(packet(b"OKAY", 7, stream.local))
    assert stream.send(b"second", soon())


def test_a_phone_that_starts_anew_ends_every_stream():
    line, connection = connected(lambda _: packet(b"CNXN", 1, 4096, BANNER))
    stream = connection.open(b"shell:a", soon())
    with pytest.raises(WireClosedError, match="started its connection anew"):
        stream.receive(soon())
    assert not line.closed


def test_keys_are_shown_one_after_the_other_and_the_public_one_last():
    known = iter([False, False, True])

    def answer(sent):
        if sent.command == b"CNXN" or not next(known):
            return [packet(b"AUTH", 1, 0, b"token")]
        return [packet(b"CNXN", 1, 4096, BANNER)]

    line = FakeLine(answer)
    Connection(line, lambda: [FakeKey(b"k1"), FakeKey(b"k2")], soon())
    assert [(sent.arg0, sent.payload) for sent in line.sent[1:]] == [
        (2, b"k1 signs token"),
        (2, b"k2 signs token"),
        (3, b"k1.pub\0"),
    ]


def test_a_phone_that_nobody_taps_on_is_not_authorised():
    def silent(sent):
        return [packet(b"AUTH", 1, 0, b"token")] * (sent.arg0 != 3)

    def looping(_):
        return [packet(b"AUTH", 1, 0, b"token")]

    for answer in (silent, looping):
        with pytest.raises(NotAuthorisedError):
            Connection(FakeLine(answer), lambda: [FakeKey(b"k")], soon())


def test_a_phone_that_is_late_before_it_asked_anybody_is_late():
    with pytest.raises(WireLateError):
        Connection(FakeLine(lambda _: ()), no_keys, soon())


def test_a_phone_that_wants_tls_is_told():
    with pytest.raises(NeedsTlsError):
        Connection(FakeLine(lambda _: [packet(b"STLS", 0x01000000)]), no_keys, soon())


def test_what_an_earlier_connection_left_is_skipped_before_the_greeting():
    class Stale(FakeLine):
        def resync(self):  # what came before is a transfer of its own; the greeting is not
            del self.arrived[: self.arrived.index(b"CNXN")]

    stale = raw(packet(b"OKAY", 7, 1)) + raw(packet(b"WRTE", 7, 1, b"old")) + b"\xff" * 24
    line = Stale(FakePhone(), stale)
    assert Connection(line, no_keys, soon()).features == {"shell_v2", "cmd"}


def test_noise_is_no_phone():
    noise = random.Random(3).randbytes(1 << 14)

    class Noisy(FakeLine):
        def resync(self):
            """The noise goes on."""

    with pytest.raises(WireGarbledError, match="not a phone's adb"):
        Connection(Noisy(lambda _: (), noise), no_keys, soon())
