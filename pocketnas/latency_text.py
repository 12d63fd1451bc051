"""A latency for people and for JSON: never a number without its interval and conditions."""

from __future__ import annotations

from collections.abc import Callable

from latency.account import account
from latency.source import LatencyAnswer, LatencyEstimate, LatencyFailure, LatencySource
from workspace.errors import OperationError


def require_estimate(answer: LatencyAnswer) -> LatencyEstimate:
    """The estimate in ``answer``.

    Raises:
        OperationError: If the source stated a failure.
    """
    if isinstance(answer, LatencyFailure):
        raise OperationError(answer.text)
    return answer


def sentence(estimate: LatencyEstimate) -> str:
    """One line: the number, its interval, where it is from, whether to trust it.

    Stand-ins are named in it.
    """
    text = (
        f"{estimate.latency_ms:.4g} ms, 95 % interval {estimate.low_ms:.4g} to "
        f"{estimate.high_ms:.4g} ms, {estimate.verdict} ({estimate.origin} on {estimate.source})"
    )
    if estimate.measurement is None:
        return text
    measurement = estimate.measurement
    setup = measurement.conditions.setup
    stand_ins = [s for s in (setup.info.stand_in, setup.runner.stand_in) if s]
    notes = [f"  stand-in: {stand_in}" for stand_in in stand_ins]
    if measurement.reason:
        notes.append(f"  why: {measurement.reason}")
    notes += [f"  label: {label}" for label in (*estimate.labels, *measurement.labels)]
    return "\n".join([text, *notes])


def facts(estimate: LatencyEstimate) -> dict[str, object]:
    """What ``--json`` prints of a latency."""
    measurement = estimate.measurement
    result: dict[str, object] = {
        "median_ms": estimate.latency_ms,
        "ci_low_ms": estimate.low_ms,
        "ci_high_ms": estimate.high_ms,
        "verdict": estimate.verdict.value,
        "origin": estimate.origin.value,
        "source": estimate.source,
        "coverage": estimate.coverage,
    }
    if measurement is None:
        return {**result, "sessions": [], "conditions": {"source": estimate.source}}
    labels = [*estimate.labels, *measurement.labels]
    return {**result, **account(measurement), "labels": labels}


def tell_what_goes_on(source: LatencySource, tell: Callable[[str], None]) -> None:
    """Let a source that times on devices say what each is doing; others answer at once.

    Args:
        source: Any.
        tell: Is told, from any thread.
    """
    from latency.device_source import DeviceSource

    if isinstance(source, DeviceSource):
        source.tell = tell
