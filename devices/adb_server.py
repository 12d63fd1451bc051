"""A running adb server: its phones, and streams to their services.

None is ever started, ended or upgraded: nothing here calls the ``adb`` program. (adbutils does,
when a server does not answer, and takes 0.3 s to import, so the few bytes of the server's own
protocol are written here.)
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from devices.adb_wire import (
    NotAuthorisedError,
    RequestTooLongError,
    ServiceRefusedError,
    WireClosedError,
    WireError,
    WireGarbledError,
    WireLateError,
)
from workspace.errors import InputError

PORT = 5037
"""Where an adb server listens, if nobody says otherwise."""

_READ = 1 << 16
_LIST_S = 2.0
_LONGEST = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where an adb server listens."""

    host: str = "127.0.0.1"
    port: int = PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def local_address() -> ServerAddress:
    """Of this computer's server, as adb itself finds it in the environment.

    Raises:
        InputError: If ``ADB_SERVER_SOCKET`` or ``ANDROID_ADB_SERVER_PORT`` cannot be used.
    """
    spec = os.environ.get("ADB_SERVER_SOCKET", "")
    if spec:
        kind, _, rest = spec.partition(":")
        host, _, port = rest.rpartition(":")
        if kind != "tcp" or not _is_port(port):
            msg = f"ADB_SERVER_SOCKET={spec!r} cannot be used; tcp:HOST:PORT can"
            raise InputError(msg)
        return ServerAddress(host=host.strip("[]") or "127.0.0.1", port=int(port))
    port = os.environ.get("ANDROID_ADB_SERVER_PORT") or str(PORT)
    if not _is_port(port):
        msg = f"ANDROID_ADB_SERVER_PORT={port!r} is no port; e.g. {PORT} is"
        raise InputError(msg)
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or "127.0.0.1"
    return ServerAddress(host=host, port=int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16


def listed(address: ServerAddress, timeout_s: float = _LIST_S) -> dict[str, str] | None:
    """Serial and state (``device``, ``unauthorized``, …) of a server's phones.

    None if no server answers there.
    """
    try:
        text = _asked(address, "host:devices", time.monotonic() + timeout_s)
    except WireError:
        return None
    rows = [line.split("\t", 1) for line in text.splitlines()]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


class ServerLink:
    """A phone that a server holds; a ``phone_wire.Link``.

    Args:
        address: Of the server.
        serial: As the server lists it.
        until: When the server must have answered.

    Raises:
        WireError: If it does not, or does not have the phone.
    """

    def __init__(self, address: ServerAddress, serial: str, until: float) -> None:
        self._address = address
        self._serial = serial
        features = _asked(address, f"host-serial:{serial}:features", until)
        self.features = frozenset(features.split(",")) - {""}

    def open(self, service: bytes, until: float) -> ServerChannel:
        """A service of the phone, on a connection of its own to the server."""
        channel = ServerChannel(self._address, until)
        try:
            channel.request(f"host:transport:{self._serial}".encode(), until)
            channel.request(service, until)
        except BaseException:
            channel.close()
            raise
        return channel

    def close(self) -> None:
        """The server keeps the phone."""


class ServerChannel:
    """A connection to a server; a ``Channel`` once a service has been asked for."""

    def __init__(self, address: ServerAddress, until: float) -> None:
        self._where = f"the adb server at {address}"
        try:
            self._socket = socket.create_connection(
                (address.host, address.port), timeout=max(0.01, until - time.monotonic())
            )
        except TimeoutError as error:
            raise WireLateError(self._late()) from error
        except OSError as error:
            msg = f"{self._where}: {error.strerror or error}"
            raise WireClosedError(msg) from error
        self._socket.settimeout(0.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, service: bytes, until: float) -> None:
        """Ask for a service and have it granted.

        Raises:
            ServiceRefusedError: With the server's words.
            NotAuthorisedError: If it says that the phone has not authorised this computer.
            RequestTooLongError: If the server cannot take it.
        """
        if len(service) > _LONGEST:
            msg = f"a request of {len(service)} bytes; an adb server takes {_LONGEST}"
            raise RequestTooLongError(msg)
        self.send(b"%04x" % len(service) + service, until)
        status = self.exactly(4, until)
        if status == b"FAIL":
            words = self.block(until).decode(errors="replace")
            kind = NotAuthorisedError if "unauthorized" in words else ServiceRefusedError
            raise kind(words)
        if status != b"OKAY":
            msg = f"{self._where} answers {status!r}: it is none of adb's"
            raise WireGarbledError(msg)

    def block(self, until: float) -> bytes:
        """An answer that has its length before it."""
        size = self.exactly(4, until)
        try:
            return self.exactly(int(size, 16), until)
        except ValueError as error:
            msg = f"{self._where} answers {size!r}: it is none of adb's"
            raise WireGarbledError(msg) from error

    def send(self, content: bytes, until: float) -> bool:
        """See ``Channel.send``."""
        rest = memoryview(content)
        while rest:
            said, ready = self._wait(until, to_send=True)
            if said:
                return False
            if ready:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise self._gone(error) from error
        return True

    def receive(self, until: float) -> bytes:
        """See ``Channel.receive``."""
        return self._some(_READ, until)

    def exactly(self, count: int, until: float) -> bytes:
        """That many bytes."""
        content = b""
        while len(content) < count:
            piece = self._some(count - len(content), until)
            if not piece:
                msg = f"{self._where} has closed the connection"
                raise WireClosedError(msg)
            content += piece
        return content

    def close(self) -> None:
        """See ``Channel.close``."""
        self._socket.close()

    def _some(self, count: int, until: float) -> bytes:
        while True:
            self._wait(until, to_send=False)
            try:
                return self._socket.recv(count)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone(error) from error

    def _wait(self, until: float, *, to_send: bool) -> tuple[bool, bool]:
        """Until something can be read, or sent; which of the two."""
        left = max(0.0, until - time.monotonic())
        sending = [self._socket] if to_send else []
        said, ready, _ = select.select([self._socket], sending, [], left)
        if not (said or ready):
            raise WireLateError(self._late())
        return bool(said), bool(ready)

    def _late(self) -> str:
        return f"{self._where} does not answer"

    def _gone(self, error: OSError) -> WireClosedError:
        return WireClosedError(f"{self._where}: {error.strerror or error}")


def _asked(address: ServerAddress, question: str, until: float) -> str:
    channel = ServerChannel(address, until)
    try:
        channel.request(question.encode(), until)
        return channel.block(until).decode(errors="replace")
    finally:
        with suppress(OSError):
            channel.close()
