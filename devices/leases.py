"""Who holds a device: one thread among all processes of this user.

A lease is a file's name, so that no lock is needed that a stopped process could keep.
``POCKETNAS_HOME/leases`` holds:

* ``DEVICE/TOKEN.free`` or ``DEVICE/TOKEN.HOLDER``, always exactly one: the state. It is taken,
  taken over and given back by renaming that one file; of any number who try, the kernel lets one.
* ``DEVICE/ticket.TIME.HOLDER.NUMBER``: someone who waits; the oldest that lives is next.
* ``.holders/HOLDER``: a process, and in its first eight bytes its last heartbeat.

A holder whose heartbeat is late loses the device as soon as someone else wants it, a dead one at
once. Heartbeats are in the kernel's monotonic clock: steps of the wall clock change nothing, and
another boot of this computer voids every lease.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from devices.device import DeviceBusyError, DeviceTransientError
from devices.kept_files import keeping
from devices.lease_holders import Holder, Watch, holder_of_this_process
from workspace.errors import InputError
from workspace.home import home

HEARTBEAT_S = 2.0
"""Between two signs of life of a holder."""

SHORTEST_POLL_S = 0.002
"""Between two looks of someone who has just begun to wait, and is next."""

LONGEST_POLL_S = 0.05
"""Between two looks of someone who has waited for long, and is next."""

_FREE = "free"
_TICKET = "ticket"
_NUMBERS = itertools.count()


class LeaseLostError(DeviceTransientError):
    """Someone else took the device over; what was timed since is worth nothing."""


class Lease:
    """A device that is held.

    Attributes:
        device: Its id.
        token: Greater than that of every earlier lease of this device, even of lost ones.
    """

    __slots__ = ("_folder", "_holder", "device", "token")

    def __init__(self, device: str, token: int, folder: str, holder: Holder) -> None:
        self.device = device
        self.token = token
        self._folder = folder
        self._holder = holder

    @property
    def held(self) -> bool:
        """Whether nobody has taken it over."""
        return os.path.exists(self._name)

    def require(self) -> None:
        """Do nothing if the device is still held; to be asked before each run and each result.

        Raises:
            LeaseLostError: If someone took it over, since this process stood still for too long.
        """
        if not self.held:
            msg = (
                f"its lease (token {self.token}) was taken over, since this process gave no sign "
                f"of life for {self._holder.expiry_s:g} s: what it was about to do is to be redone"
            )
            raise LeaseLostError(self.device, msg)

    def release(self) -> None:
        """Give it back, unless it was lost; a forked child gives nothing back.

        Raises:
            OperationError: If this computer cannot note it.
        """
        if self._holder.pid != os.getpid():
            return
        try:
            with keeping(Path(self._folder)), suppress(FileNotFoundError):
                os.rename(self._name, f"{self._folder}/{self.token}.{_FREE}")
        finally:
            self._holder.leave()

    @property
    def _name(self) -> str:
        return f"{self._folder}/{self.token}.{self._holder.name}"


@contextmanager
def lease(
    device_id: str, *, wait_s: float = 0.0, heartbeat_s: float = HEARTBEAT_S
) -> Iterator[Lease]:
    """Hold a device while the block runs; who waits is served in the order of coming.

    It is free for others when the block ends, at once when this process dies, and within twice
    ``heartbeat_s`` when this process stands still (its ``Lease.require`` fails then).

    Args:
        device_id: Of the device.
        wait_s: How long to wait for whoever holds it.
        heartbeat_s: Between two signs of life, positive.

    Raises:
        DeviceBusyError: If it is still held then; the text has the holder's process.
        InputError: If ``heartbeat_s`` is not positive.
        OperationError: If this computer cannot keep a lease.
    """
    if not heartbeat_s > 0:
        msg = f"a heartbeat must be a positive number of seconds, got {heartbeat_s!r}"
        raise InputError(msg)
    with keeping(home() / "leases"):
        held = _leased(device_id, wait_s, heartbeat_s)
    try:
        yield held
    finally:
        held.release()


def _leased(device_id: str, wait_s: float, heartbeat_s: float) -> Lease:
    folder = _folder_of(device_id)
    holder = holder_of_this_process(folder.parent / ".holders", heartbeat_s)
    holder.enter()
    try:
        token = _taken(device_id, str(folder), holder, wait_s)
    except BaseException:
        holder.leave()
        raise
    return Lease(device_id, token, str(folder), holder)


def who_holds(device_id: str) -> str:
    """Which process holds a device, for people; empty if none does. Nothing is taken."""
    folder = home() / "leases" / quote(device_id, safe="")
    look = _look(str(folder)) if folder.is_dir() else None
    watch = Watch(f"{folder.parent}/.holders")
    if look is None or look.holder == _FREE or not watch.is_alive(look.holder):
        return ""
    return watch.whose(look.holder)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a device's folder held: its state, and who waits, oldest first."""

    token: int
    holder: str
    tickets: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.token}.{self.holder}"


def _look(folder: str) -> _Look | None:
    """None if the state was renamed while looking."""
    names = os.listdir(folder)
    states = [name.split(".", 1) for name in names if name[0].isdigit()]
    if not states:
        return None
    token, holder = max(states, key=lambda state: int(state[0]))
    tickets = tuple(sorted(name for name in names if name.startswith(_TICKET)))
    return _Look(token=int(token), holder=holder, tickets=tickets)


def _taken(device: str, folder: str, holder: Holder, wait_s: float) -> int:
    """The token of the device, once it is this thread's."""
    begin = time.monotonic()
    watch = Watch(f"{os.path.dirname(folder)}/.holders")
    token, ahead = _attempt(folder, holder, watch, "")
    if token is None and wait_s <= 0:  # a look may have met someone else's renaming
        token, ahead = _attempt(folder, holder, watch, "")
    if token is None and wait_s > 0:
        with _ticket(folder, holder) as ticket:
            while token is None and (waited := time.monotonic() - begin) < wait_s:
                time.sleep(min(_pause_s(waited, len(ahead)), wait_s - waited))
                token, ahead = _attempt(folder, holder, watch, ticket)
    if token is None:
        raise DeviceBusyError(device, _why_busy(folder, watch, ahead))
    return token


def _attempt(
    folder: str, holder: Holder, watch: Watch, ticket: str
) -> tuple[int | None, Sequence[str]]:
    """The token if the device could be taken, else None and the tickets that go first."""
    look = _look(folder)
    if look is None:
        return None, ()
    ahead = [each for each in look.tickets if not ticket or each < ticket]
    while ahead and not watch.is_alive(ahead[0].split(".")[2]):
        with suppress(FileNotFoundError):
            os.unlink(f"{folder}/{ahead.pop(0)}")
    if ahead or (look.holder != _FREE and watch.is_alive(look.holder)):
        return None, ahead
    # Of the wall clock, so that not even a folder lost with the power brings a token back.
    token = max(look.token + 1, time.time_ns() // 1_000_000)
    try:
        os.rename(f"{folder}/{look.name}", f"{folder}/{token}.{holder.name}")
    except FileNotFoundError:
        return None, ()
    return token, ()


@contextmanager
def _ticket(folder: str, holder: Holder) -> Iterator[str]:
    """A place in the queue."""
    name = f"{_TICKET}.{time.monotonic_ns():020d}.{holder.name}.{next(_NUMBERS)}"
    path = f"{folder}/{name}"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _pause_s(waited_s: float, ahead: int) -> float:
    """Longer the longer one waits and the further behind; never twice the same."""
    own = min(max(waited_s / 50, SHORTEST_POLL_S), LONGEST_POLL_S)
    return own * (1 + min(ahead, 2)) * random.uniform(0.5, 1.0)


def _why_busy(folder: str, watch: Watch, ahead: Sequence[str]) -> str:
    look = _look(folder)
    if look is None:
        return f"its lease is being handed over; should that persist, delete {folder}"
    if look.holder == _FREE:
        waiting = watch.whose(ahead[0].split(".")[2]) if ahead else "another process"
        return f"it is about to be used by {waiting}, which has waited for it"
    since = ""
    with suppress(FileNotFoundError):
        changed = datetime.fromtimestamp(os.stat(f"{folder}/{look.name}").st_ctime, UTC)
        since = f" since {changed.astimezone().isoformat(sep=' ', timespec='seconds')}"
    return f"it is in use by {watch.whose(look.holder)}{since}"


def _folder_of(device_id: str) -> Path:
    """The device's folder, which is never without a state."""
    folder = home() / "leases" / quote(device_id, safe="")
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        (new / f"0.{_FREE}").touch()
        try:
            new.rename(folder)
        except OSError:  # someone else was first: it is not empty
            shutil.rmtree(new)
    return folder
