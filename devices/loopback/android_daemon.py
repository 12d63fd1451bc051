"""The simulated Android of a loopback phone: it keeps the phone's model going and answers for it.

It is the phone's root and starts adbd, which is not. The shell user reaches it by a socket that
takes commands of Android and nothing else. Only Python's own library is used: it is copied onto
the phone, with what it imports, and started there.
"""

from __future__ import annotations

import array
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from devices.loopback import android_mounts as mounts
from devices.loopback import android_su as su
from devices.loopback.android_commands import REBOOT_S, Android, Answer
from devices.loopback.android_load import Load
from devices.loopback.android_nodes import Nodes
from devices.loopback.android_settings import SETTINGS_FILE, AndroidSettings, write_if_changed
from devices.loopback.android_text import properties
from devices.loopback.android_watch import watch
from devices.loopback.phone_model import PhoneModel
from devices.loopback.scenario import EventKind
from devices.loopback.scenario_parser import parse

HERE = "/run/android"
"""What this computer gave the phone: these files, the programs, the scenario."""
TICK_S = 0.2
MOST_BYTES = 1 << 20
PATH = f"{HERE}/bin:/usr/sbin:/usr/bin"
_WORDS_BEFORE_ARGUMENTS = 2
_ABIS = {"aarch64": "arm64-v8a"}


@dataclass(slots=True)
class _Caller:
    """A program that asks, until it is answered; ``child`` is what ``su`` runs for it."""

    connection: socket.socket
    received: bytes = b""
    streams: list[int] = field(default_factory=list)
    child: int = 0


class Daemon:
    """The phone's Android, from its start to its end."""

    def __init__(self, name: str, text: str, machine_abi: str) -> None:
        self._scenario = parse(name, text)
        self._abi = machine_abi
        self._model = PhoneModel(self._scenario)
        self._android = Android(self._model, AndroidSettings())
        self._saved = ""
        self._callers: dict[int, _Caller] = {}
        self._selector = selectors.DefaultSelector()
        self._adbd: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Until adbd ends; its exit code."""
        mounts.furnish(self._scenario)
        self._nodes = Nodes(
            self._model,
            cpu=mounts.CPU,
            thermal=mounts.THERMAL,
            meter=mounts.METER,
            owner=su.ROOT_ID,
        )
        self._nodes.create()
        self._write_once()
        listener = self._listen()
        wakeup, child_ended = os.pipe()
        os.set_blocking(child_ended, False)
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(child_ended, warn_on_full_buffer=False)
        self._selector.register(listener, selectors.EVENT_READ, "listener")
        self._selector.register(wakeup, selectors.EVENT_READ, "children")
        self._selector.register(watch(self._nodes.writable()), selectors.EVENT_READ, "written")
        self._load = Load()
        self._last_s = time.monotonic()
        self._model.screen_on = False
        self._settle()
        self._start_adbd()
        while True:
            ready = self._selector.select(max(0.0, self._last_s + TICK_S - time.monotonic()))
            for key, _ in ready:
                if key.data == "listener":
                    self._accept(listener)
                elif key.data == "children":
                    os.read(wakeup, 4096)
                elif key.data == "written":
                    os.read(key.fd, 65536)
                    self._written()
                else:
                    self._receive(key.data)
            exit_code = self._collect()
            if exit_code is not None:
                return exit_code
            if time.monotonic() >= self._last_s + TICK_S:
                self._tick()

    # --- time -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Bring the model to now, and what shows it."""
        now_s = time.monotonic()
        passed_s, self._last_s = now_s - self._last_s, now_s
        busy_s, cores = self._load.busy_s()
        self._nodes.limits_written()
        speed = self._model.speed(cores)
        was_away, boots = self._model.away, self._model.boots
        happened = self._model.advance(
            passed_s * self._scenario.seconds_per_second,
            busy_s / max(passed_s, 1e-3) / max(speed, 0.01),
            cores,
        )
        if any(event.kind is not EventKind.REBOOT for event in happened):
            self._android.happened()
        if self._model.boots != boots:
            self._go_down()
        elif was_away and not self._model.away:
            self._come_back()
        self._settle()

    def _settle(self) -> None:
        """Show the model as it is now."""
        self._nodes.show()
        limits = self._model.limits
        self._android.settings.cpufreq = [
            {"min": str(each.min_khz), "max": str(each.max_khz), "governor": each.governor}
            for each in limits
        ]
        self._saved = write_if_changed(self._android.settings, SETTINGS_FILE, self._saved)
        os.pwrite(self._clock, self._clock_line().encode(), 0)

    def _clock_line(self) -> str:
        """For the stand-in: status, temperature, then speed now and at best, anywhere and by core.

        Each has the same width at all times, so that the line is replaced whole.
        """
        model = self._model
        values = [float(model.thermal_status), model.chip_c]
        for cores in ((), *((core,) for core in range(len(self._scenario.core_khz)))):
            values += [model.speed(cores), model.nominal(cores)]
        return " ".join(f"{value:9.5f}" for value in values) + "\n"

    def _written(self) -> None:
        """Root wrote a node: what follows from it stands in the others at once."""
        if self._nodes.limits_written():
            self._settle()

    # --- a reboot -------------------------------------------------------------------------------

    def _go_down(self) -> None:
        """All ends at once but this daemon and the box's first process."""
        adbd, self._adbd = self._adbd, None
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        if adbd is not None:
            adbd.wait()
        for caller in list(self._callers.values()):
            self._forget(caller)
        self._android.rebooted()
        for index in range(len(self._scenario.clusters)):
            if not self._scenario.hides("cpufreq"):
                self._nodes.show_limits(index)
        if not self._model.away:
            self._come_back()

    def _come_back(self) -> None:
        mounts.new_boot_id()
        self._load = Load()
        self._start_adbd()

    def _start_adbd(self) -> None:
        self._adbd = subprocess.Popen(
            [
                *("setpriv", "--reuid=2000", "--regid=2000", "--clear-groups"),
                *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"),
                "--seccomp-filter=/etc/pocketnas-sockets.bpf",
                "/usr/lib/android-sdk/platform-tools/adbd",
            ],
            env={
                "PATH": PATH,
                "HOME": "/data/local/tmp",
                "TMPDIR": "/data/local/tmp",
                "ADBD_PORT": "5555",
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            start_new_session=True,
        )

    def _collect(self) -> int | None:
        """Take the exit codes of what ended; adbd's where it ended by itself."""
        if self._adbd is not None and (ended := self._adbd.poll()) is not None:
            return abs(ended)
        for caller in [each for each in self._callers.values() if each.child]:
            pid, status = os.waitpid(caller.child, os.WNOHANG)
            if pid:
                caller.child = 0
                self._tick()
                exit_code = os.waitstatus_to_exitcode(status)
                self._reply(caller, Answer(exit_code if exit_code >= 0 else 128 - exit_code))
        return None

    # --- who asks -------------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"{mounts.LIVE}/phone.sock")
        os.chmod(f"{mounts.LIVE}/phone.sock", 0o666)
        listener.listen(64)
        listener.settimeout(0)
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = listener.accept()
            connection.settimeout(0)
            caller = _Caller(connection)
            self._callers[connection.fileno()] = caller
            self._selector.register(connection, selectors.EVENT_READ, caller)

    def _receive(self, caller: _Caller) -> None:
        """A part of a request, or the end of who asked."""
        space = socket.CMSG_SPACE(3 * array.array("i").itemsize)
        try:
            part, extra, *_ = caller.connection.recvmsg(65536, space)
        except BlockingIOError:
            return
        except OSError:
            part, extra = b"", []
        for level, kind, content in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                handles = array.array("i")
                handles.frombytes(content[: len(content) // handles.itemsize * handles.itemsize])
                caller.streams += handles
        caller.received += part
        if not part or len(caller.received) > MOST_BYTES:
            self._forget(caller)
            return
        size = int.from_bytes(caller.received[:4], "big")
        if len(caller.received) == 4 + size and not caller.child:
            self._serve(caller, caller.received[4:].decode(errors="replace").split("\0"))

    def _serve(self, caller: _Caller, words: list[str]) -> None:
        """``words`` are the command's name, where it was called, its arguments."""
        if len(words) < _WORDS_BEFORE_ARGUMENTS:
            self._forget(caller)
            return
        name, folder, *arguments = words
        self._tick()
        if self._callers.get(caller.connection.fileno()) is not caller:
            return  # the phone has just gone down
        if name == "su":
            self._su(caller, folder, arguments)
            return
        if name == "taskset":
            answer = self._taskset(arguments)
        else:
            answer = self._android.answer([name, *arguments])
        if self._android.reboot_asked:
            self._model.reboot(REBOOT_S)
            self._go_down()
            return
        self._settle()
        self._reply(caller, answer)

    def _su(self, caller: _Caller, folder: str, arguments: list[str]) -> None:
        words = su.command(arguments)
        if words is None or len(caller.streams) != len(("in", "out", "error")):
            self._reply(caller, Answer(1, "", "su: give '-c COMMAND' or '0 COMMAND'\n"))
            return
        caller.child = su.start(words, folder, caller.streams, PATH)

    def _taskset(self, arguments: list[str]) -> Answer:
        """``taskset -p [MASK] PID``, as toybox prints it."""
        *mask, number = arguments[1:] or [""]
        if not number.isdecimal() or len(mask) > 1:
            return Answer(1, "", "taskset: bad PID\n")
        pid, count = int(number), len(self._scenario.core_khz)
        if not os.path.isdir(f"/proc/{pid}"):
            return Answer(1, "", f"taskset: failed to get {pid}'s affinity: No such process\n")
        told = [_affinity(pid, "current", self._load.cores_of(pid) or tuple(range(count)))]
        if mask:
            bits = int(mask[0], 16) if all(c in "0123456789abcdefABCDEF" for c in mask[0]) else 0
            cores = tuple(core for core in range(count) if bits >> core & 1)
            if not cores:
                refused = f"taskset: failed to set {pid}'s affinity: Invalid argument\n"
                return Answer(1, told[0], refused)
            self._load.pin(pid, cores)
            told.append(_affinity(pid, "new", cores))
        return Answer(0, "".join(told))

    def _reply(self, caller: _Caller, answer: Answer) -> None:
        out, error = answer.stdout.encode(), answer.stderr.encode()
        caller.connection.settimeout(1.0)
        with contextlib.suppress(OSError):
            caller.connection.sendall(b"%d %d\n" % (answer.exit_code, len(out)) + out + error)
        self._forget(caller)

    def _forget(self, caller: _Caller) -> None:
        """Whoever asked is gone or answered: what runs for it ends."""
        if caller.child:
            su.end(caller.child)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(caller.child, 0)
        for handle in caller.streams:
            os.close(handle)
        self._callers.pop(caller.connection.fileno(), None)
        with contextlib.suppress(KeyError):
            self._selector.unregister(caller.connection)
        caller.connection.close()

    # --- its files ------------------------------------------------------------------------------

    def _write_once(self) -> None:
        with open(f"{mounts.LIVE}/cores", "w") as file:
            file.write(f"{len(self._scenario.core_khz)}\n")
        with open(f"{mounts.LIVE}/properties", "w") as file:
            for name, value in sorted(properties(self._scenario, self._abi).items()):
                file.write(f"[{name}]: [{value}]\n")
        self._clock = os.open(f"{mounts.LIVE}/clock", os.O_RDWR | os.O_CREAT, 0o644)
        self._log = os.open("/data/adbd.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _affinity(pid: int, which: str, cores: tuple[int, ...]) -> str:
    return f"pid {pid}'s {which} affinity mask: {sum(1 << core for core in cores):x}\n"


def main() -> int:
    """Be the phone's Android; the exit code."""
    os.umask(0o022)
    with contextlib.suppress(OSError):
        os.nice(-5)
    (file,) = Path(HERE, "scenario").iterdir()
    machine = os.uname().machine
    daemon = Daemon(file.stem, file.read_text(), _ABIS.get(machine, machine))
    return daemon.run()
