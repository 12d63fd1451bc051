"""Commands and files on a phone, with deadlines at which the phone ends what it runs.

A command carries a random mark, in its shell's arguments and in the environment of all that it
starts. Whatever runs with that mark is ended through a second stream at the deadline; if the
connection itself does not answer any more, on the next one. A pid that was given to another
process is never hit. Long calls have ``timeout`` on the phone besides, for when this computer
dies.
"""

from __future__ import annotations

import math
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from devices.adb_services import (
    ERRORS,
    Output,
    RefusedByPhoneError,
    marked,
    receive_all,
    receive_file,
    receive_shell,
    send_file,
    unmarked,
)
from devices.adb_wire import (
    Channel,
    NeedsTlsError,
    NotAuthorisedError,
    RequestTooLongError,
    ServiceRefusedError,
    WireClosedError,
    WireError,
    WireLateError,
)
from devices.device import DeviceError, DevicePermanentError, DeviceTransientError

KILL_S = 2.0
"""How much longer than its deadline a call takes at most: to end on the phone what runs there."""

BACKSTOP_FROM_S = 30.0
"""Calls that may take this long are ended by the phone too."""

BACKSTOP_S = 10
"""How long after the deadline it does that."""

TAP = "it has not authorised this computer: unlock it and tap 'Allow USB debugging' on its screen"


class Link(Protocol):
    """A phone that answers."""

    @property
    def features(self) -> frozenset[str]:
        """What its adb can do, e.g. ``shell_v2``."""
        ...

    def open(self, service: bytes, until: float) -> Channel:
        """A channel to a service.

        Raises:
            WireError: If there is none.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Duties:
    """Per phone, what is still to be done there: processes to end, pieces of files to remove.

    They outlive a connection, since whoever meets a fault closes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scripts: dict[str, list[str]] = {}

    def add(self, device: str, script: str) -> None:
        """Remember a script for the next connection."""
        with self._lock:
            self._scripts.setdefault(device, []).append(script)

    def take(self, device: str) -> list[str]:
        """Those of a phone; they are the caller's then."""
        with self._lock:
            return self._scripts.pop(device, [])


DUTIES = Duties()
"""Of this process."""


class PhoneWire:
    """A ``transport.Wire`` that connects again by itself after the connection was lost.

    Args:
        device: Its id, for errors.
        connect: Reaches the phone by an instant of ``time.monotonic``.
        connect_s: How long that may take.
    """

    def __init__(
        self, device: str, connect: Callable[[float], Link], connect_s: float = 10.0
    ) -> None:
        self._device = device
        self._connect = connect
        self._connect_s = connect_s
        self._link: Link | None = None
        self._lock = threading.Lock()
        with self._told("connect", connect_s):
            self._linked(time.monotonic() + connect_s)

    def run(self, script: str, timeout_s: float) -> Output:
        """See ``transport.Wire.run``."""
        mark = _new_mark()
        until = time.monotonic() + timeout_s
        with self._alone(timeout_s), self._told(script, timeout_s):
            link = self._linked(until)
            whole = prepared(script, mark, timeout_s)
            try:
                return _spoken(link, whole, mark, until, lambda: self._end(link, mark))
            except (ServiceRefusedError, RequestTooLongError, WireLateError):
                raise  # nothing was started, or it was ended
            except WireError:
                DUTIES.add(self._device, kill_script(mark))
                raise

    def push(self, source: Path, target: str, mode: int, timeout_s: float) -> None:
        """See ``transport.Wire.push``."""
        until = time.monotonic() + timeout_s
        with self._alone(timeout_s), self._told(f"push {source.name}", timeout_s):
            try:
                with _channel(self._linked(until), b"sync:", until) as channel:
                    send_file(channel, source, target, mode, until)
            except RefusedByPhoneError:
                raise
            except (WireError, KeyboardInterrupt):
                self._drop()  # the phone removes what it has of the file when the stream ends
                DUTIES.add(self._device, f"rm -f {shlex.quote(target)}")
                raise

    def pull(self, path: str, limit: int, timeout_s: float) -> bytes:
        """See ``transport.Wire.pull``."""
        until = time.monotonic() + timeout_s
        with self._alone(timeout_s), self._told(f"pull {path}", timeout_s):
            try:
                with _channel(self._linked(until), b"sync:", until) as channel:
                    return receive_file(channel, path, limit, until)
            except WireLateError:
                self._drop()
                raise

    def close(self) -> None:
        """See ``transport.Wire.close``."""
        self._drop()

    def _linked(self, until: float) -> Link:
        """The connection, made anew if it was lost, with the duties done."""
        waiting = DUTIES.take(self._device)
        try:
            if self._link is None:
                self._link = self._connect(min(until, time.monotonic() + self._connect_s))
            while waiting:
                _spoken(self._link, waiting[0], _new_mark(), until)
                waiting.pop(0)
        except WireLateError as error:  # of the connection, not of what is to be run
            raise WireClosedError(str(error)) from error
        finally:
            for script in waiting:
                DUTIES.add(self._device, script)
        return self._link

    def _end(self, link: Link, mark: str) -> None:
        """End what runs on the phone with this mark, or see to it that it will be."""
        until = time.monotonic() + KILL_S
        try:
            _spoken(link, kill_script(mark), _new_mark(), until)
        except WireError:
            DUTIES.add(self._device, kill_script(mark))
            self._drop()

    @contextmanager
    def _alone(self, timeout_s: float) -> Iterator[None]:
        """One call at a time; waiting for the other is part of a call's deadline."""
        if not self._lock.acquire(timeout=timeout_s):
            msg = f"another call to it has not ended in {timeout_s:.3g} s"
            raise DeviceTransientError(self._device, msg)
        try:
            yield
        finally:
            self._lock.release()

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            with suppress(WireError, OSError):
                link.close()

    @contextmanager
    def _told(self, command: str, timeout_s: float) -> Iterator[None]:
        """Turn errors of the wire into errors that say what to do next."""
        try:
            yield
        except DeviceError:
            self._drop()
            raise
        except WireError as error:
            if not isinstance(error, RefusedByPhoneError | RequestTooLongError | WireLateError):
                self._drop()
            raise device_error(self._device, error, command, timeout_s) from error


def device_error(device: str, error: WireError, command: str, timeout_s: float) -> DeviceError:
    """The error of a device that a fault on the wire to it means."""
    ran = (command[:300],)
    match error:
        case NotAuthorisedError():
            return DevicePermanentError(device, TAP)
        case NeedsTlsError():
            msg = (
                "it wants TLS (wireless debugging), which goes through an adb server: start one "
                "with adb start-server, pair with adb pair, then take the serial that adb "
                "devices lists"
            )
            return DevicePermanentError(device, msg)
        case RefusedByPhoneError():
            msg = f"{command} was refused by the phone: {error}"
            return DevicePermanentError(device, msg, command=ran, stderr=str(error))
        case RequestTooLongError():
            return DevicePermanentError(device, str(error), command=ran)
        case WireLateError():
            what = command if command.startswith(("push ", "pull ")) else "a command"
            msg = f"{what} did not end within {timeout_s:.3g} s, and was ended"
            return DeviceTransientError(device, msg, command=ran)
    return DeviceTransientError(device, f"the connection failed ({error})", command=ran)


def prepared(script: str, mark: str, timeout_s: float) -> str:
    """A script as it goes to the phone: it and all that it starts carry the mark.

    The shell waits beside it, so that it keeps the mark in its arguments, and ends its process
    group when the phone's adb tells it that the other side is gone (SIGHUP). A long call also has
    ``timeout``, and whatever that leaves of the group (an old Android's ends its child only) is
    ended after it.
    """
    begin = f"export PN_CALL={mark}\nexec </dev/null\ntrap 'kill -9 -$! -$$ 2>/dev/null' HUP\n"
    if timeout_s < BACKSTOP_FROM_S:
        return f"{begin}eval {shlex.quote(script)} &\nwait $!\nexit $?"
    limit = math.ceil(timeout_s) + BACKSTOP_S
    return (
        f"{begin}t=; command -v timeout >/dev/null 2>&1 && t='timeout -s KILL {limit}'\n"
        f"$t sh -c {shlex.quote(script)} &\nwait $!\nc=$?\n"
        '[ -n "$t" ] && [ $c -eq 137 ] && kill -9 -$$ 2>/dev/null\nexit $c'
    )


def kill_script(mark: str) -> str:
    """Ends every process that carries the mark, and those of a group that one of them leads.

    What a ``marked`` script leaves goes too. It looks again until there is none, since a process
    may start another meanwhile; the brackets keep it from finding itself.
    """
    pattern = f"[{mark[0]}]{mark[1:]}"
    return (
        "i=0; while [ $i -lt 20 ]; do i=$((i+1))\n"
        f"l=$(grep -l '{pattern}' /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null)\n"
        f'[ -z "$l" ] && rm -f {ERRORS}{pattern} && exit 0\n'
        'for f in $l; do p=${f#/proc/}; p=${p%%/*}; kill -9 -"$p" "$p"; done 2>/dev/null\n'
        "done; exit 1"
    )


def _new_mark() -> str:
    return f"pn{secrets.token_hex(8)}"


def _spoken(
    link: Link, script: str, mark: str, until: float, late: Callable[[], None] = lambda: None
) -> Output:
    """What a script says, whatever shell the phone's adb has.

    ``late`` is called at the deadline, before the channel is closed: then adbd ends the shell, and
    nothing tells any more which processes were its.
    """
    if "shell_v2" in link.features:
        with _channel(link, f"shell,v2,raw:{script}".encode(), until, late) as channel:
            return receive_shell(channel, until)
    whole = marked(script, mark)
    try:
        with _channel(link, f"exec:{whole}".encode(), until, late) as channel:
            return unmarked(receive_all(channel, until), mark)
    except ServiceRefusedError:  # older than Android 5: a terminal, which turns \n into \r\n
        raw = f"stty raw 2>/dev/null; {whole}"
        with _channel(link, f"shell:{raw}".encode(), until, late) as channel:
            return unmarked(receive_all(channel, until), mark)


@contextmanager
def _channel(
    link: Link, service: bytes, until: float, late: Callable[[], None] = lambda: None
) -> Iterator[Channel]:
    try:
        channel = link.open(service, until)
    except (WireLateError, KeyboardInterrupt):
        late()  # it may have been opened all the same
        raise
    try:
        yield channel
    except (WireLateError, KeyboardInterrupt):
        late()
        raise
    finally:
        with suppress(WireError):
            channel.close()
