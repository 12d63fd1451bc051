"""What works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from workspace.home import home

if TYPE_CHECKING:
    from devices.pool import Found


class Health(StrEnum):
    """How a part of the machine is."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part of the machine.

    Attributes:
        part: Its name.
        health: How it is.
        detail: What was found.
        remedy: What to do about it; empty if nothing is needed.
    """

    part: str
    health: Health
    detail: str
    remedy: str = ""


_CORE = ("ai-edge-litert", "adb-shell", "sqlalchemy", "numpy")
_EXTRAS = {
    "train": ("torch", "torchvision", "timm", "optuna", "scikit-learn"),
    "export": ("torch", "flatbuffers"),
}


def examine() -> tuple[Finding, ...]:
    """Look at every part, importing none of the heavy ones and changing nothing."""
    return (
        _python(),
        _packages("core", _CORE, "pip install pocketnas"),
        *(
            _packages(f"extra '{extra}'", names, f"pip install 'pocketnas[{extra}]'")
            for extra, names in _EXTRAS.items()
        ),
        _home(),
        _processor(),
        _fashion_mnist(),
        _loopback(),
        *_phones(),
    )


def _python() -> Finding:
    return Finding(
        part="python",
        health=Health.OK,
        detail=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    )


def _packages(part: str, names: tuple[str, ...], remedy: str) -> Finding:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        detail = f"not installed: {', '.join(missing)}"
        return Finding(part=part, health=Health.MISSING, detail=detail, remedy=remedy)
    return Finding(part=part, health=Health.OK, detail=", ".join(found))


def _home() -> Finding:
    folder = home()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        return Finding(
            part="home folder",
            health=Health.BROKEN,
            detail=f"{folder}: {existing} is not writable",
            remedy="set POCKETNAS_HOME to a folder that is",
        )
    free_gb = shutil.disk_usage(existing).free / 1e9
    return Finding(part="home folder", health=Health.OK, detail=f"{folder}, {free_gb:.0f} GB free")


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    detail = f"{cores} cores, load {load:.1f}"
    if load > 0.5 * (cores or 1):
        remedy = "other programs are busy: latencies taken on this computer will be noisy"
        return Finding(
            part="this computer as a device", health=Health.OK, detail=detail, remedy=remedy
        )
    return Finding(part="this computer as a device", health=Health.OK, detail=detail)


def _fashion_mnist() -> Finding:
    from training.fashion_mnist import DEBIAN_FOLDER, folder

    found = folder()
    if found is None:
        return Finding(
            part="data set fashion-mnist",
            health=Health.MISSING,
            detail=f"neither in {DEBIAN_FOLDER} nor in {home() / 'datasets'}",
            remedy="apt-get install dataset-fashion-mnist, or let the first use download it",
        )
    return Finding(part="data set fashion-mnist", health=Health.OK, detail=str(found))


def _loopback() -> Finding:
    from devices.loopback.needs import missing

    lacking = missing()
    if lacking is None:
        return Finding(
            part="loopback phones", health=Health.OK, detail="'pocketnas phone up' starts one"
        )
    return Finding(
        part="loopback phones",
        health=Health.MISSING,
        detail="not on this machine as it is",
        remedy=lacking,
    )


def _phones() -> tuple[Finding, ...]:
    from devices.pool import discover

    phones = [found for found in discover() if found.id != "host"]
    if not phones:
        return (
            Finding(
                part="phones",
                health=Health.MISSING,
                detail="none attached",
                remedy="switch on USB debugging in the phone's developer options and plug it in",
            ),
        )
    with ThreadPoolExecutor(max_workers=len(phones)) as workers:
        told = list(workers.map(_supported, phones))
    return tuple(finding for findings in told for finding in findings)


def _supported(phone: Found) -> tuple[Finding, ...]:
    """What a phone says of itself, and what of the measurement protocol it supports."""
    from devices.device import DeviceError
    from devices.phone_support import examine
    from devices.transport import open_transport
    from workspace.errors import InputError

    if phone.problem:
        return (_phone(phone, Health.BROKEN, phone.problem),)
    serial = phone.id.removeprefix("adb:")
    try:
        transport = open_transport(phone.id, serial)
        try:
            parts = examine(transport, phone.id, serial)
        finally:
            transport.close()
    except (DeviceError, InputError) as error:
        return (_phone(phone, Health.BROKEN, str(error)),)
    return (
        _phone(phone, Health.OK, ""),
        *(
            Finding(
                part=f"{phone.id} {part.item}",
                health=Health.OK if part.supported else Health.MISSING,
                detail=part.detail,
                remedy=part.remedy,
            )
            for part in parts
        ),
        _accepted(phone),
    )


def _phone(phone: Found, health: Health, remedy: str) -> Finding:
    return Finding(part=phone.id, health=health, detail=phone.description, remedy=remedy)


def _accepted(phone: Found) -> Finding:
    from pocketnas.acceptances import last_acceptance

    accepted = last_acceptance(phone.id)
    test = f"pocketnas devices accept {phone.id}"
    if accepted is None:
        return Finding(
            part=f"{phone.id} acceptance test",
            health=Health.MISSING,
            detail="never done",
            remedy=f"{test} (15 minutes)",
        )
    return Finding(
        part=f"{phone.id} acceptance test",
        health=Health.OK if accepted.passed else Health.BROKEN,
        detail=str(accepted),
        remedy="" if accepted.passed else f"see to it, then {test}",
    )
