"""adb's packets and streams, over any line that carries bytes.

One connection holds several streams; each is one service of the phone (``shell,v2,raw:…``,
``sync:``). What is received is checked against its sum, and what still arrives for a stream that
was given up is dropped. Nothing here knows what the services say.

Errors here are about the wire alone; ``devices.phone_wire`` turns them into errors of a device:

* WireLateError       the deadline passed
* WireClosedError     the other side is gone
* WireGarbledError    what came is not adb, or its sum is wrong
* ServiceRefusedError the phone has no such service
* RequestTooLongError it was not sent; nothing was started
* NotAuthorisedError  the phone has not authorised this computer
* NeedsTlsError       wireless debugging: the phone wants TLS and a pairing
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

VERSION = 0x01000000
"""The one with sums: a later one leaves them out."""

MAX_PACKET = 1 << 18
"""Bytes of a packet at most, as adb's own client of 2017 and later has it."""

_HEADER = struct.Struct("<6I")
_SIGNATURE, _PUBLIC_KEY = 2, 3
_STALE = 64
"""Packets and pieces of an earlier connection that are skipped before the phone's greeting."""


class WireError(Exception):
    """Something about the wire; see its children."""


class WireLateError(WireError):
    """The deadline passed."""


class WireClosedError(WireError):
    """The other side is gone."""


class WireGarbledError(WireError):
    """What came is not adb, or its sum is wrong."""


class ServiceRefusedError(WireError):
    """The phone has no such service, or will not give it."""


class RequestTooLongError(WireError):
    """The request exceeds what the phone takes; nothing was started."""


class NotAuthorisedError(WireError):
    """The phone has not authorised this computer."""


class NeedsTlsError(WireError):
    """The phone wants TLS and a pairing."""


class Line(Protocol):
    """Bytes to and from a phone; instants are of ``time.monotonic``."""

    def read(self, count: int, until: float) -> bytes:
        """Exactly ``count`` bytes; at a deadline nothing of what came is lost.

        Raises:
            WireLateError: At the deadline.
            WireClosedError: If the other side is gone.
        """
        ...

    def write(self, content: bytes, until: float) -> None:
        """Send all of it.

        Raises:
            WireLateError: At the deadline; how much was sent is unknown then.
            WireClosedError: If the other side is gone.
        """
        ...

    def resync(self) -> None:
        """Throw away what has arrived: pieces of an earlier connection."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Channel(Protocol):
    """Bytes to and from one service of a phone."""

    def send(self, content: bytes, until: float) -> bool:
        """Send; False, early, once the phone has said something that nobody has read."""
        ...

    def receive(self, until: float) -> bytes:
        """What came; empty at the end."""
        ...

    def close(self) -> None:
        """Be done with it."""
        ...


class Signer(Protocol):
    """One of this computer's keys."""

    def sign(self, token: bytes) -> bytes:
        """The signature of a token of 20 bytes."""
        ...

    def public_key(self) -> bytes:
        """As adb keeps it in a file."""
        ...


Keys = Callable[[], Sequence[Signer]]
"""Gives at least one key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One of adb's packets: a command of four letters, two numbers, a payload."""

    command: bytes
    arg0: int
    arg1: int
    payload: bytes = b""

    def header(self) -> bytes:
        """Its 24 bytes before the payload."""
        word = int.from_bytes(self.command, "little")
        sizes = (len(self.payload), sum(self.payload) & 0xFFFFFFFF)
        return _HEADER.pack(word, self.arg0, self.arg1, *sizes, word ^ 0xFFFFFFFF)


def read_packet(line: Line, until: float) -> Packet:
    """The next packet.

    Raises:
        WireError: At the deadline, at the end, or if it is garbled.
    """
    word, arg0, arg1, size, total, magic = _HEADER.unpack(line.read(_HEADER.size, until))
    if magic != word ^ 0xFFFFFFFF or size > MAX_PACKET:
        msg = f"a packet that is none of adb's: {word:08x} {magic:08x}, {size} bytes"
        raise WireGarbledError(msg)
    payload = line.read(size, until) if size else b""
    if sum(payload) & 0xFFFFFFFF != total:
        msg = f"a packet of {size} bytes whose sum is wrong"
        raise WireGarbledError(msg)
    return Packet(command=word.to_bytes(4, "little"), arg0=arg0, arg1=arg1, payload=payload)


def write_packet(line: Line, packet: Packet, until: float) -> None:
    """Send a packet: header and payload are transfers of their own, as USB wants it."""
    line.write(packet.header(), until)
    if packet.payload:
        line.write(packet.payload, until)


class Connection:
    """A phone that has answered, and its streams; for one thread at a time.

    Args:
        line: To the phone; closed with the connection.
        keys: Gives this computer's keys, in the order in which they are tried; not asked by a
            phone that wants none.
        until: When the phone must have answered and, if need be, its owner must have tapped.

    Raises:
        WireError: If it does not.
    """

    def __init__(self, line: Line, keys: Keys, until: float) -> None:
        self._line = line
        self._streams: dict[int, Stream] = {}
        self._given_up: set[int] = set()
        self._next_id = 1 + secrets.randbelow(1 << 24)
        greeting = _greeted(line, keys, until)
        self.banner = greeting.payload.rstrip(b"\0").decode(errors="replace")
        self.features = features_of(self.banner)
        self.max_packet = min(greeting.arg1, MAX_PACKET)

    def open(self, service: bytes, until: float) -> Stream:
        """A new stream to a service.

        Raises:
            ServiceRefusedError: If the phone has none.
            RequestTooLongError: If the phone cannot take the request.
            WireError: See there.
        """
        if len(service) >= self.max_packet:
            msg = f"a request of {len(service)} bytes; the phone takes {self.max_packet}"
            raise RequestTooLongError(msg)
        stream = Stream(self, self._next_id)
        self._streams[self._next_id] = stream
        self._next_id += 1
        self.send(b"OPEN", stream.local, 0, service + b"\0", until)
        try:
            while not stream.remote and not stream.ended:
                self.pump(until)
        except WireLateError:
            stream.close()
            raise
        if not stream.remote:
            msg = f"the phone refuses {service[:40]!r}"
            raise ServiceRefusedError(msg)
        return stream

    def send(self, command: bytes, arg0: int, arg1: int, payload: bytes, until: float) -> None:
        """Send a packet."""
        packet = Packet(command=command, arg0=arg0, arg1=arg1, payload=payload)
        write_packet(self._line, packet, until)

    def pump(self, until: float) -> None:
        """Read one packet and hand it to its stream."""
        packet = read_packet(self._line, until)
        stream = self._streams.get(packet.arg1)
        if stream is not None:
            stream.handle(packet, until)
        elif packet.command == b"OKAY" and packet.arg1 in self._given_up:
            self._given_up.discard(packet.arg1)  # it was given up before the phone had opened it
            self.send(b"CLSE", packet.arg1, packet.arg0, b"", until)
        elif packet.command in (b"CNXN", b"AUTH"):
            msg = "the phone has started its connection anew"
            raise WireClosedError(msg)

    def forget(self, stream: Stream) -> None:
        """Drop what still arrives for a stream."""
        self._streams.pop(stream.local, None)
        if not stream.remote and not stream.ended:
            self._given_up.add(stream.local)

    def close(self) -> None:
        """Let go of the phone."""
        self._line.close()


class Stream:
    """One service; a ``Channel``."""

    def __init__(self, connection: Connection, local: int) -> None:
        self._connection = connection
        self._inbox: list[bytes] = []
        self._unanswered = False
        self.local = local
        self.remote = 0
        self.ended = False

    def handle(self, packet: Packet, until: float) -> None:
        """Take in a packet that is for this stream."""
        match packet.command:
            case b"OKAY":
                self.remote = self.remote or packet.arg0
                self._unanswered = False
            case b"WRTE" if packet.arg0 == self.remote:
                self._inbox.append(packet.payload)
                self._connection.send(b"OKAY", self.local, self.remote, b"", until)
            case b"CLSE":
                self.ended = True

    def send(self, content: bytes, until: float) -> bool:
        """See ``Channel.send``; each packet waits for the answer to the one before."""
        step = self._connection.max_packet
        for start in range(0, len(content), step):
            while self._unanswered and not (self._inbox or self.ended):
                self._connection.pump(until)
            if self._inbox or self.ended:
                return False
            self._unanswered = True
            piece = content[start : start + step]
            self._connection.send(b"WRTE", self.local, self.remote, piece, until)
        return True

    def receive(self, until: float) -> bytes:
        """See ``Channel.receive``."""
        while not self._inbox and not self.ended:
            self._connection.pump(until)
        content = b"".join(self._inbox)
        self._inbox.clear()
        return content

    def close(self) -> None:
        """See ``Channel.close``; does not wait for the phone."""
        self._connection.forget(self)
        if self.remote:
            soon = time.monotonic() + 1.0
            self._connection.send(b"CLSE", self.local, self.remote, b"", soon)


def features_of(banner: str) -> frozenset[str]:
    """What a phone can do, as its greeting tells.

    >>> sorted(features_of("device::ro.product.name=x;features=shell_v2,cmd"))
    ['cmd', 'shell_v2']
    """
    for part in banner.partition("::")[2].split(";"):
        key, _, value = part.partition("=")
        if key == "features":
            return frozenset(value.split(",")) - {""}
    return frozenset()


def _greeted(line: Line, keys: Keys, until: float) -> Packet:
    """The phone's greeting, after it has been shown keys until it knows one."""
    hello = Packet(
        command=b"CNXN", arg0=VERSION, arg1=MAX_PACKET, payload=b"host::features=shell_v2,cmd\0"
    )
    write_packet(line, hello, until)
    shown: _Shown | None = None
    for _ in range(_STALE):
        packet = _answer(line, until, asked=shown is not None and shown.asked)
        match packet:
            case Packet(command=b"CNXN"):
                return packet
            case Packet(command=b"STLS"):
                msg = "the phone wants TLS"
                raise NeedsTlsError(msg)
            case Packet(command=b"AUTH", arg0=1):
                shown = shown or _Shown(keys())
                write_packet(line, shown.next(packet.payload), until)
    msg = "what answers is not a phone's adb"
    raise WireGarbledError(msg)


class _Shown:
    """Which keys a phone has been shown; the public one goes out last: it then asks its owner."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self._first = signers[0]
        self._untried = list(signers)
        self.asked = False

    def next(self, token: bytes) -> Packet:
        """What to answer to a token."""
        if self._untried:
            signature = self._untried.pop(0).sign(token)
            return Packet(command=b"AUTH", arg0=_SIGNATURE, arg1=0, payload=signature)
        if self.asked:
            msg = "the phone still does not know this computer after its key was shown"
            raise NotAuthorisedError(msg)
        self.asked = True
        public = self._first.public_key() + b"\0"
        return Packet(command=b"AUTH", arg0=_PUBLIC_KEY, arg1=0, payload=public)


def _answer(line: Line, until: float, *, asked: bool) -> Packet | None:
    """The next packet of a handshake; None for a piece of an earlier connection."""
    try:
        return read_packet(line, until)
    except WireGarbledError:
        line.resync()
        return None
    except WireLateError as error:
        if asked:
            msg = "nobody has tapped on the phone"
            raise NotAuthorisedError(msg) from error
        raise
