"""Puts ``benchmark_model`` on a phone, once it is sure that it fits, and notes which one it is."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from devices.device import DevicePermanentError, DeviceTransientError
from devices.phone_cache import FOLDER
from devices.releases import Fetch, release_file, release_of
from devices.runners import Dialect, UnreadableOutputError, dialect_of
from devices.transport import ShellResult, Transport
from workspace.errors import InputError
from workspace.files import sha256_of, write_whole
from workspace.home import home

PROGRAM = "benchmark_model"
PUSH_S = 120.0
CALL_S = 20.0

_MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
"""ELF's ``e_machine`` and Android's name of the ABI."""

_BIG_ENDIAN = 2
_PROGRAM_KINDS = (2, 3)
"""ELF's ``ET_EXEC`` and ``ET_DYN``."""

_KERNELS = {
    "aarch64": ("arm64-v8a",),
    "armv7l": ("armeabi-v7a",),
    "armv8l": ("armeabi-v7a",),
    "x86_64": ("x86_64", "x86"),
    "i686": ("x86",),
}
"""What ``uname -m`` says, for phones that do not list their ABIs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """The program on a phone.

    Attributes:
        path: Where it lies there.
        sha256: Of its bytes.
        dialect: Of its command line, as its ``--help`` tells.
        abi: That it was built for.
        version: Of the release; empty where it came as a file that is none.
        pushed: Whether it was not there before.
    """

    path: str
    sha256: str
    dialect: Dialect
    abi: str
    version: str
    pushed: bool


def provision(
    transport: Transport,
    device_id: str,
    *,
    runner: Path | None = None,
    release: str | None = None,
    fetch: Fetch | None = None,
    folder: str = FOLDER,
) -> Provisioned:
    """Put the program at ``runner``, or that of ``release``, on the phone.

    Args:
        transport: To the phone, whose lease the caller holds.
        device_id: Its id.
        runner: A binary of one's own …
        release: … or the version of a published one; one of the two.
        fetch: How a release is fetched; over HTTP by default.
        folder: Where it goes.

    Raises:
        InputError: If it is no program, or one for another processor.
        OperationError: If the release cannot be fetched.
        DeviceError: If the phone refuses it, with its words.
    """
    if (runner is None) == (release is None):
        msg = f"give either a runner or a release, got {runner and str(runner)!r} and {release!r}"
        raise InputError(msg)
    abis = phone_abis(transport, device_id)
    if release is not None:
        taken = release_file(release, abis[0], fetch)
        program, version = taken.path, taken.version
    else:
        program = _existing(runner)
        version = release_of(sha256_of(program))
    abi = abi_of(program)
    if abi not in abis:
        msg = f"{str(program)!r} is built for {abi}, and {device_id} runs {', '.join(abis)}"
        raise InputError(msg)
    path, sha256 = f"{folder}/{PROGRAM}", sha256_of(program)
    pushed = transport.sha256(path, CALL_S) != sha256
    if pushed:
        transport.push(program, path, sha256, PUSH_S)
    provisioned = Provisioned(
        path=path,
        sha256=sha256,
        dialect=_dialect(transport, device_id, path),
        abi=abi,
        version=version,
        pushed=pushed,
    )
    _note(transport, device_id, provisioned)
    return provisioned


def provisioned_version(transport: Transport, sha256: str, folder: str = FOLDER) -> str:
    """The release that the note beside the program names, if it is of this digest; else empty."""
    result = transport.shell(["cat", f"{folder}/{PROGRAM}.json"], CALL_S)
    try:
        note = json.loads(result.stdout) if result.exit_code == 0 else {}
    except ValueError:
        return ""
    if not isinstance(note, dict) or note.get("sha256") != sha256:
        return ""
    version = note.get("version")
    return version if isinstance(version, str) else ""


def phone_abis(transport: Transport, device_id: str) -> tuple[str, ...]:
    """What the phone runs, what it likes best first.

    Raises:
        DeviceError: If it does not tell, or what it tells is unknown.
    """
    text = "getprop ro.product.cpu.abilist 2>/dev/null || true; uname -m"
    result = transport.script(text, CALL_S)
    *listed, kernel = result.stdout.strip().splitlines() or [""]
    names = [name.strip() for name in "".join(listed).split(",")]
    abis = tuple(name for name in names if name in _MACHINES.values()) or _KERNELS.get(kernel, ())
    if result.exit_code != 0 or not abis:
        msg = f"it does not tell what processor it has: {result.stdout + result.stderr!r}"
        raise DeviceTransientError(device_id, msg, exit_code=result.exit_code)
    return abis


def abi_of(program: Path) -> str:
    """What a program is built for, by its ELF header.

    Raises:
        InputError: If it is none, or for a processor that no phone has.
    """
    with program.open("rb") as file:
        head = file.read(20)
    if head[:4] != b"\x7fELF" or len(head) < 20:
        msg = (
            f"{str(program)!r} is no program for Android (it begins with {head[:4]!r}, not with "
            r"b'\x7fELF'): give the benchmark_model that was built for the phone"
        )
        raise InputError(msg)
    kind, machine = struct.unpack(">HH" if head[5] == _BIG_ENDIAN else "<HH", head[16:20])
    if machine not in _MACHINES or kind not in _PROGRAM_KINDS:
        msg = f"{str(program)!r} is for a processor (ELF machine {machine}) that no phone has"
        raise InputError(msg)
    return _MACHINES[machine]


def _existing(path: Path | None) -> Path:
    if path is None or not path.is_file():
        msg = f"there is no file {str(path)!r}: give the path of a benchmark_model"
        raise InputError(msg)
    return path


def _dialect(transport: Transport, device_id: str, path: str) -> Dialect:
    """What its ``--help`` tells; a phone that does not run it says why."""
    made = transport.shell(["chmod", "755", path], CALL_S)
    answer = transport.shell([path, "--help"], CALL_S) if made.exit_code == 0 else made
    try:
        return dialect_of(answer.stdout + answer.stderr)
    except UnreadableOutputError as error:
        raise DevicePermanentError(
            device_id,
            f"{path} is no benchmark_model that runs there (exit code {answer.exit_code}): "
            f"{_words(answer)}",
            command=(path, "--help"),
            exit_code=answer.exit_code,
            stdout=answer.stdout[:2000],
            stderr=answer.stderr[:2000],
        ) from error


def _words(answer: ShellResult) -> str:
    return " ".join((answer.stderr or answer.stdout).split())[:500] or "it says nothing"


def _note(transport: Transport, device_id: str, provisioned: Provisioned) -> None:
    """Beside the program on the phone, and under the phone's hash in the home folder."""
    note = {
        "format": 1,
        **asdict(provisioned),
        "provisioned_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    del note["pushed"]
    content = json.dumps(note, indent=1).encode()
    kept = home() / "runners" / "phones"
    kept.mkdir(parents=True, exist_ok=True)
    unit = hashlib.sha256(device_id.removeprefix("adb:").encode()).hexdigest()[:12]
    write_whole(kept / f"{unit}.json", content)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "note.json"
        source.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        transport.push(source, f"{provisioned.path}.json", digest, CALL_S)
