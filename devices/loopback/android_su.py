"""``su`` on a rooted loopback phone: root within a user namespace, and nobody on this computer.

The processes are a user of their own (2001) whom the namespace calls root. They own the nodes
that root may write, see the shell user's files as root does, and have no rights outside. Only
Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

ROOT_ID = 2001
SHELL_ID = 2000
_ENVIRONMENT = {"PATH": "", "HOME": "/data/local/tmp", "TMPDIR": "/data/local/tmp", "USER": "root"}


def command(arguments: Sequence[str]) -> list[str] | None:
    """What ``su`` is to run, for Android's own (``su 0 CMD``) and Magisk's (``su -c CMD``).

    Returns:
        None if the arguments make no sense.
    """
    match list(arguments):
        case []:
            return ["/bin/sh"]
        case ["-c", *words] if words:
            return ["/bin/sh", "-c", " ".join(words)]
        case [("0" | "root" | "0,0"), *rest]:
            return list(rest) if rest and rest[0] != "-c" else command(rest)
    return None


def start(words: Sequence[str], folder: str, streams: Sequence[int], path: str) -> int:
    """Start it as a process group of its own; its number.

    Args:
        words: What to run.
        folder: Where.
        streams: Its standard input, output and error.
        path: The environment's PATH.
    """
    asked, told = os.pipe()
    mapped, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_root_and_run(words, folder, streams, path, told=told, mapped=mapped)
    os.close(told)
    os.close(mapped)
    try:
        if os.read(asked, 1):
            for table in ("uid_map", "gid_map"):
                with open(f"/proc/{pid}/{table}", "w") as file:
                    file.write(f"0 {ROOT_ID} 1\n{SHELL_ID} {SHELL_ID} 1\n")
            os.write(go, b"1")
    finally:
        os.close(asked)
        os.close(go)
    return pid


def end(pid: int) -> None:
    """Kill it with its children."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _become_root_and_run(
    words: Sequence[str],
    folder: str,
    streams: Sequence[int],
    path: str,
    *,
    told: int,
    mapped: int,
) -> None:
    """Never returns."""
    exit_code = 126
    try:
        os.setsid()
        os.setgroups([])
        for target, source in enumerate(streams):
            os.dup2(source, target)
        os.unshare(os.CLONE_NEWUSER)  # type: ignore[attr-defined] # the phone's Python is 3.13
        os.write(told, b"1")
        if os.read(mapped, 1):
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            with contextlib.suppress(OSError):
                os.chdir(folder)
            os.execve(
                "/usr/bin/setpriv",
                [
                    *("setpriv", "--no-new-privs", "--inh-caps=-all"),
                    *("--seccomp-filter=/etc/pocketnas-sockets.bpf", "--", *words),
                ],
                {**_ENVIRONMENT, "PATH": path},
            )
    finally:
        os._exit(exit_code)
