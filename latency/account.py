"""A measurement as JSON for people: its conditions and a line a session; raw runs stay stored."""

from __future__ import annotations

from devices.device import RawRuns, RunRecord
from latency.measurement import LatencyMeasurement
from search_space.architecture import Json


def account(measurement: LatencyMeasurement) -> dict[str, Json]:
    """What has to stand beside the number wherever it is shown."""
    conditions: dict[str, Json] = {}
    for name, value in measurement.conditions.flat().items():
        conditions[name] = [*value] if isinstance(value, list) else value
    return {
        "preset": measurement.protocol.preset,
        "verdict": measurement.verdict.value,
        "reason": measurement.reason,
        "mad_ms": measurement.mad_ms,
        **figures(measurement),
        "artifact_sha256": measurement.artifact_sha256,
        "sessions": [_session(record) for record in measurement.sessions],
        "conditions": conditions,
    }


def figures(measurement: LatencyMeasurement) -> dict[str, Json]:
    """What stands beside the median, interval and verdict; null where the device does not tell."""
    temperatures = measurement.temperature_range_c
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95}
    return {
        **{name: measurement.percentile_ms(share) for name, share in shares.items()},
        "peak_memory_mb": measurement.peak_memory_mb,
        "energy_mj": measurement.energy_mj,
        "temperature_range_c": None if temperatures is None else [*temperatures],
        "drift": [*measurement.drift],
        "labels": [*measurement.labels],
    }


def _session(record: RunRecord) -> dict[str, Json]:
    samples = record.samples
    if isinstance(samples, RawRuns):
        timed: dict[str, Json] = {"runs": len(samples.runs_ms), "median_ms": samples.median_ms}
    else:
        timed = {
            "runs": samples.count,
            "mean_ms": samples.mean_ms,
            "min_ms": samples.min_ms,
            "max_ms": samples.max_ms,
            "std_ms": samples.std_ms,
            "median_ms": samples.median_ms,
        }
    return {
        "started_at": record.started_at.isoformat(),
        **timed,
        "first_ms": record.first_ms,
        "init_ms": record.init_ms,
        "peak_memory_mb": record.peak_memory_mb,
        "energy_mj": record.energy_mj,
        "others_cores": record.others_cores,
        "quiet_share": record.quiet_share,
    }
