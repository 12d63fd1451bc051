"""The processes that hold or want devices, and whether they live.

Each has a file: eight bytes of its last heartbeat (nanoseconds of the monotonic clock), then what
it is, as JSON. One daemon thread writes the heartbeats of a whole process, and only while it holds
something; a heartbeat is one write of eight bytes.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import struct
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from devices.kept_files import keeping

EXPIRY_BEATS = 1.75
"""Heartbeats without a sign of life after which a holder has lost; the rest of the second one is
left for whoever waits to find out."""

_BEAT = struct.Struct("<q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process as others can tell whether it lives.

    Attributes:
        pid: In its own namespace.
        start: When it began, in the kernel's ticks: process numbers come again.
        pid_namespace: In which ``pid`` means something.
        machine: The computer.
        boot: Its start and its clock: heartbeats of another one cannot be compared.
        heartbeat_s: Between two signs of life.
    """

    pid: int
    start: int
    pid_namespace: str
    machine: str
    boot: str
    heartbeat_s: float


class Holder:
    """This process, as others see it in ``folder``; ``_Heartbeats`` keeps it.

    Raises:
        OperationError: If its file cannot be written.
    """

    def __init__(self, folder: Path, heartbeat_s: float) -> None:
        self.pid = os.getpid()
        self.name = f"{self.pid}-{secrets.token_hex(4)}"
        self.expiry_s = EXPIRY_BEATS * heartbeat_s
        self.heartbeat_s = heartbeat_s
        self.wanted = 0
        self.next_s = 0.0
        content = json.dumps(asdict(_this_process(heartbeat_s))).encode()
        with keeping(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            self._file = _written(folder / self.name, _BEAT.pack(time.monotonic_ns()) + content)

    @property
    def is_listed(self) -> bool:
        """Whether its file is still there."""
        return os.fstat(self._file).st_nlink > 0

    def enter(self) -> None:
        """From here on it gives signs of life."""
        _heartbeats().begin(self)

    def leave(self) -> None:
        """Undo one ``enter``."""
        _heartbeats().end(self)

    def beat(self) -> None:
        """Give a sign of life now."""
        now_ns = time.monotonic_ns()
        self.next_s = now_ns / 1e9 + self.heartbeat_s
        with suppress(OSError):  # who cannot write gives no sign of life, and loses its leases
            os.pwrite(self._file, _BEAT.pack(now_ns), 0)


def _written(path: Path, content: bytes) -> int:
    """An open file of this content, which appears whole or not at all."""
    part = path.with_name(f".{path.name}")
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        if os.write(handle, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part.rename(path)
    except BaseException:
        os.close(handle)
        part.unlink(missing_ok=True)
        raise
    return handle


class _Heartbeats:
    """The heartbeats of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._changed = threading.Condition()
        self._holders: dict[tuple[Path, float], Holder] = {}
        self._beating: set[Holder] = set()
        self._thread: threading.Thread | None = None

    def holder(self, folder: Path, heartbeat_s: float) -> Holder:
        with self._changed:
            found = self._holders.get((folder, heartbeat_s))
            if found is None or not found.is_listed:
                found = self._holders[folder, heartbeat_s] = Holder(folder, heartbeat_s)
            return found

    def begin(self, holder: Holder) -> None:
        with self._changed:
            holder.wanted += 1
            if holder.wanted == 1:
                holder.beat()
                self._beating.add(holder)
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
                self._thread.start()

    def end(self, holder: Holder) -> None:
        with self._changed:
            holder.wanted -= 1
            if holder.wanted == 0:
                self._beating.discard(holder)

    def _beat(self) -> None:
        with self._changed:
            while True:
                now_s = time.monotonic()
                for holder in self._beating:
                    if holder.next_s <= now_s:
                        holder.beat()
                following_s = min((each.next_s for each in self._beating), default=None)
                self._changed.wait(None if following_s is None else max(0.0, following_s - now_s))


_current: list[_Heartbeats] = []
_CHOOSING = threading.Lock()


def _heartbeats() -> _Heartbeats:
    """Those of this process: a forked child has its own."""
    if not _current or _current[-1].pid != os.getpid():
        with _CHOOSING:
            if not _current or _current[-1].pid != os.getpid():
                _current[:] = [_Heartbeats()]
    return _current[-1]


def holder_of_this_process(folder: Path, heartbeat_s: float) -> Holder:
    """This process in ``folder``; made at its first use."""
    return _heartbeats().holder(folder, heartbeat_s)


class Watch:
    """Tells who lives, for one who waits.

    A process of another computer is dead once its heartbeat has not changed for as long as this
    one has watched it.

    Args:
        folder: Of the holders.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._foreign: dict[str, tuple[int, float]] = {}

    def is_alive(self, name: str) -> bool:
        """Whether the holder of that name gives signs of life."""
        beat_ns, process = _read(f"{self._folder}/{name}")
        if process is None or _is_dead(process):
            return False
        if process.pid == os.getpid() and process.pid_namespace == _namespace("pid"):
            return True  # this process runs: that is a sign of life
        now_s = time.monotonic()
        if process.boot == _this_boot():
            seen_s = beat_ns / 1e9
        else:
            known = self._foreign.get(name)
            if known is None or known[0] != beat_ns:
                known = self._foreign[name] = (beat_ns, now_s)
            seen_s = known[1]
        return now_s - seen_s < EXPIRY_BEATS * process.heartbeat_s

    def whose(self, name: str) -> str:
        """Who that is, for people."""
        _, process = _read(f"{self._folder}/{name}")
        if process is None:
            return f"process {name.partition('-')[0]}"
        here = process.machine == _this_machine()
        return f"process {process.pid}{'' if here else f' on {process.machine.split()[0]}'}"


def _read(path: str) -> tuple[int, Process | None]:
    """Last heartbeat and process of a holder's file; no process if it is gone or damaged."""
    try:
        with open(path, "rb") as file:
            content = file.read()
            # A read may meet half of a write of eight bytes; the second one cannot, so soon after.
            file.seek(0)
            beat = file.read(_BEAT.size)
        (beat_ns,) = _BEAT.unpack(beat)
        return int(beat_ns), Process(**json.loads(content[_BEAT.size :]))
    except (OSError, ValueError, TypeError, struct.error):
        return 0, None


def _is_dead(process: Process) -> bool:
    """Whether it is known for sure not to run any more."""
    if process.machine == _this_machine() and process.boot != _this_boot():
        return process.boot.split()[0] != _this_boot().split()[0]
    if process.boot != _this_boot() or process.pid_namespace != _namespace("pid"):
        return False
    return _start_of(process.pid) != process.start


def _sweep(folder: Path) -> None:
    """Delete the files of processes that are dead for sure."""
    for path in folder.iterdir():
        _, process = _read(str(path))
        if process is not None and _is_dead(process):
            path.unlink(missing_ok=True)


def _this_process(heartbeat_s: float) -> Process:
    return Process(
        pid=os.getpid(),
        start=_start_of(os.getpid()),
        pid_namespace=_namespace("pid"),
        machine=_this_machine(),
        boot=_this_boot(),
        heartbeat_s=heartbeat_s,
    )


def _start_of(pid: int) -> int:
    """When a process began; -1 if there is none, or only its exit code is left."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        return -1 if os.path.isdir("/proc/self") else _start_without_proc(pid)
    except ProcessLookupError:
        return -1
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def _start_without_proc(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return -1


_known: dict[str, str] = {}


def _this_boot() -> str:
    """This start of this computer, and its clock."""
    if "boot" not in _known:
        boot = "unknown"
        with suppress(OSError):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        _known["boot"] = f"{boot} {_namespace('time')}"
    return _known["boot"]


def _this_machine() -> str:
    if "machine" not in _known:
        number = ""
        with suppress(OSError):
            number = Path("/etc/machine-id").read_text().strip()
        _known["machine"] = f"{os.uname().nodename} {number}"
    return _known["machine"]


def _namespace(kind: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return ""
