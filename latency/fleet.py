"""Several devices asked as one source: every network on all of them, each with its own target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from latency.load import Load, LoadRule
from latency.measurement import Verdict
from latency.source import (
    Decides,
    DeviceEstimate,
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    Origin,
    RefiningSource,
)
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from latency.lanes import LaneReport


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDevice:
    """One device of a fleet, or what stands for it.

    Attributes:
        name: For people; no other device of the fleet has it.
        source: Answers for it; owned by the fleet.
        target_ms: What a network may take on it; positive and finite.
        weight: Of the device among all; positive and finite.
    """

    name: str
    source: LatencySource
    target_ms: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_ms) and self.target_ms > 0):
            msg = f"the target of {self.name} must be positive, got {self.target_ms!r} ms"
            raise InputError(msg)


_Told = tuple[str, LatencyAnswer]
"""A device's name and its answer."""


class FleetSource:
    """Answers with the load on a fleet; a ``LatencySource``.

    What it answers is no latency but a load (``latency.load``), with each device's own latency
    beside it, and thresholds of requests are loads too. Every device is asked at the same time,
    and each has a queue of its own, so that none waits for another; those on this computer share
    one, so that they don't disturb each other. One device's rejected answer rejects the
    whole, and its failure is the failure of the whole, with its name.

    Where a threshold lies inside the interval, the devices that only predicted are asked once
    more, for a measurement.

    Args:
        devices: At least one, their names all different.
        rule: Makes one load of theirs; its weights are the devices'.

    Raises:
        InputError: If two devices have one name, or the rule is for another number of them.
    """

    def __init__(self, devices: Sequence[FleetDevice], rule: LoadRule) -> None:
        names = [device.name for device in devices]
        if len(set(names)) < len(names) or len(names) != len(rule.weights):
            msg = f"a fleet needs names that differ and a weight for each device, got {names}"
            raise InputError(msg)
        self.devices = tuple(devices)
        self.rule = rule
        here = [device for device in devices if device.source.on_this_computer]
        shared = ThreadPoolExecutor(1) if len(here) > 1 else None
        self._queues = {
            device.name: shared
            if shared is not None and device.source.on_this_computer
            else ThreadPoolExecutor(device.source.lanes)
            for device in devices
        }

    @property
    def name(self) -> str:
        """See ``LatencySource.name``."""
        sources = ", ".join(device.source.name for device in self.devices)
        return f"{self.rule.kind} of {sources}"

    @property
    def lanes(self) -> int:
        """All devices': one may go ahead while another is still at the network before."""
        return sum(device.source.lanes for device in self.devices)

    @property
    def on_this_computer(self) -> bool:
        """Whether any of them is."""
        return any(device.source.on_this_computer for device in self.devices)

    def refines(self) -> bool:
        """See ``RefiningSource``."""
        return any(_refines(device) for device in self.devices)

    def report(self) -> tuple[LaneReport, ...]:
        """How well each phone was used so far, of those sources that tell."""
        reports = (getattr(device.source, "report", None) for device in self.devices)
        return tuple(lane for report in reports if report is not None for lane in report())

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``.

        Raises:
            InputError: If a device can never answer for such a subject.
        """
        undecided: dict[str, Mapping[str, LatencyAnswer]] = {}
        plain = [replace(request, thresholds_ms=()) for request in requests]
        by_id = {request.id: request for request in requests}
        for request_id, answers in self._asked(self.devices, plain):
            answer = self._combined(request_id, answers)
            if self._is_undecided(answer, by_id[request_id]):
                undecided[request_id] = answers
            else:
                yield answer
        if undecided:
            refining = [device for device in self.devices if _refines(device)]
            again = [replace(r, decides=Decides.FRONT) for r in plain if r.id in undecided]
            for request_id, better in self._asked(refining, again):
                yield self._combined(request_id, {**undecided[request_id], **better})

    def close(self) -> None:
        """Give back all devices; what was not begun is answered with a failure."""
        for queue in self._queues.values():
            queue.shutdown(wait=False, cancel_futures=True)
        for device in self.devices:
            device.source.close()

    def _asked(
        self, devices: Sequence[FleetDevice], requests: Sequence[LatencyRequest]
    ) -> Iterator[tuple[str, dict[str, LatencyAnswer]]]:
        """Each request's id with the devices' answers, as soon as the last one has come."""
        done: SimpleQueue[_Told | None] = SimpleQueue()
        found: dict[str, dict[str, LatencyAnswer]] = {request.id: {} for request in requests}
        futures = []
        for device in devices if requests else ():
            future = self._queues[device.name].submit(_ask, device, requests, done)
            future.add_done_callback(lambda _: done.put(None))
            futures.append(future)
        working = len(futures)
        while working:
            told = done.get()
            if told is None:
                working -= 1
                continue
            name, answer = told
            own = found[answer.request_id]
            own[name] = answer
            if len(own) == len(devices):
                yield answer.request_id, found.pop(answer.request_id)
        _require_ended(futures)
        for request_id, own in found.items():
            gone = {d.name: _unanswered(request_id) for d in devices if d.name not in own}
            yield request_id, {**own, **gone}

    def _combined(self, request_id: str, answers: Mapping[str, LatencyAnswer]) -> LatencyAnswer:
        told = []
        failed: list[tuple[str, LatencyFailure]] = []
        for device in self.devices:
            answer = _usable(answers[device.name])
            if isinstance(answer, LatencyFailure):
                failed.append((device.name, answer))
            else:
                told.append(
                    DeviceEstimate(
                        name=device.name,
                        target_ms=device.target_ms,
                        weight=device.weight,
                        estimate=answer,
                    )
                )
        if failed:
            return LatencyFailure(
                request_id=request_id,
                text="; ".join(f"{name}: {failure.text}" for name, failure in failed),
                retryable=all(failure.retryable for _, failure in failed),
            )
        return self._estimate(request_id, told)

    def _estimate(self, request_id: str, told: Sequence[DeviceEstimate]) -> LatencyEstimate:
        load = self.rule.combined([_load(one) for one in told])
        estimates = [one.estimate for one in told]
        files = {each.artifact_sha256 for each in estimates}
        return LatencyEstimate(
            request_id=request_id,
            latency_ms=load.value,
            low_ms=load.low,
            high_ms=load.high,
            origin=_origin([each.origin for each in estimates]),
            source=f"{self.rule.kind} of {', '.join(each.source for each in estimates)}",
            coverage=min(each.coverage for each in estimates),
            verdict=_verdict([each.verdict for each in estimates]),
            artifact_sha256=files.pop() if len(files) == 1 else "",
            labels=tuple(
                f"{one.name}: {label}"
                for one in told
                for label in (
                    *one.estimate.labels,
                    *(one.estimate.measurement.labels if one.estimate.measurement else ()),
                )
            ),
            devices=tuple(told),
        )

    def _is_undecided(self, answer: LatencyAnswer, request: LatencyRequest) -> bool:
        """Whether a threshold is within the interval, and a measurement can be had."""
        if isinstance(answer, LatencyFailure):
            return False
        unsure = any(answer.low_ms < each < answer.high_ms for each in request.thresholds_ms)
        pairs = zip(self.devices, answer.devices, strict=True)
        return unsure and any(
            _refines(device) and not one.estimate.is_measured for device, one in pairs
        )


def _ask(
    device: FleetDevice, requests: Sequence[LatencyRequest], done: SimpleQueue[_Told | None]
) -> None:
    """Put a device's answers where they are waited for; of one that cannot, failures."""
    left = {request.id for request in requests}
    try:
        for answer in device.source.estimate(requests):
            left.discard(answer.request_id)
            done.put((device.name, answer))
    except OperationError as error:
        for request_id in left:
            failure = LatencyFailure(request_id=request_id, text=str(error), retryable=False)
            done.put((device.name, failure))


def _require_ended(futures: Sequence[Future[None]]) -> None:
    """Raise what a device raised; one whose turn was taken away raises nothing."""
    for future in futures:
        if not future.cancelled():
            future.result()


def _unanswered(request_id: str) -> LatencyFailure:
    text = "it gave no answer before the fleet was closed"
    return LatencyFailure(request_id=request_id, text=text, retryable=False)


def _refines(device: FleetDevice) -> bool:
    return isinstance(device.source, RefiningSource) and device.source.refines()


def _usable(answer: LatencyAnswer) -> LatencyAnswer:
    """The answer, or a failure where its number is no latency."""
    if isinstance(answer, LatencyFailure):
        return answer
    times_ms = (answer.latency_ms, answer.low_ms, answer.high_ms)
    if all(math.isfinite(time) for time in times_ms) and answer.latency_ms > 0:
        return answer
    text = f"answered {answer.latency_ms} ms ({answer.low_ms} to {answer.high_ms}), no latency"
    return LatencyFailure(request_id=answer.request_id, text=text, retryable=False)


def _load(one: DeviceEstimate) -> Load:
    estimate = one.estimate
    return Load(
        value=estimate.latency_ms / one.target_ms,
        low=estimate.low_ms / one.target_ms,
        high=estimate.high_ms / one.target_ms,
    )


def _origin(origins: Sequence[Origin]) -> Origin:
    """What is known least of decides."""
    for origin in (Origin.PREDICTED, Origin.TABLE, Origin.MEASURED):
        if origin in origins:
            return origin
    return Origin.STORED


def _verdict(verdicts: Sequence[Verdict]) -> Verdict:
    for verdict in (Verdict.REJECTED, Verdict.UNSTABLE):
        if verdict in verdicts:
            return verdict
    return Verdict.STABLE
