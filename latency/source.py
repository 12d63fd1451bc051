"""One question, many ways to answer: what does this network cost on that device?

As text, everywhere the same: ``host`` (this computer), ``adb:SERIAL``, ``adb:any``,
``table:PATH_OR_NAME``, ``predictor:PATH_OR_NAME``, ``hybrid:TABLE,DEVICE`` (predicted, measured
where that decides), and ``package.module:NAME`` for a source of yours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from devices.device import ClockTier, Delegate, DeviceError, RunSettings
from devices.recovery import RECONNECT, Recovery
from exporters.artifact import Artifact, ModelFormat, Precision
from latency.measurement import LatencyMeasurement, Verdict
from search_space.architecture import Architecture, Head
from search_space.space import SearchSpace
from workspace import plugin
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:  # each source is imported when it is asked for
    from devices.device import Device
    from latency.device_source import DeviceSource
    from latency.table_points import PointLatencies


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSubject:
    """A network that may have no file yet; a source that needs one exports it.

    Attributes:
        architecture: At the size that is to be timed.
        head: What it ends in.
    """

    architecture: Architecture
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSubject:
    """A model file that is there already; no table can answer for it.

    Attributes:
        artifact: The file.
    """

    artifact: Artifact


Subject = NetworkSubject | FileSubject


class Decides(StrEnum):
    """What the answer is for: how much it is worth to know it well."""

    REWARD = "reward"
    FRONT = "front"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRequest:
    """A question to a source.

    Attributes:
        id: Stable over restarts, unique in the batch; the answer carries it.
        subject: What is asked about.
        preset: How hard to try: ``quick``, ``search`` or ``final``.
        priority: Larger first.
        decides: What it is for.
        thresholds_ms: Latencies at which what is decided changes, such as what is too slow to be
            trained. A source that predicts measures if one is in its interval.
    """

    id: str
    subject: Subject
    preset: str = "search"
    priority: int = 0
    decides: Decides = Decides.REWARD
    thresholds_ms: tuple[float, ...] = ()


class Origin(StrEnum):
    """Where a latency came from."""

    MEASURED = "measured"
    STORED = "stored"
    TABLE = "table"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEstimate:
    """An answer.

    Attributes:
        request_id: Of the request.
        latency_ms: The number, in milliseconds; where ``devices`` are told it is a load, which
            has no unit (``latency.load``), and so are the ends of its interval.
        low_ms: Lower end of its interval.
        high_ms: Upper end of its interval.
        origin: How it was found.
        source: The source as text, e.g. ``"table:pixel1"`` or ``"adb:1A2B"`` (never ``adb:any``).
        coverage: Share of the network that is known and not extrapolated, in `[0, 1]`.
        verdict: Of the measurement; ``stable`` for a table that knows every part.
        measurement: What was measured; None for a table.
        artifact_sha256: Of the file that was timed; empty for a table.
        labels: What has to be said of the number beyond its measurement, for people.
        predicted: What was predicted before it was measured; None where nothing was.
        devices: What each device of a fleet says; empty where one source answers for itself.
    """

    request_id: str
    latency_ms: float
    low_ms: float
    high_ms: float
    origin: Origin
    source: str
    coverage: float
    verdict: Verdict
    measurement: LatencyMeasurement | None = None
    artifact_sha256: str = ""
    labels: tuple[str, ...] = ()
    predicted: LatencyEstimate | None = None
    devices: tuple[DeviceEstimate, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether a device told it, now or before; of a fleet, whether all did."""
        return self.origin in (Origin.MEASURED, Origin.STORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEstimate:
    """What one device of a fleet says of a network.

    Attributes:
        name: Of the device in its fleet.
        target_ms: What it may take there.
        weight: Of the device among all.
        estimate: Its answer, in milliseconds.
    """

    name: str
    target_ms: float
    weight: float
    estimate: LatencyEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFailure:
    """A stated failure of one request; the rest of the batch goes on.

    Attributes:
        request_id: Of the request.
        text: One sentence: what failed, where, and what was said.
        retryable: Whether the same request may succeed later.
    """

    request_id: str
    text: str
    retryable: bool


LatencyAnswer = LatencyEstimate | LatencyFailure


class LatencySource(Protocol):
    """Answers for networks or files.

    Laws, held by ``latency.testing.LatencySourceContract``: each request is answered exactly once,
    in order of completion; an answer depends on the subject, the conditions and the preset alone;
    ``estimate`` may be called from ``lanes`` threads at once.
    """

    @property
    def name(self) -> str:
        """The source as text."""
        ...

    @property
    def lanes(self) -> int:
        """How many requests it can really work on at once: its number of devices."""
        ...

    @property
    def on_this_computer(self) -> bool:
        """Whether estimating takes cores of this computer, which training must then leave."""
        ...

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """Answer each request.

        Raises:
            InputError: If a subject is of a kind that this source can never answer.
        """
        ...

    def close(self) -> None:
        """Give back devices and files."""
        ...


@runtime_checkable
class SpaceSource(Protocol):
    """A ``LatencySource`` that can tell of a whole space before any of it is tried: a table."""

    def require_covers(self, space: SearchSpace, head: Head) -> None:
        """Do nothing if it can answer for every network of ``space``.

        Raises:
            InputError: If it cannot; the text names what it lacks.
        """
        ...

    def over(self, space: SearchSpace, head: Head) -> PointLatencies:
        """The latencies of all points at once, the fastest and the slowest of them.

        Raises:
            InputError: If it cannot answer for the space, or only one by one.
        """
        ...


@runtime_checkable
class RefiningSource(Protocol):
    """A ``LatencySource`` that predicts, and measures what decides."""

    def refines(self) -> bool:
        """Whether asking again, now for what decides a front, may give a better answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What a source that times on devices wants to know.

    Attributes:
        threads: CPU threads given to the runtime.
        cores: CPU numbers to pin to; empty leaves it to the device.
        delegate: What computes.
        timeout_s: Limit on one session; 60 runs of a network that takes three seconds fit in.
        precision: That exported files of networks have; int8 ones have stand-in scales.
        exporter: Which makes files of networks, or ``package.module:NAME``.
        store: Database URL of measurements; empty for the one in ``POCKETNAS_HOME``.
        reuse: Whether an earlier measurement under the same conditions is an answer.
        clock_tier: How firmly a phone's clock is to be held.
        recovery: How far to go for a phone that does not answer any more.
        in_app: Whether a phone is timed inside Google's benchmark app instead of by its program.
        apk: The app's package, to be installed; empty where it is there.
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    delegate: Delegate = Delegate.CPU
    timeout_s: float = 240.0
    precision: Precision = Precision.FP32
    exporter: str = ModelFormat.TFLITE.value
    store: str = ""
    reuse: bool = True
    clock_tier: ClockTier = ClockTier.FREE
    recovery: Recovery = RECONNECT
    in_app: bool = False
    apk: str = ""

    @property
    def placement(self) -> RunSettings:
        """Where a session runs; how long is the protocol's."""
        return RunSettings(
            threads=self.threads,
            cores=self.cores,
            delegate=self.delegate,
            timeout_s=self.timeout_s,
            clock_tier=self.clock_tier,
        )


ANY_PHONE = "adb:any"
"""Every phone that is ready, all of one kind."""

FORMS = (
    "host, adb:SERIAL, adb:any, table:NAME_OR_PATH, predictor:NAME_OR_PATH, "
    "hybrid:TABLE_OR_PREDICTOR,DEVICE, and package.module:NAME for one of yours"
)
"""Of a source as text."""


def create(text: str, settings: SourceSettings) -> LatencySource:
    """The source that ``text`` names; its devices are there and answer.

    A user's NAME is a ``LatencySource``, or a callable that takes ``settings`` and returns one.

    Raises:
        InputError: If there is no such source, phone or table; the text says what there is.
        DeviceError: If a device is there and does not answer.
    """
    kind, _, rest = text.partition(":")
    match kind:
        case "table" if rest:
            return _table(text, rest, settings)
        case "predictor" if rest:
            return _predictor(text, rest, settings)
        case "hybrid" if rest:
            return _hybrid(text, rest, settings)
        case "host" if text == "host":
            return _on_devices(text, settings)
        case "adb" if rest:
            return _on_devices(text, settings)
        case "host" | "adb" | "table" | "predictor" | "hybrid":
            pass
        case _ if plugin.is_reference(text):
            return _own(text, settings)
    msg = f"unknown source {text!r}; there are {FORMS}"
    raise InputError(msg)


def _table(text: str, name: str, settings: SourceSettings) -> LatencySource:
    from latency.table_file import load
    from latency.table_source import TableSource

    table = load(name)
    _require_precision(text, table.conditions, settings)
    return TableSource(table)


def _predictor(text: str, name: str, settings: SourceSettings) -> LatencySource:
    from latency.predictor_file import load
    from latency.predictor_source import PredictorSource

    record = load(name)
    _require_precision(text, record.conditions, settings)
    return PredictorSource(record)


def _hybrid(text: str, both: str, settings: SourceSettings) -> LatencySource:
    from latency.hybrid_source import HybridSource, learning

    knows, _, device = both.rpartition(",")
    knows = knows if knows.startswith(("table:", "predictor:")) else f"table:{knows}"
    if knows.endswith(":") or not device or device.startswith(("table:", "predictor:", "hybrid:")):
        msg = (
            f"{text!r} needs a table or predictor and a device, as in "
            "hybrid:lab-phone,adb:any or hybrid:predictor:lab-phone,host"
        )
        raise InputError(msg)
    told = create(knows, settings)
    return HybridSource(learning(told), create(device, settings), text)


def _require_precision(
    text: str, conditions: Mapping[str, object], settings: SourceSettings
) -> None:
    """Do nothing if latencies under ``conditions`` are of files as the settings want them."""
    told = conditions.get("precision", Precision.FP32.value)
    if told != settings.precision.value:
        msg = f"{text} holds latencies of {told}, {settings.precision} was asked for"
        raise InputError(msg)


def _on_devices(text: str, settings: SourceSettings) -> DeviceSource:
    from devices.pool import lease
    from latency.device_source import DeviceSource
    from latency.model_files import ModelFiles
    from latency.store import MeasurementStore

    files = ModelFiles(settings.exporter, settings.precision)
    store = MeasurementStore(settings.store) if settings.store else MeasurementStore.shared()
    devices = _devices(text, settings)
    try:
        return DeviceSource(
            text,
            devices,
            lease=lease,
            files=files,
            store=store,
            placement=settings.placement,
            reuse=settings.reuse,
        )
    except (InputError, DeviceError):
        for device in devices:
            device.close()
        raise


def _devices(text: str, settings: SourceSettings) -> list[Device]:
    """This computer, the phone that ``text`` names, or all that are ready for ``adb:any``."""
    from devices.pool import discover, open_device

    if text == "host":
        _refuse_app(text, settings)
        return [open_device(text)]
    phones = [found for found in discover() if found.id.startswith("adb:")]
    known = ", ".join(f"{p.id} ({p.problem})" if p.problem else p.id for p in phones)
    there = f"there is {known}" if known else "no phone is attached"
    if text == ANY_PHONE:
        ready = [phone.id for phone in phones if not phone.problem]
        if not ready:
            msg = f"{ANY_PHONE!r} needs a phone that is ready; {there}"
            raise InputError(msg)
        return _opened(ready, settings)
    if text in {phone.id for phone in phones}:
        return [_phone(text, settings)]
    why = ""
    if ":" in text.removeprefix("adb:"):  # HOST:PORT is found only by asking there
        device = _phone(text, settings)
        try:
            device.state()
        except DeviceError as error:
            device.close()
            why = f" ({error.detail})"
        else:
            return [device]
    msg = f"no phone {text!r}{why}; {there}"
    raise InputError(msg)


def _opened(ids: list[str], settings: SourceSettings) -> list[Device]:
    """Those phones that can be opened.

    Raises:
        DeviceError: If none can.
    """
    from devices.quarantine import report_failure

    opened: list[Device] = []
    for index, device_id in enumerate(ids):
        try:
            opened.append(_phone(device_id, settings))
        except DeviceError as error:
            if not opened and index == len(ids) - 1:
                raise
            with suppress(OperationError):  # a full disk costs the quarantine a word
                report_failure(device_id, error.detail)
    return opened


def _refuse_app(text: str, settings: SourceSettings) -> None:
    if settings.in_app:
        msg = f"only a phone has an app to be timed in, got {text!r}: give --on adb:SERIAL"
        raise InputError(msg)


def _phone(device_id: str, settings: SourceSettings) -> Device:
    """A phone as the settings want it."""
    from devices.pool import open_device

    phone = open_device(device_id, settings.recovery)
    if not settings.in_app:
        return phone
    from devices.adb import AdbDevice
    from devices.app_device import AppDevice

    if not isinstance(phone, AdbDevice):
        phone.close()
        msg = f"{device_id} has no app to be timed in"
        raise InputError(msg)
    return AppDevice(phone, Path(settings.apk) if settings.apk else None)


def _own(reference: str, settings: SourceSettings) -> LatencySource:
    found = plugin.load(reference, "a latency source")
    made = found(settings) if callable(found) else found
    parts = ("name", "lanes", "on_this_computer", "estimate", "close")
    missing = [part for part in parts if not hasattr(made, part)]
    if missing:
        msg = f"{reference!r} is no latency source: it lacks {', '.join(missing)}"
        raise InputError(msg)
    return cast("LatencySource", made)
