"""A fake libusb: phones on a USB that is not there, behind which a real adbd answers over TCP.

It has the part of ``usb1``'s API that adb-shell's UsbTransport uses, and USB's own rules: 512-byte
packets, a transfer that ends with a short one or a full buffer, overflow where the buffer is too
small, and a phone that, as adbd does, takes a header only as a transfer of its own.

    with installed(FakeLibusb(FakeUsbPhone(serial="FAKE", ports=(1, 2), adbd=("10.0.0.2", 5555)))):
        ...
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import ModuleType

PACKET = 512
"""Bytes of a packet of high-speed USB."""

BLOCK = 1 << 14
"""Bytes that adbd reads at once."""

_HEADER_BYTES = 24
_USB_CLASS, _USB_SUBCLASS, _USB_PROTOCOL = 0xFF, 0x42, 0x01
_IN, _OUT = 0x81, 0x01


class FakeTrouble(StrEnum):
    """What is wrong with a fake phone."""

    NONE = "none"
    BUSY = "another program holds its interface"
    NO_ACCESS = "this user may not open it"


class FakeUSBError(Exception):
    """``usb1.USBError``."""

    received = b""
    """What had come at a time-out."""


class FakeTimeoutError(FakeUSBError):
    """``LIBUSB_ERROR_TIMEOUT``."""


class FakeBusyError(FakeUSBError):
    """``LIBUSB_ERROR_BUSY``."""


class FakeAccessError(FakeUSBError):
    """``LIBUSB_ERROR_ACCESS``."""


class FakeNoDeviceError(FakeUSBError):
    """``LIBUSB_ERROR_NO_DEVICE``."""


class FakeNotFoundError(FakeUSBError):
    """``LIBUSB_ERROR_NOT_FOUND``."""


class FakeOverflowError(FakeUSBError):
    """``LIBUSB_ERROR_OVERFLOW``."""


class FakePipeError(FakeUSBError):
    """``LIBUSB_ERROR_PIPE``."""


class FakeUsbPhone:
    """A phone on the fake USB, and its only interface, which is adb's.

    Args:
        serial: Its serial number.
        ports: Bus, then ports.
        adbd: Address of the adbd that answers for it.
        trouble: What is wrong with it.
        unplugged_after: Bytes written to it after which it is gone; None for never.
        left_over: What it still sends of an earlier connection.
    """

    def __init__(
        self,
        *,
        serial: str,
        ports: tuple[int, ...],
        adbd: tuple[str, int],
        trouble: FakeTrouble = FakeTrouble.NONE,
        unplugged_after: int | None = None,
        left_over: bytes = b"",
    ) -> None:
        self.serial = serial
        self.ports = ports
        self.adbd = adbd
        self.trouble = trouble
        self.unplugged_after = unplugged_after
        self.left_over = left_over
        self.opened = 0
        self.closed = 0

    def write_sysfs(self, root: Path) -> None:
        """Put it into a tree like ``/sys/bus/usb/devices``."""
        name = f"{self.ports[0]}-{'.'.join(map(str, self.ports[1:]))}"
        interface = root / f"{name}:1.0"
        interface.mkdir(parents=True)
        for part, value in (("Class", "ff"), ("SubClass", "42"), ("Protocol", "01")):
            (interface / f"bInterface{part}").write_text(f"{value}\n")
        (root / name).mkdir()
        for part, text in (("serial", self.serial), ("busnum", "1"), ("devnum", "9")):
            (root / name / part).write_text(f"{text}\n")

    # What UsbTransport asks of a device, a setting and an endpoint of usb1.

    def getBusNumber(self) -> int:  # noqa: N802 - usb1's
        """Bus."""
        return self.ports[0]

    def getPortNumberList(self) -> list[int]:  # noqa: N802
        """Ports."""
        return list(self.ports[1:])

    def getSerialNumber(self) -> str:  # noqa: N802
        """Serial number, for which libusb has to open it."""
        if self.trouble is FakeTrouble.NO_ACCESS:
            raise FakeAccessError
        return self.serial

    def iterSettings(self) -> Iterator[FakeSetting]:  # noqa: N802
        """Its one setting."""
        yield FakeSetting()

    def open(self) -> FakeHandle:
        """A handle."""
        if self.trouble is FakeTrouble.NO_ACCESS:
            raise FakeAccessError
        self.opened += 1
        return FakeHandle(self)


class FakeSetting:
    """adb's interface."""

    def getClass(self) -> int:  # noqa: N802
        """255."""
        return _USB_CLASS

    def getSubClass(self) -> int:  # noqa: N802
        """66."""
        return _USB_SUBCLASS

    def getProtocol(self) -> int:  # noqa: N802
        """1."""
        return _USB_PROTOCOL

    def getNumber(self) -> int:  # noqa: N802
        """Of the interface."""
        return 0

    def iterEndpoints(self) -> Iterator[FakeEndpoint]:  # noqa: N802
        """One each way."""
        yield FakeEndpoint(_IN)
        yield FakeEndpoint(_OUT)


class FakeEndpoint:
    """One direction."""

    def __init__(self, address: int) -> None:
        self._address = address

    def getAddress(self) -> int:  # noqa: N802
        """With the direction in its highest bit."""
        return self._address

    def getMaxPacketSize(self) -> int:  # noqa: N802
        """Of high-speed USB."""
        return PACKET


class FakeHandle:
    """An opened fake phone: bulk transfers on one side, a connection to adbd on the other."""

    def __init__(self, phone: FakeUsbPhone) -> None:
        self._phone = phone
        self._adbd: socket.socket | None = None
        self._claimed = False
        self._to_host = _PacketsToHost(phone.left_over)
        self._to_phone = _BlocksToPhone()
        self._written = 0

    def kernelDriverActive(self, number: int) -> bool:  # noqa: N802, ARG002
        """Never."""
        return False

    def claimInterface(self, number: int) -> None:  # noqa: N802, ARG002
        """Have it for oneself."""
        if self._phone.trouble is FakeTrouble.BUSY:
            raise FakeBusyError
        self._claimed = True
        self._adbd = socket.create_connection(self._phone.adbd, timeout=10)

    def releaseInterface(self, number: int) -> None:  # noqa: N802, ARG002
        """Give it back; an error where it was not claimed, as libusb has it."""
        if not self._claimed:
            raise FakeNotFoundError
        self._claimed = False

    def close(self) -> None:
        """Let go."""
        self._phone.closed += 1
        if self._adbd is not None:
            self._adbd.close()

    def bulkWrite(self, endpoint: int, data: bytes, timeout: int = 0) -> int:  # noqa: N802
        """One transfer to the phone."""
        del endpoint, timeout
        adbd = self._here()
        self._written += len(data)
        after = self._phone.unplugged_after
        if after is not None and self._written > after:
            raise FakeNoDeviceError
        for content in self._to_phone.take(bytes(data)):
            adbd.sendall(content)
        return len(data)

    def bulkRead(self, endpoint: int, length: int, timeout: int = 0) -> bytes:  # noqa: N802
        """One transfer from the phone, of at most ``length`` bytes."""
        del endpoint
        until = time.monotonic() + timeout / 1000 if timeout else None
        received = bytearray()
        while True:
            while self._to_host.packets:
                packet = self._to_host.packets.popleft()
                if len(received) + len(packet) > length:
                    raise FakeOverflowError
                received += packet
                if len(packet) < PACKET or len(received) == length:
                    return bytes(received)
            self._fetch(until, received)

    def _fetch(self, until: float | None, received: bytearray) -> None:
        adbd = self._here()
        adbd.settimeout(None if until is None else max(0.001, until - time.monotonic()))
        try:
            content = adbd.recv(1 << 16)
        except TimeoutError:
            error = FakeTimeoutError()
            error.received = bytes(received)
            raise error from None
        if not content:
            raise FakeNoDeviceError
        self._to_host.add(content)

    def _here(self) -> socket.socket:
        if self._adbd is None or not self._claimed:
            raise FakeNoDeviceError
        return self._adbd


class _PacketsToHost:
    """adbd's stream, cut as its USB side sends it: header and payload apart, in USB packets."""

    def __init__(self, left_over: bytes) -> None:
        self.packets: deque[bytes] = deque()
        self._buffer = bytearray()
        self._wanted = _HEADER_BYTES
        self._in_payload = False
        if left_over:
            self._transfer(left_over)

    def add(self, content: bytes) -> None:
        self._buffer += content
        while len(self._buffer) >= self._wanted:
            whole = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            self._transfer(whole)
            (size,) = struct.unpack_from("<I", whole, 12) if not self._in_payload else (0,)
            self._in_payload = size > 0
            self._wanted = size or _HEADER_BYTES

    def _transfer(self, content: bytes) -> None:
        pieces = [content[at : at + PACKET] for at in range(0, len(content), PACKET)]
        self.packets.extend(pieces)


class _BlocksToPhone:
    """What the phone's adbd reads: blocks that end with a short packet, or when they are full."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._header = b""
        self._payload = bytearray()

    def take(self, transfer: bytes) -> Iterator[bytes]:
        """Whole packets of adb's that are complete with this transfer."""
        pieces = [transfer[at : at + PACKET] for at in range(0, len(transfer), PACKET)] or [b""]
        for piece in pieces:
            self._block += piece
            if len(piece) < PACKET or len(self._block) == BLOCK:
                block, self._block = bytes(self._block), bytearray()
                if block:  # an empty one is skipped, as adbd does
                    yield from self._read(block)

    def _read(self, block: bytes) -> Iterator[bytes]:
        if not self._header:
            if len(block) != _HEADER_BYTES:
                raise FakePipeError
            self._header = block
        else:
            self._payload += block
        (size,) = struct.unpack_from("<I", self._header, 12)
        if len(self._payload) > size:
            raise FakePipeError
        if len(self._payload) == size:
            yield self._header + bytes(self._payload)
            self._header, self._payload = b"", bytearray()


class FakeContext:
    """``usb1.USBContext``."""

    def __init__(self, phones: Sequence[FakeUsbPhone]) -> None:
        self._phones = phones

    def open(self) -> FakeContext:
        """Itself."""
        return self

    def getDeviceIterator(self, *, skip_on_error: bool = False) -> Iterator[FakeUsbPhone]:  # noqa: N802, ARG002
        """The phones."""
        return iter(self._phones)


class FakeLibusb(ModuleType):
    """A module to stand where ``usb1`` is.

    Args:
        phones: On its USB.
    """

    def __init__(self, *phones: FakeUsbPhone) -> None:
        super().__init__("usb1", "a fake libusb")
        self.CLASS_VENDOR_SPEC = _USB_CLASS
        self.ENDPOINT_DIR_MASK = 0x80
        self.USBContext = lambda: FakeContext(phones)
        self.USBError = FakeUSBError
        self.USBErrorTimeout = FakeTimeoutError
        self.USBErrorBusy = FakeBusyError
        self.USBErrorAccess = FakeAccessError
        self.USBErrorNoDevice = FakeNoDeviceError
        self.USBErrorNotFound = FakeNotFoundError
        self.USBErrorOverflow = FakeOverflowError
        self.USBErrorPipe = FakePipeError


@contextmanager
def installed(fake: FakeLibusb) -> Iterator[FakeLibusb]:
    """Inside, adb-shell's UsbTransport finds the fake instead of libusb."""
    names = ("usb1", _TRANSPORT)
    before = {name: sys.modules.pop(name, None) for name in names}
    sys.modules["usb1"] = fake
    try:
        yield fake
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


_TRANSPORT = "adb_shell.transport.usb_transport"
