"""What works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from workspace.home import home

if TYPE_CHECKING:
    from devices.pool import Found
    from devices.transport import Transport

PHONE_S = 20.0
"""All phones are asked at once, and each must have answered by then."""


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
_TRAIN = (
    "torch",
    "torchvision",
    "timm",
    "optuna",
    "matplotlib",
    "pillow",
    "plotly",
    "pycocotools",
    "safetensors",
    "scikit-learn",
    "tensorboard",
)
_EXTRAS = {
    "train": ("to train candidates and write reports", _TRAIN),
    "video": ("to train on videos in files", ("av",)),
    "export": ("to write TFLite files", ("torch", "flatbuffers")),
    "onnx": ("to write ONNX files", ("torch", "onnx", "onnxruntime", "onnxscript")),
    "quantize": ("to quantize TFLite files", ("ai-edge-quantizer", "flatbuffers")),
    "litert": ("to write TFLite files with operators that ours lacks", ("litert-torch",)),
    "tensorflow": ("to write SavedModels and use TensorFlow's converter", ("tensorflow",)),
}
"""Of ``pyproject.toml``: what each is for, and its packages."""


def examine() -> tuple[Finding, ...]:
    """Look at every part, importing none of the heavy ones and changing nothing."""
    return (
        _python(),
        _packages("core", "to time files on devices", _CORE, "pip install pocketnas"),
        *(
            _packages(f"extra '{extra}'", purpose, names, f"pip install 'pocketnas[{extra}]'")
            for extra, (purpose, names) in _EXTRAS.items()
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


def _packages(part: str, purpose: str, names: tuple[str, ...], remedy: str) -> Finding:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        detail = f"{purpose}; not installed: {', '.join(missing)}"
        return Finding(part=part, health=Health.MISSING, detail=detail, remedy=remedy)
    return Finding(part=part, health=Health.OK, detail=f"{purpose}; {', '.join(found)}")


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
    return tuple(finding for findings in asked(phones, _supported) for finding in findings)


def asked(
    phones: list[Found],
    ask: Callable[[Found], tuple[Finding, ...]],
    *,
    within_s: float = PHONE_S,
) -> list[tuple[Finding, ...]]:
    """What ``ask`` finds of each phone, all at once; one that does not answer in time is broken.

    Its thread is left to the deadlines of its calls, and does not keep the program from ending.
    """
    told: dict[str, tuple[Finding, ...]] = {}

    def find(phone: Found) -> None:
        told[phone.id] = ask(phone)

    until_s = time.monotonic() + within_s
    threads = [threading.Thread(target=find, args=(phone,), daemon=True) for phone in phones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    silent = f"it did not answer within {within_s:g} s: unplug it, or start it anew"
    return [told.get(phone.id, (_phone(phone, Health.BROKEN, silent),)) for phone in phones]


def _supported(phone: Found) -> tuple[Finding, ...]:
    """What a phone says of itself, and what of the measurement protocol it supports.

    A phone that somebody holds is not asked: that would disturb what is being timed.
    """
    from devices.device import DeviceBusyError, DeviceError
    from devices.pool import lease
    from devices.transport import open_transport
    from workspace.errors import InputError

    if phone.problem:
        return (_phone(phone, Health.BROKEN, phone.problem),)
    serial = phone.id.removeprefix("adb:")
    try:
        with lease(phone.id):
            transport = open_transport(phone.id, serial)
            try:
                return (
                    _phone(phone, Health.OK, ""),
                    *_parts(transport, phone.id, serial),
                    _accepted(phone),
                )
            finally:
                transport.close()
    except DeviceBusyError as error:
        return (_phone(phone, Health.OK, f"{error.detail}: ask again then"), _accepted(phone))
    except (DeviceError, InputError) as error:
        return (_phone(phone, Health.BROKEN, str(error)),)


def _parts(transport: Transport, device_id: str, serial: str) -> tuple[Finding, ...]:
    from devices.phone_support import examine

    return (
        _ready(transport, device_id, serial),
        *(
            Finding(
                part=f"{device_id} {part.item}",
                health=Health.OK if part.supported else Health.MISSING,
                detail=part.detail,
                remedy=part.remedy,
            )
            for part in examine(transport, device_id, serial)
        ),
    )


def _ready(transport: Transport, device_id: str, serial: str) -> Finding:
    """Whether the gate would let a session start now."""
    from devices.android import read_info, read_state
    from latency.gates import Gate

    unit = read_info(transport, device_id, serial).unit
    reason = Gate().why_not(unit, read_state(transport))
    return Finding(
        part=f"{device_id} ready to be timed",
        health=Health.MISSING if reason else Health.OK,
        detail="not now" if reason else "charged and cool, as far as it tells",
        remedy=reason,
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
