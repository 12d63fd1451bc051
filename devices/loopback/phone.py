"""Bringing loopback phones up, and down without a trace.

A phone is one process tree in namespaces of its own (``box.sh``): when its first process dies,
the kernel ends every other process in it and drops its mounts and its network with it. Its
folder is made before anything else and removed after everything else, so that what a killed
``up`` leaves is found and cleared by the next ``up`` or ``down``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from devices.loopback import installation, needs, network, processes
from devices.loopback.root import SHELL_ID, STAND_IN_PROGRAM, Say, ensure_root
from devices.loopback.scenario import Scenario, load
from devices.loopback.state import Phone, announce, known_ids, phones_folder, running
from workspace.errors import InputError, OperationError

PORT = 5555
MODEL = "PocketNAS loopback phone"
STAND_IN = "loopback phone: Debian in a box on this computer, not a phone"
SIMULATED = f"{STAND_IN}; its Android, clocks and temperatures are simulated by scenario"
"""With a scenario, and its name after it."""
RUNNER_FOLDER = "local/tmp/pocketnas"
"""Where the stand-in lies on the phone, below ``/data``."""
ANDROID_FOLDER = "android"
READY_TIMEOUT_S = 30.0
GONE_TIMEOUT_S = 15.0
_BOX = Path(__file__).parent / "box.sh"


def up(
    count: int = 1, say: Say = lambda _: None, scenario: str | Path | None = None
) -> tuple[Phone, ...]:
    """Bring up ``count`` more phones and wait until each answers over adb.

    Args:
        count: At least 1.
        say: Told about steps that take long (building the root, once).
        scenario: What they follow, a shipped one's name or a file; None for a plain Debian.

    Raises:
        InputError: If ``count`` is not positive, or the scenario cannot be used.
        OperationError: If this computer lacks something or a phone does not answer; none of
            those asked for is up then, and nothing of them remains.
    """
    if count < 1:
        msg = f"the number of phones must be at least 1, got {count}"
        raise InputError(msg)
    follows = None if scenario is None else load(scenario)
    needs.require()
    root = ensure_root(say)
    with _alone():
        _clear_remains()
        new = [secrets.token_hex(4) for _ in range(count)]
        try:
            for phone_id in new:
                _start(phone_id, root, follows)
            phones = tuple(_plug_in(phone_id, follows) for phone_id in new)
            for phone in phones:
                _await_adb(phone)
            for phone in phones:
                announce(phone)
        except BaseException:
            for phone_id in new:
                _clear(phone_id)
            raise
    return phones


def down(serial: str | None = None) -> tuple[Phone, ...]:
    """Take down one phone, or all of this ``POCKETNAS_HOME``; those that were up.

    Whatever a killed ``up`` or a restart of this computer left is removed too.

    Raises:
        InputError: If no loopback phone has this serial.
        OperationError: If this computer lacks something, or a process will not end.
    """
    if serial is None and not known_ids():
        return ()
    _with_serial(serial)
    needs.require()
    with _alone():
        _clear_remains()
        chosen = _with_serial(serial)
        for phone in chosen:
            _clear(phone.id)
    return chosen


def _with_serial(serial: str | None) -> tuple[Phone, ...]:
    phones = running()
    chosen = tuple(phone for phone in phones if serial in (None, phone.serial))
    if serial is not None and not chosen:
        there = ", ".join(phone.serial for phone in phones) or "none"
        msg = f"no loopback phone has the serial {serial!r}; up: {there}"
        raise InputError(msg)
    return chosen


def unit_of(serial: str) -> str:
    """Which unit a phone says it is: the same whenever this computer has one at this address."""
    try:
        computer = Path("/etc/machine-id").read_text().strip()
    except OSError:
        computer = platform.node()
    return hashlib.sha256(f"{computer}/{serial}".encode()).hexdigest()[:8]


# --- up -----------------------------------------------------------------------------------------


def _start(phone_id: str, root: Path, scenario: Scenario | None) -> None:
    """Make the phone's files and start its box."""
    folder = phones_folder() / phone_id
    _furnish(folder)
    if scenario is not None:
        installation.install(folder / ANDROID_FOLDER, scenario)
    with (folder / "box.log").open("w") as log:
        # setsid: neither Ctrl-C in this terminal nor this process's end concerns the phone.
        subprocess.run(
            [
                *("setsid", "--fork", "unshare", "--kill-child", "--fork"),
                *("--mount", "--pid", "--net", "--uts", "--ipc", "/bin/sh", _BOX),
                *(root, folder / "data", folder / "identity.json", f"loopback-{phone_id}"),
                folder / ANDROID_FOLDER if scenario else "-",
                processes.marker(phone_id),
            ],
            cwd="/",
            env=needs.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=READY_TIMEOUT_S,
            check=True,
        )


def _furnish(folder: Path) -> None:
    runner = folder / "data" / RUNNER_FOLDER
    runner.mkdir(parents=True)
    for shared in (runner.parent, runner):
        os.chown(shared, SHELL_ID, SHELL_ID)
        shared.chmod(0o777)
    program = runner / "benchmark_model"
    shutil.copyfile(STAND_IN_PROGRAM, program)
    program.chmod(0o755)
    (folder / "identity.json").touch()  # written once its address is known


def _plug_in(phone_id: str, scenario: Scenario | None) -> Phone:
    pid = processes.wait_for(lambda: processes.first_process(phone_id), READY_TIMEOUT_S)
    if pid is None:
        raise OperationError(_failure(phone_id))
    try:
        cable = network.connect(phone_id, pid)
        if scenario is not None and scenario.transfer_mb_per_s is not None:
            network.slow_down(cable, pid, scenario.transfer_mb_per_s)
    except OperationError as error:
        if processes.lives(pid):
            raise
        raise OperationError(_failure(phone_id)) from error  # its box ended meanwhile
    serial = f"{cable.phone}:{PORT}"
    about = _identity(serial, scenario)
    (phones_folder() / phone_id / "identity.json").write_text(json.dumps(about) + "\n")
    return Phone(
        id=phone_id,
        serial=serial,
        unit=unit_of(serial),
        pid=pid,
        netns=f"/proc/{pid}/ns/net",
        link=cable.link,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        scenario=scenario.name if scenario is not None else "",
    )


def _identity(serial: str, scenario: Scenario | None) -> dict[str, str]:
    """What the phone says that it is, and that it is none."""
    if scenario is None:
        return {"stand_in": STAND_IN, "unit": unit_of(serial), "model": MODEL}
    return {
        "stand_in": f"{SIMULATED} {scenario.name}",
        "unit": unit_of(serial),
        "model": f"{scenario.identity.model} (simulated)",
        "scenario": scenario.label,
    }


def _await_adb(phone: Phone) -> None:
    def answered() -> bool:
        if not processes.lives(phone.pid):
            raise OperationError(_failure(phone.id))
        return _answers(phone)

    if not processes.wait_for(answered, READY_TIMEOUT_S):
        raise OperationError(_failure(phone.id))


def _answers(phone: Phone) -> bool:
    """Whether adb gets a shell on the phone."""
    from adb_shell import exceptions
    from adb_shell.adb_device import AdbDeviceTcp

    not_yet = (
        OSError,
        exceptions.AdbConnectionError,
        exceptions.AdbTimeoutError,
        exceptions.InvalidCommandError,  # whatever answers there is no adbd
        exceptions.InvalidResponseError,
        exceptions.TcpTimeoutException,
    )
    host, _, port = phone.serial.rpartition(":")
    device = AdbDeviceTcp(host, int(port), default_transport_timeout_s=2.0)
    try:
        device.connect(read_timeout_s=2.0)
        return str(device.shell("echo ok", read_timeout_s=2.0)).strip() == "ok"
    except not_yet:
        return False
    finally:
        device.close()


def _failure(phone_id: str) -> str:
    said = []
    for log in ("box.log", "data/android.log", "data/adbd.log"):
        with contextlib.suppress(OSError):
            text = (phones_folder() / phone_id / log).read_text(errors="replace")
            said.append(" ".join(text.split())[-500:])
    return f"a loopback phone did not start; it said: {' '.join(said).strip() or 'nothing'}"


# --- down ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One ``up`` or ``down`` at a time in this ``POCKETNAS_HOME``."""
    phones_folder().mkdir(parents=True, exist_ok=True)
    with (phones_folder() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clear_remains() -> None:
    """Clear what is no running phone: half-made ones, and those from before a restart."""
    for phone_id in known_ids() - {phone.id for phone in running()}:
        _clear(phone_id)


def _clear(phone_id: str) -> None:
    """End the phone's processes, then remove its cable and its files; nothing if all is gone."""
    if not processes.end(phone_id, GONE_TIMEOUT_S):
        msg = f"the processes of loopback phone {phone_id} do not end"
        raise OperationError(msg)
    network.disconnect(phone_id)
    (phones_folder() / f"{phone_id}.json").unlink(missing_ok=True)
    folder = phones_folder() / phone_id
    if folder.exists():
        shutil.rmtree(folder)
