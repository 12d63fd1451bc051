"""A TCP proxy between a client and a phone's real adbd, in which things go wrong as planned.

For tests, yours as well::

    plan = Plan(faults=(Fault(kind=FaultKind.CUT, when=MID_PUSH),))
    with FaultProxy(phone.serial, plan, rate_bytes_per_s=30e6) as proxy:
        device = open_device(f"adb:{proxy.serial}")
        ...
        assert proxy.counters.faults

It reads the headers of adb's packets, as far as it must to tell them apart; what is not adb, and
what is encrypted, goes through as it comes, each piece counting as a packet.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from devices.fault_link import Link, Packet, Rate, packets, refuse_key
from devices.fault_plan import Direction, Fault, FaultKind, Plan, Schedule, When
from workspace.errors import InputError

TICK_S = 0.01
"""Between two looks at faults that are due."""

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault that was injected.

    Attributes:
        at_s: After the proxy's start.
        fault: Which.
        connections: Numbers of the connections it hit, 1 is the first; none if none was open.
    """

    at_s: float
    fault: Fault
    connections: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What went through, and what went wrong.

    Attributes:
        bytes_up: Forwarded to the phone.
        bytes_down: Forwarded from the phone.
        connections: Accepted.
        faults: In order.
    """

    bytes_up: int
    bytes_down: int
    connections: int
    faults: tuple[Struck, ...]


class FaultProxy:
    """Listens on a free port of 127.0.0.1; use it with ``with``.

    Args:
        target: The phone's adbd as ``HOST:PORT``.
        plan: What goes wrong; more can be added with ``inject``.
        rate_bytes_per_s: Limit over both directions and all connections, e.g. 30e6 for USB 2;
            None for none.

    Raises:
        InputError: If ``target`` is not of that form, or the rate not positive.
    """

    def __init__(
        self, target: str, plan: Plan | None = None, rate_bytes_per_s: float | None = None
    ) -> None:
        host, colon, port = target.rpartition(":")
        if not (colon and host and port.isdigit()):
            msg = f"a proxy's target must be HOST:PORT, got {target!r}"
            raise InputError(msg)
        if rate_bytes_per_s is not None and not rate_bytes_per_s > 0:
            msg = f"a rate must be a positive number of bytes a second, got {rate_bytes_per_s!r}"
            raise InputError(msg)
        self._target = (host, int(port))
        plan = plan or Plan()
        self._schedule = Schedule(plan)
        self._rng = random.Random(f"corrupt/{plan.seed}")
        self._rate = Rate(rate_bytes_per_s) if rate_bytes_per_s else None
        self._lock = threading.Lock()
        self._links: list[Link] = []
        self._refused: list[socket.socket] = []
        self._bytes = dict.fromkeys(Direction, 0)
        self._connections = 0
        self._struck: list[Struck] = []
        self._to_corrupt: list[Fault] = []
        self._authorized = True
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._serving: list[threading.Thread] = []
        self.serial = f"127.0.0.1:{self._listener.getsockname()[1]}"
        """As adb names it."""

    def __enter__(self) -> Self:
        self._schedule.start()
        for work in (self._accept, self._tick):
            thread = threading.Thread(target=work, name="fault-proxy", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def counters(self) -> Counters:
        """Until now."""
        with self._lock:
            return Counters(
                bytes_up=self._bytes[Direction.UP],
                bytes_down=self._bytes[Direction.DOWN],
                connections=self._connections,
                faults=tuple(self._struck),
            )

    @property
    def open_connections(self) -> int:
        """Now."""
        with self._lock:
            return sum(link.is_open for link in self._links)

    def inject(self, fault: Fault) -> None:
        """Let it strike now, whatever its ``when`` says; ``corrupt`` waits for a payload."""
        self._strike(fault, None)

    def close(self) -> None:
        """End every connection and listen no more."""
        self._ended.set()
        self._stop_listening()
        self._close_links()
        for thread in (*self._threads, *self._serving):
            thread.join(timeout=5)

    def _forward(self, link: Link, direction: Direction, packet: Packet) -> None:
        """Send a packet on, or what faults leave of it.

        Raises:
            OSError: If the connection is or was ended.
        """
        content = packet.content
        flowed = dict(self._bytes)
        for fault in self._schedule.at_packet(direction, packet.command, content, flowed):
            if fault.kind is FaultKind.CUT:
                self._send(
                    link, direction, content[: _kept(fault.when, direction, flowed, content)]
                )
            self._strike(fault, link)
        link.wait_while_held(direction)
        self._send(link, direction, self._corrupted(direction, packet))

    def _send(self, link: Link, direction: Direction, content: bytes) -> None:
        sink = link.sink(direction)
        pieces: Iterator[bytes | memoryview] = iter((content,))
        if self._rate is not None:
            view = memoryview(content)
            pieces = (view[at : at + _PIECE] for at in range(0, len(view), _PIECE))
        for piece in pieces:
            if self._rate is not None:
                self._rate.wait(len(piece))
            sink.sendall(piece)
            with self._lock:
                self._bytes[direction] += len(piece)

    def _corrupted(self, direction: Direction, packet: Packet) -> bytes:
        """The packet's bytes, changed if a fault waits for a payload in that direction."""
        payload_bytes = len(packet.content) - packet.header_bytes
        if not self._to_corrupt or payload_bytes == 0:
            return packet.content
        with self._lock:
            hits = [each for each in self._to_corrupt if each.when.direction in (None, direction)]
            self._to_corrupt = [each for each in self._to_corrupt if each not in hits]
            changed = bytearray(packet.content)
            for fault in hits:
                for _ in range(fault.flips):
                    at = packet.header_bytes + self._rng.randrange(payload_bytes)
                    changed[at] ^= self._rng.randrange(1, 256)
        return bytes(changed)

    def _strike(self, fault: Fault, hit: Link | None) -> None:
        """Let ``fault`` happen to one connection, or to all that are open."""
        with self._lock:
            links = [hit] if hit is not None else [each for each in self._links if each.is_open]
            if fault.kind in (FaultKind.UNPLUG, FaultKind.UNAUTHORIZE):
                links = [each for each in self._links if each.is_open]
            numbers = tuple(each.number for each in links)
            at_s = self._schedule.elapsed_s
            self._struck.append(Struck(at_s=at_s, fault=fault, connections=numbers))
        match fault.kind:
            case FaultKind.STALL:
                for link in links:
                    link.hold(fault.seconds)
                return
            case FaultKind.DELAY:
                for link in links:
                    link.delay(fault.late_ms / 1000, fault.seconds)
                return
            case FaultKind.CORRUPT:
                with self._lock:
                    self._to_corrupt.append(fault)
                return
            case FaultKind.UNPLUG:
                self._stop_listening()
            case FaultKind.UNAUTHORIZE:
                self._authorized = False
            case FaultKind.DROP | FaultKind.CUT:
                pass
        for link in links:
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(
                target=self._serve, args=(client,), name="fault-proxy", daemon=True
            )
            thread.start()
            self._serving = [each for each in self._serving if each.is_alive()] + [thread]

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._connections += 1
            number = self._connections
            if not self._authorized:
                self._refused.append(client)
        if not self._authorized:
            with client, suppress(OSError):
                refuse_key(client, self._rng)
            return
        try:
            phone = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.close()
            return
        link = Link(number, client, phone)
        with self._lock:
            self._links = [each for each in self._links if each.is_open]
            self._links.append(link)
        if self._ended.is_set():
            link.close()
        other = threading.Thread(
            target=self._pump, args=(link, Direction.DOWN), name="fault-proxy", daemon=True
        )
        other.start()
        self._pump(link, Direction.UP)
        other.join()
        client.close()
        phone.close()

    def _pump(self, link: Link, direction: Direction) -> None:
        try:
            for packet in packets(link.source(direction)):
                self._forward(link, direction, packet)
        except OSError:
            link.close()
        else:
            link.half_close(direction)

    def _tick(self) -> None:
        while not self._ended.wait(TICK_S):
            with self._lock:
                flowed = dict(self._bytes)
            for fault in self._schedule.without_packet(flowed):
                self._strike(fault, None)

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _close_links(self) -> None:
        with self._lock:
            links, refused = list(self._links), list(self._refused)
        for link in links:
            link.close()
        for client in refused:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _kept(
    when: When, direction: Direction, flowed: Mapping[Direction, int], content: bytes
) -> int:
    """How much of a packet goes through before the cut."""
    if when.packet or not when.after_bytes:
        return len(content) // 2
    before = flowed[direction] if when.direction else sum(flowed.values())
    return when.after_bytes - before
