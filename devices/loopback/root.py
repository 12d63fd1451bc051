"""The Debian root that all loopback phones share, read-only; built once and kept.

It holds Debian's ``adbd`` (Google's own daemon), Python, and the LiteRT version that this
computer uses. The phone's own files (``/data``, its identity) are never in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.loopback import needs
from devices.loopback.confinement import socket_filter
from devices.loopback.mirror import VARIABLE, debian_mirror
from devices.loopback.state import shelter
from workspace.errors import OperationError

SUITE = "trixie"
PYTHON = "3.13"
"""The suite's Python, for which LiteRT is fetched."""
PACKAGES = ("adbd", "python3")
RUNTIME = ("ai-edge-litert", "numpy")
"""What the stand-in needs at run time; LiteRT's other dependencies serve its converters."""
RUNTIME_FOLDER = "opt/pocketnas-runner"
SHELL_ID = 2000
"""The user that adbd and all commands run as, as on Android: no privileges, even inside."""
RECIPE = 2
"""Raise it when the steps below change, so that nobody keeps an old root."""
BUILD_TIMEOUT_S = 1800.0

STAND_IN_PROGRAM = Path(__file__).parent / "benchmark_model_standin.py"
_TRIAL = f"""
import sys
sys.path.insert(0, "/{RUNTIME_FOLDER}")
import standin_on_trial
core = standin_on_trial.import_numpy_core(alone=True)
from ai_edge_litert import interpreter
assert (core.frombuffer(bytes(4), dtype="u1") / 255 - 0.5).astype("f4").tolist() == [-0.5] * 4
"""

Say = Callable[[str], None]


def root_path() -> Path:
    """Where the root of this version lies once it is built; its name is a hash of what is in it.

    Raises:
        OperationError: If LiteRT is not installed here, so that there is no version to follow.
    """
    parts = (SUITE, *PACKAGES, *_pins(), PYTHON, platform.machine(), str(RECIPE))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return shelter() / f"root-{digest[:12]}"


def ensure_root(say: Say = lambda _: None) -> Path:
    """The root, built if need be (under a minute, some 150 MB fetched).

    Args:
        say: Told about the steps of a build.

    Raises:
        OperationError: If this computer cannot build it; nothing is left then.
        InputError: If ``$POCKETNAS_DEBIAN_MIRROR`` is no address.
    """
    root = root_path()
    if not root.exists():
        needs.require()
        shelter().mkdir(parents=True, exist_ok=True)
        with _one_builder():
            if not root.exists():
                _build(root, say)
    return root.resolve()


@contextmanager
def _one_builder() -> Iterator[None]:
    with (shelter() / ".build-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(root: Path, say: Say) -> None:
    building = shelter() / f".building-{root.name}"
    shutil.rmtree(building, ignore_errors=True)  # of a build that was killed
    try:
        say(f"Building the loopback phone's root (once): Debian {SUITE} with adbd")
        _install_debian(building)
        say(f"Adding {' and '.join(_pins())}")
        _install_runtime(building / RUNTIME_FOLDER)
        _furnish(building)
        building.rename(root)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _install_debian(root: Path) -> None:
    """Unpack and set up Debian, in namespaces of its own so that no mount or process stays.

    ``--force-check-gpg`` refuses packages that are not signed by Debian.
    """
    mirror = debian_mirror()
    try:
        needs.run(
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("debootstrap", "--variant=minbase", "--force-check-gpg"),
            *(f"--include={','.join(PACKAGES)}", SUITE, str(root), *([mirror] if mirror else [])),
            timeout_s=BUILD_TIMEOUT_S,
        )
    except OperationError as error:
        msg = (
            f"Debian {SUITE} could not be installed for the loopback phone: {error} (it takes a "
            "Debian mirror, by default apt's, else set "
            f"{VARIABLE}; and the package debian-archive-keyring with {SUITE}'s keys)"
        )
        raise OperationError(msg) from error


def _install_runtime(folder: Path) -> None:
    """Fetch LiteRT for the phone's Python with this computer's pip and its settings."""
    needs.run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"),
        *("--target", str(folder), "--python-version", PYTHON, "--only-binary=:all:", *_pins()),
        timeout_s=BUILD_TIMEOUT_S,
    )


def _furnish(root: Path) -> None:
    """What a phone expects to find, and the places where its own files are mounted."""
    for folder in ("data", "dev/pts", "dev/shm"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/pocketnas-loopback").touch()
    (root / "etc/pocketnas-sockets.bpf").write_bytes(socket_filter())
    with (root / "etc/passwd").open("a") as file:
        file.write(f"shell:x:{SHELL_ID}:{SHELL_ID}::/data/local/tmp:/bin/sh\n")
    with (root / "etc/group").open("a") as file:
        file.write(f"shell:x:{SHELL_ID}:\n")
    for unused in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / unused, ignore_errors=True)
    # The root is read-only later: without compiled files every start would compile again.
    needs.run("chroot", root, "/usr/bin/python3", "-m", "compileall", "-q", f"/{RUNTIME_FOLDER}")
    _try_numpy_core(root)


def _try_numpy_core(root: Path) -> None:
    """Find out whether this LiteRT runs with this numpy's core alone, which halves its start."""
    program = root / RUNTIME_FOLDER / "standin_on_trial.py"
    shutil.copyfile(STAND_IN_PROGRAM, program)
    try:
        needs.run("chroot", root, "/usr/bin/python3", "-IS", "-c", _TRIAL)
    except OperationError:
        return
    finally:
        program.unlink()
    (root / RUNTIME_FOLDER / ".numpy-core-suffices").touch()


def _pins() -> tuple[str, ...]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return tuple(f"{name}=={version(name)}" for name in RUNTIME)
    except PackageNotFoundError as error:
        msg = f"a loopback phone runs the LiteRT version installed here, and {error} is not"
        raise OperationError(msg) from error
