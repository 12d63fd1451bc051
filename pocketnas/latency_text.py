"""A latency for people and for JSON: never a number without its interval and conditions."""

from __future__ import annotations

from devices.device import RawRuns, RunRecord
from latency.source import LatencyAnswer, LatencyEstimate, LatencyFailure
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
    setup = estimate.measurement.conditions.setup
    stand_ins = [s for s in (setup.info.stand_in, setup.runner.stand_in) if s]
    return "\n".join([text, *(f"  stand-in: {stand_in}" for stand_in in stand_ins)])


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
    return {
        **result,
        "reason": measurement.reason,
        "mad_ms": measurement.mad_ms,
        "artifact_sha256": measurement.artifact_sha256,
        "preset": measurement.protocol.preset,
        "sessions": [_session(record) for record in measurement.sessions],
        "conditions": measurement.conditions.flat(),
    }


def _session(record: RunRecord) -> dict[str, object]:
    samples = record.samples
    if isinstance(samples, RawRuns):
        timed: dict[str, object] = {"runs": len(samples.runs_ms), "median_ms": samples.median_ms}
    else:
        timed = {"runs": samples.count, "mean_ms": samples.mean_ms, "median_ms": samples.median_ms}
    return {
        "started_at": record.started_at.isoformat(),
        **timed,
        "first_ms": record.first_ms,
        "init_ms": record.init_ms,
        "peak_memory_mb": record.peak_memory_mb,
    }
