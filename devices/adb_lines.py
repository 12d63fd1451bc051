"""The two lines to a phone: a TCP connection, and USB's bulk transfers.

Both are adb-shell's transports, with what these lack: TCP_NODELAY (44 ms a call without it), all
of a buffer sent and not just what fits, and on USB the empty transfer that ends one of a whole
number of USB packets.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from devices.adb_wire import WireClosedError, WireLateError

if TYPE_CHECKING:
    from adb_shell.transport.tcp_transport import TcpTransport
    from adb_shell.transport.usb_transport import UsbTransport

_READ = 1 << 16
_USB_WRITE = 1 << 14
"""Bytes of a USB transfer at most: older kernels refuse larger ones. Whole USB packets."""


class TcpLine:
    """A ``Line`` over TCP.

    Args:
        host: Name or address.
        port: Of the phone's adb.
        until: When it must have answered.

    Raises:
        WireLateError: If it has not.
        WireClosedError: If nothing listens there.
    """

    def __init__(self, host: str, port: int, until: float) -> None:
        from adb_shell.transport.tcp_transport import TcpTransport

        self._where = f"{host}:{port}"
        self._buffer = bytearray()
        self._transport: TcpTransport = TcpTransport(host, port)
        with self._told():
            self._transport.connect(max(0.01, until - time.monotonic()))
            self._transport._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, count: int, until: float) -> bytes:
        """See ``Line.read``."""
        while len(self._buffer) < count:
            with self._told():
                content = self._transport.bulk_read(_READ, _left(until))
            if not content:
                msg = f"{self._where} has closed the connection"
                raise WireClosedError(msg)
            self._buffer += content
        return _taken(self._buffer, count)

    def write(self, content: bytes, until: float) -> None:
        """See ``Line.write``."""
        rest = memoryview(content)
        while rest:
            with self._told(), suppress(BlockingIOError):
                rest = rest[self._transport.bulk_write(rest, _left(until)) :]

    def resync(self) -> None:
        """See ``Line.resync``."""
        self._buffer.clear()

    def close(self) -> None:
        """See ``Line.close``."""
        self._transport.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        from adb_shell.exceptions import TcpTimeoutException

        try:
            yield
        except (TcpTimeoutException, TimeoutError) as error:
            msg = f"{self._where} does not answer"
            raise WireLateError(msg) from error
        except (OSError, AttributeError, TypeError, ValueError) as error:  # closed: no socket
            msg = f"{self._where}: {getattr(error, 'strerror', None) or error}"
            raise WireClosedError(msg) from error


class UsbLine:
    """A ``Line`` over a USB interface that is claimed already.

    Args:
        transport: adb-shell's, connected.
        packet_bytes: Of a USB packet of its endpoints.
    """

    def __init__(self, transport: UsbTransport, packet_bytes: int) -> None:
        self._transport = transport
        self._packet = packet_bytes
        self._buffer = bytearray()

    def read(self, count: int, until: float) -> bytes:
        """See ``Line.read``; whole USB packets are asked for, so that none overflows."""
        while len(self._buffer) < count:
            lacking = count - len(self._buffer)
            asked = -(-lacking // self._packet) * self._packet
            with self._told():
                self._buffer += self._transport.bulk_read(asked, _usb_left(until))
        return _taken(self._buffer, count)

    def write(self, content: bytes, until: float) -> None:
        """See ``Line.write``."""
        for start in range(0, len(content), _USB_WRITE):
            self._transfer(content[start : start + _USB_WRITE], until)
        if content and len(content) % self._packet == 0:
            self._transfer(b"", until)

    def _transfer(self, piece: bytes, until: float) -> None:
        with self._told():
            sent = self._transport.bulk_write(piece, _usb_left(until))
        if sent != len(piece):
            msg = f"USB took {sent} of {len(piece)} bytes"
            raise WireClosedError(msg)

    def resync(self) -> None:
        """See ``Line.resync``."""
        self._buffer.clear()

    def close(self) -> None:
        """See ``Line.close``."""
        self._transport.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        import usb1
        from adb_shell.exceptions import UsbReadFailedError, UsbWriteFailedError

        try:
            yield
        except (UsbReadFailedError, UsbWriteFailedError) as error:
            cause = error.__context__ or error  # libusb's own; only one of the two keeps it
            if isinstance(cause, usb1.USBErrorTimeout):
                self._buffer += bytes(getattr(cause, "received", b""))
                msg = "the phone does not answer on USB"
                raise WireLateError(msg) from error
            msg = f"USB: {cause if str(cause) else type(cause).__name__}"
            raise WireClosedError(msg) from error


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


def _usb_left(until: float) -> float:
    """At least a millisecond: to libusb 0 means without end."""
    left = until - time.monotonic()
    if left <= 0:
        msg = "the phone does not answer on USB in time"
        raise WireLateError(msg)
    return max(0.001, left)


def _taken(buffer: bytearray, count: int) -> bytes:
    content = bytes(buffer[:count])
    del buffer[:count]
    return content
