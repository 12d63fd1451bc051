"""Which loopback phones are up, as files in ``POCKETNAS_HOME/loopback/phones`` tell.

A phone has a folder ``<id>/`` from before its first process to after its last, and a file
``<id>.json`` while it is up.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from devices.loopback import processes
from workspace.errors import OperationError
from workspace.files import write_whole
from workspace.home import home

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A loopback phone that is up.

    Attributes:
        id: Eight hex digits, new each time.
        serial: As adb names it: address and port.
        unit: Which unit it says it is: the same whenever this computer has one at this address.
        pid: Its first process, as seen from this computer.
        netns: Its network namespace, e.g. for ``nsenter --net=…``.
        link: This computer's end of its cable.
        started_at: ISO 8601, with the timezone.
        scenario: The name of the one that it follows; empty for none.
    """

    id: str
    serial: str
    unit: str
    pid: int
    netns: str
    link: str
    started_at: str
    scenario: str = ""


def shelter() -> Path:
    """The folder in ``POCKETNAS_HOME`` that holds roots and phones."""
    return home() / "loopback"


def phones_folder() -> Path:
    """The folder that holds the phones."""
    return shelter() / "phones"


def running() -> tuple[Phone, ...]:
    """The phones of this ``POCKETNAS_HOME`` that are up, oldest first; needs no rights.

    Raises:
        OperationError: If a file there is of another version.
    """
    alive = processes.alive()
    phones = []
    for path in phones_folder().glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # taken down just now
            phone = _read(path)
            if phone.id in alive:
                phones.append(phone)
    return tuple(sorted(phones, key=lambda phone: (phone.started_at, phone.serial)))


def announce(phone: Phone) -> None:
    """From here on it is up."""
    content = json.dumps({"version": _VERSION, **asdict(phone)}, indent=1) + "\n"
    write_whole(phones_folder() / f"{phone.id}.json", content.encode())


def known_ids() -> frozenset[str]:
    """Every phone that has a folder or a file, up or not."""
    if not phones_folder().exists():
        return frozenset()
    names = (path.name for path in phones_folder().iterdir())
    return frozenset(name.removesuffix(".json") for name in names if not name.startswith("."))


def _read(path: Path) -> Phone:
    try:
        content = json.loads(path.read_text())
        if content.pop("version") == _VERSION:
            return Phone(**content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path} is damaged ({error}): delete it, then run 'pocketnas phone down'"
        raise OperationError(msg) from error
    msg = f"{path} was written by another version: run that one's 'pocketnas phone down'"
    raise OperationError(msg)
