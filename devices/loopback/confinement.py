"""A seccomp filter that keeps adbd's sockets inside the phone's network namespace.

adbd listens on TCP and, always, on AF_VSOCK, which belongs to no network namespace: its shell
would be open to the whole machine and to the hypervisor that runs it. So a phone may only make
sockets of the families that its namespace confines.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

from workspace.errors import OperationError

FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: each is confined by the network namespace."""

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_IO_URING_SETUP = 425  # it makes sockets too, past any filter
_X32 = 0x40000000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """What Linux calls an architecture in a filter, and its number of the call ``socket``."""

    audit: int
    socket: int


_MACHINES = {
    "x86_64": _Machine(audit=0xC000003E, socket=41),
    "aarch64": _Machine(audit=0xC00000B7, socket=198),
}


def socket_filter(machine: str = "") -> bytes:
    """Classic BPF for ``setpriv --seccomp-filter``: sockets of other families do not exist.

    Args:
        machine: As ``platform.machine()`` names it; this computer's by default.

    Raises:
        OperationError: For a machine whose calls are not known here.
    """
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        msg = f"a loopback phone needs a machine of {' or '.join(_MACHINES)}, not {machine}"
        raise OperationError(msg)
    this = _MACHINES[machine]
    # Jumps count the instructions to skip: if the test holds, if it does not.
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, this.audit),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),  # 32-bit programs
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 1, 0, _X32),
        (_EQUAL, 0, 1, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_EQUAL, 1, 0, this.socket),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        *((_EQUAL, len(FAMILIES) - i, 0, family) for i, family in enumerate(FAMILIES)),
        (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
