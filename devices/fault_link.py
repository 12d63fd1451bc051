"""One connection through a proxy: adb's packets, as far as they are told apart, and their pace."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader

from devices.fault_plan import Direction

BURST_S = 0.005
"""What a rate may make up for at once: waits end late."""

LOOK_S = 0.01
"""Between two looks of a connection that is held at whether it is still there."""

_HEADER = struct.Struct("<4s5I")
_MASK = 0xFFFFFFFF
_LARGEST = 1 << 24
_BUFFER = 1 << 18
_COMMANDS = (b"CNXN", b"AUTH", b"STLS", b"OPEN", b"OKAY", b"CLSE", b"WRTE", b"SYNC")
_TOKEN, _PUBLIC_KEY = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What is forwarded as one; ``command`` is empty where it is not adb's."""

    command: bytes
    content: bytes
    header_bytes: int


def packets(source: socket.socket) -> Iterator[Packet]:
    """What comes from ``source``: adb's packets whole, anything else piece by piece.

    Raises:
        OSError: If the connection breaks.
    """
    with BufferedReader(source.makefile("rb", buffering=0), _BUFFER) as stream:
        first = stream.peek(4)[:4]
        is_adb = bool(first) and any(command.startswith(first) for command in _COMMANDS)
        while is_adb and (packet := _adb_packet(stream)) is not None:
            yield packet
            # From STLS on it is encrypted; without a header it is something else, or cut off.
            is_adb = bool(packet.command) and packet.command != b"STLS"
        while piece := stream.read1(_BUFFER):
            yield Packet(command=b"", content=piece, header_bytes=0)


def _adb_packet(stream: BufferedIOBase) -> Packet | None:
    """The next packet; without a command if it is not adb's; None at the end."""
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return Packet(command=b"", content=header, header_bytes=0) if header else None
    command, _, _, length, _, magic = _HEADER.unpack(header)
    if magic != int.from_bytes(command, "little") ^ _MASK or length > _LARGEST:
        return Packet(command=b"", content=header, header_bytes=0)
    payload = stream.read(length) if length else b""
    return Packet(command=command, content=header + payload, header_bytes=_HEADER.size)


class Link:
    """A client and the phone.

    Args:
        number: 1 is the proxy's first.
        client: Connected.
        phone: Connected.
    """

    def __init__(self, number: int, client: socket.socket, phone: socket.socket) -> None:
        self.number = number
        self.is_open = True
        self._sockets = {Direction.UP: client, Direction.DOWN: phone}
        self._held_until_s = 0.0
        self._late_s = 0.0
        self._late_until_s = 0.0
        for each in self._sockets.values():
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def source(self, direction: Direction) -> socket.socket:
        """Where bytes come from that go that way."""
        return self._sockets[direction]

    def sink(self, direction: Direction) -> socket.socket:
        """Where they go."""
        other = Direction.DOWN if direction is Direction.UP else Direction.UP
        return self._sockets[other]

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self._held_until_s = max(self._held_until_s, time.monotonic() + seconds)

    def delay(self, late_s: float, seconds: float) -> None:
        """Let each packet wait for ``late_s``, for so long."""
        self._late_s, self._late_until_s = late_s, time.monotonic() + seconds

    def wait_while_held(self, direction: Direction) -> None:
        """Return once packets may flow.

        Raises:
            ConnectionError: If either end has gone meanwhile.
        """
        if time.monotonic() < self._late_until_s:
            time.sleep(self._late_s)
        while self.is_open and (left_s := self._held_until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, LOOK_S))
            if any(_has_hung_up(each) for each in self._sockets.values()):
                break
        else:
            if self.is_open:
                return
        msg = f"the connection ended while its packets {direction} waited"
        raise ConnectionError(msg)

    def half_close(self, direction: Direction) -> None:
        """No more will come that way."""
        with suppress(OSError):
            self.sink(direction).shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it; both pumps wake up."""
        self.is_open = False
        for each in self._sockets.values():
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Rate:
    """A token bucket.

    Args:
        bytes_per_s: How fast it fills.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_s = 0.0

    def wait(self, count: int) -> None:
        """Return once ``count`` more bytes may have passed."""
        with self._lock:
            now_s = time.monotonic()
            self._free_s = max(self._free_s, now_s - BURST_S) + count / self._bytes_per_s
            left_s = self._free_s - now_s
        time.sleep(max(0.0, left_s))


def refuse_key(client: socket.socket, rng: random.Random) -> None:
    """Answer like a phone that knows none of the client's keys, and nobody taps on it.

    It asks for a signature again and again; to a new public key it says nothing.
    """
    for packet in packets(client):
        _, kind, *_ = _HEADER.unpack_from(packet.content.ljust(_HEADER.size, b"\0"))
        if packet.command == b"CNXN" or (packet.command == b"AUTH" and kind != _PUBLIC_KEY):
            token = rng.randbytes(20)
            magic = int.from_bytes(b"AUTH", "little") ^ _MASK
            header = _HEADER.pack(b"AUTH", _TOKEN, 0, len(token), sum(token), magic)
            client.sendall(header + token)


def _has_hung_up(end: socket.socket) -> bool:
    """Whether the other side sends no more; what it sent may still be waiting here."""
    poll = select.poll()
    gone = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
    try:
        poll.register(end, gone)
    except ValueError:  # closed here
        return True
    return any(event & (gone | select.POLLNVAL) for _, event in poll.poll(0))
