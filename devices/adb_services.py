"""What is said on a channel to a phone's services: shell v2, files, and the older shell.

shell v2 packets are an id (1 stdout, 2 stderr, 3 exit code) and a length before the bytes; those
of the file service four letters and a length.
"""

from __future__ import annotations

import shlex
import struct
from dataclasses import dataclass
from pathlib import Path

from devices.adb_wire import Channel, WireClosedError, WireError

KEEP_HEAD = 3 << 20
"""Bytes of an output's begin that are kept …"""

KEEP_TAIL = 1 << 20
"""… and of its end, where it has more than both."""

DATA_BYTES = 1 << 16
"""Of a piece of a file; adb's file service takes no more."""

ERRORS = "/data/local/tmp/.pocketnas-"
"""How the name of the file begins that holds a ``marked`` script's stderr."""

_STDOUT, _STDERR, _EXIT = 1, 2, 3
_SHELL = struct.Struct("<BI")
_SYNC = struct.Struct("<4sI")


class RefusedByPhoneError(WireError):
    """The file service said FAIL; the text is the phone's."""


class Kept:
    """An output, bounded: its begin and its end, with a note between them if some is missing."""

    def __init__(self, head: int = KEEP_HEAD, tail: int = KEEP_TAIL) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._limits = (head, tail)
        self.lost = 0

    def add(self, content: bytes) -> None:
        """Take in more of it."""
        head, tail = self._limits
        room = max(0, head - len(self._head))
        self._head += content[:room]
        self._tail += content[room:]
        if len(self._tail) > 2 * tail:
            self._trim()

    def bytes(self) -> bytes:
        """What is kept of it."""
        self._trim()
        note = f"\n[{self.lost} bytes were cut out here]\n".encode() if self.lost else b""
        return bytes(self._head) + note + bytes(self._tail)

    def _trim(self) -> None:
        over = max(0, len(self._tail) - self._limits[1])
        self.lost += over
        del self._tail[:over]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a command ended with.

    Attributes:
        exit_code: 128 + N where signal N ended it.
        stdout: As it was written, at most ``KEEP_HEAD + KEEP_TAIL`` bytes.
        stderr: Likewise.
        cut: Whether one of them was longer; a note says where.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes = b""
    cut: bool = False


def receive_shell(channel: Channel, until: float) -> Output:
    """What a command says through shell v2, to its end.

    Raises:
        WireError: At the deadline, or if it broke off.
    """
    kept = {_STDOUT: Kept(), _STDERR: Kept()}
    buffer = bytearray()
    while True:
        while len(buffer) >= _SHELL.size:
            kind, size = _SHELL.unpack_from(buffer)
            if len(buffer) < _SHELL.size + size:
                break
            content = bytes(buffer[_SHELL.size : _SHELL.size + size])
            del buffer[: _SHELL.size + size]
            if kind == _EXIT and content:
                return _output(content[0], kept[_STDOUT], kept[_STDERR])
            if kind in kept:
                kept[kind].add(content)
        content = channel.receive(until)
        if not content:
            msg = "the answer to a command was cut off"
            raise WireClosedError(msg)
        buffer += content


def _output(exit_code: int, stdout: Kept, stderr: Kept) -> Output:
    out, err = stdout.bytes(), stderr.bytes()
    cut = bool(stdout.lost or stderr.lost)
    return Output(exit_code=exit_code, stdout=out, stderr=err, cut=cut)


def receive_all(channel: Channel, until: float) -> Kept:
    """What a service says to its end."""
    kept = Kept()
    while content := channel.receive(until):
        kept.add(content)
    return kept


def marked(script: str, mark: str) -> str:
    """A script for shells without exit codes: it tells stdout, exit code and stderr apart.

    stderr goes through a file, since those services have one stream only.
    """
    errors = ERRORS + mark
    return (
        f"sh -c {shlex.quote(script)} 2>{errors}; printf '\\n{mark} %d\\n' $?; "
        f"cat {errors}; rm -f {errors}; printf '\\n{mark}'"
    )


def unmarked(kept: Kept, mark: str) -> Output:
    """What a ``marked`` script said.

    Raises:
        WireClosedError: If it broke off.
    """
    stdout, found, rest = kept.bytes().partition(f"\n{mark} ".encode())
    code, found_again, rest = rest.partition(b"\n")
    stderr, ended, _ = rest.rpartition(f"\n{mark}".encode())
    if not (found and found_again and ended and code.strip().isdigit()):
        msg = "the answer to a command was cut off"
        raise WireClosedError(msg)
    return Output(exit_code=int(code), stdout=stdout, stderr=stderr, cut=bool(kept.lost))


# --- files --------------------------------------------------------------------------------------


def send_file(channel: Channel, source: Path, target: str, mode: int, until: float) -> None:
    """Put a file on the phone through ``sync:``.

    Raises:
        RefusedByPhoneError: As soon as the phone refuses it, with its words.
        WireError: At the deadline, or if the phone is gone.
    """
    place = f"{target},{0o100000 | mode}".encode()
    unread = channel.send(_SYNC.pack(b"SEND", len(place)) + place, until)
    with source.open("rb") as file:
        while unread and (content := file.read(DATA_BYTES)):
            unread = channel.send(_SYNC.pack(b"DATA", len(content)) + content, until)
    if unread:
        channel.send(_SYNC.pack(b"DONE", int(source.stat().st_mtime) & 0xFFFFFFFF), until)
    kind, _ = _heard(_Reader(channel, until))
    if kind != b"OKAY":
        msg = f"the file service answers {kind!r}"
        raise WireClosedError(msg)


def receive_file(channel: Channel, path: str, limit: int, until: float) -> bytes:
    """A file of the phone through ``sync:``.

    Raises:
        RefusedByPhoneError: If the phone refuses it, with its words, or it is over the limit.
        WireError: At the deadline, or if the phone is gone.
    """
    place = path.encode()
    channel.send(_SYNC.pack(b"RECV", len(place)) + place, until)
    reader = _Reader(channel, until)
    content = bytearray()
    while True:
        kind, piece = _heard(reader)
        if kind == b"DONE":
            return bytes(content)
        content += piece
        if len(content) > limit:
            msg = f"{path} has more than {limit} bytes"
            raise RefusedByPhoneError(msg)


def _heard(reader: _Reader) -> tuple[bytes, bytes]:
    """The next word of the file service, with what it carries."""
    kind, size = _SYNC.unpack(reader.exactly(_SYNC.size))
    carried = reader.exactly(size) if kind in (b"DATA", b"FAIL") else b""
    if kind == b"FAIL":
        raise RefusedByPhoneError(carried.decode(errors="replace"))
    return kind, carried


class _Reader:
    """A channel, read in exact amounts."""

    def __init__(self, channel: Channel, until: float) -> None:
        self._channel = channel
        self._until = until
        self._buffer = bytearray()

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            content = self._channel.receive(self._until)
            if not content:
                msg = "the file service broke off"
                raise WireClosedError(msg)
            self._buffer += content
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content
