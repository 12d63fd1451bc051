"""How a program on a phone ended: a shell tells signal N as exit code 128 + N.

The numbers are Linux's, whatever this computer has.
"""

from __future__ import annotations

SIGNALED_FROM = 128

SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
    31: "SIGSYS",
}

FROM_OUTSIDE = frozenset({"SIGHUP", "SIGPIPE", "SIGKILL", "SIGTERM"})
"""What a program gets that others end, or whose connection is lost: it may pass."""


def signal_of(exit_code: int) -> str:
    """The name of the signal that ended a program; empty if it ended by itself.

    >>> signal_of(139), signal_of(1), signal_of(255)
    ('SIGSEGV', '', '')
    """
    return SIGNALS.get(exit_code - SIGNALED_FROM, "")
