#!/usr/bin/python3 -IS
"""Android's commands on a loopback phone: this program, under each of their names.

It hands its arguments to the phone's daemon and prints what that answers. ``taskset`` runs the
command itself; ``su`` hands over its streams too. It is started for every command, so it imports
next to nothing.
"""

from __future__ import annotations

import _socket
import os
import sys

SOCKET = "/run/pocketnas/phone.sock"
CORES_FILE = "/run/pocketnas/cores"
CORES_VARIABLE = "POCKETNAS_CORES"
"""The cores of the phone that a process and its children are pinned to."""


def main(name: str, arguments: list[str]) -> int:
    """Run one command; its exit code."""
    if name == "taskset" and not (arguments and arguments[0] in ("-p", "-ap", "-pa")):
        return taskset(arguments)
    try:
        return ask([name, os.getcwd(), *arguments], streams=name == "su")
    except OSError as error:
        sys.stderr.write(f"{name}: the simulated Android does not answer: {error}\n")
        return 1


def ask(words: list[str], *, streams: bool = False) -> int:
    """Let the daemon do it."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(SOCKET)
    request = "\0".join(words).encode(errors="surrogateescape")
    message = len(request).to_bytes(4, "big") + request
    if streams:
        handles = b"".join(n.to_bytes(4, sys.byteorder) for n in (0, 1, 2))
        sent = connection.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handles)])
        message = message[sent:]
    while message:
        message = message[connection.send(message) :]
    answer = b""
    while part := connection.recv(65536):
        answer += part
    head, _, text = answer.partition(b"\n")
    exit_code, size = map(int, head.split())
    os.write(1, text[:size]) if size else None
    os.write(2, text[size:]) if text[size:] else None
    return exit_code


def taskset(arguments: list[str]) -> int:
    """As toybox's: a hexadecimal mask without ``0x``, then the command.

    The command really runs on the cores of the mask where this computer has all of them, else
    wherever the kernel likes; how fast the phone's cores are is kept to either way.
    """
    while arguments and arguments[0] == "-a":
        arguments = arguments[1:]
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write('taskset: needs at least 1 argument (see "taskset --help")\n')
        return 1
    mask, command = arguments[0], arguments[1:]
    try:
        bits = int(mask, 16) if mask.isalnum() and "x" not in mask.lower() else -1
    except ValueError:
        bits = -1
    if bits < 0 or not command:
        reason = f"bad mask '{mask}'" if bits < 0 else "needs 2 arguments"
        sys.stderr.write(f"taskset: {reason}\n")
        return 1
    with open(CORES_FILE) as file:
        cores = [core for core in range(int(file.read())) if bits >> core & 1]
    if not cores:
        sys.stderr.write(f"taskset: failed to set {os.getpid()}'s affinity: Invalid argument\n")
        return 1
    os.environ[CORES_VARIABLE] = ",".join(map(str, cores))
    everywhere = range(os.cpu_count() or 1)
    try:
        os.sched_setaffinity(0, cores if set(cores) <= set(everywhere) else everywhere)
    except OSError:  # this computer keeps them from us: unpinned
        sys.stderr.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"taskset: exec {command[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
