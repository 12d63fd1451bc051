"""What a loopback phone needs of this computer, and running the programs it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workspace.errors import OperationError

PROGRAMS = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "tc": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
"""Program and the Debian package it comes in."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where system programs lie, whatever the caller's PATH leaves out."""


def missing() -> str | None:
    """One sentence that says what this computer lacks for a loopback phone; None if nothing."""
    if sys.platform != "linux":
        return f"a loopback phone needs Linux (namespaces and Debian's adbd), not {sys.platform}"
    if os.geteuid() != 0:
        return "a loopback phone needs root (namespaces, mounts, a network of its own): use sudo"
    packages = {package for name, package in PROGRAMS.items() if not _found(name)}
    if packages:
        return (
            "a loopback phone needs programs that are not installed: "
            f"apt-get install {' '.join(sorted(packages))}"
        )
    return None


def require() -> None:
    """Do nothing where a loopback phone can be had.

    Raises:
        OperationError: With what is missing.
    """
    lacking = missing()
    if lacking:
        raise OperationError(lacking)


def run(*command: str | Path, stdin: str = "", timeout_s: float = 30.0) -> str:
    """What a system program printed.

    Raises:
        OperationError: If it failed or took longer than ``timeout_s``.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"'{' '.join(words)}' did not end well: {error}"
        raise OperationError(msg) from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        msg = f"'{' '.join(words)}' ended with exit code {done.returncode}: {said}"
        raise OperationError(msg)
    return done.stdout


def environment() -> dict[str, str]:
    """The caller's environment, with the system's programs in reach and messages in English."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}".lstrip(":")
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}


def _found(program: str) -> bool:
    return shutil.which(program, path=environment()["PATH"]) is not None
