"""Does the gate keep throttled sessions out, and does it waste less time than a fixed pause?

On simulated phones, in their scenarios' own clock: measurements of one network, preset ``search``,
one after another for some hours of that clock. One phone is gated as every phone is: a session
starts when it is cool, and one in which it slowed down does not count. Its twins sleep a fixed
180 s instead: one before every process start, where the gate stands (what peers call a job is one
start of the tool); one only once a measurement, which has five to twelve of them. Whether a
session was throttled is read from the phone's model, behind what the phone tells. No phone was
heated for this.

Run: ``python benchmarks/heating.py [--quick] [SCENARIO …]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from devices.android import fastest_cores
from devices.clock import Clock, SimulatedClock
from devices.device import Device, DeviceError, ModelFile, RunRecord, RunSettings
from devices.loopback.scenario import load
from devices.simulated import SimulatedPhone
from exporters.artifact import Precision
from latency.baseline import Baselines
from latency.chains import equal_blocks
from latency.gates import Gate, Limits
from latency.measurement import LatencyMeasurement
from latency.presets import SEARCH
from latency.protocol import Bench, Patience, measure

SCENARIOS = ("heats", "heats-fast", "cools-slowly")
PAUSE_S = 180.0
"""Of the way that is compared with."""

LATENCY_MS = 20.0
"""Of the network, on a phone at its highest clock."""


class Watched(SimulatedPhone):
    """A simulated phone of which is known in which sessions it was throttled."""

    def __init__(self, scenario_name: str, clock: SimulatedClock, seed: int) -> None:
        super().__init__(load(scenario_name), lambda _: LATENCY_MS, clock, seed)
        self.throttled: set[datetime] = set()
        self._slowest = 1.0

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        self._slowest = self.model.clock_factor
        record = super().run(model, settings)
        if self._slowest < 1.0:
            self.throttled.add(record.started_at)
        return record

    def _work(self, seconds: float, settings: RunSettings, deadline_s: float) -> None:
        super()._work(seconds, settings, deadline_s)
        self._slowest = min(self._slowest, self.model.clock_factor)


class Pause(Gate):
    """A fixed cool-down before every start; all sessions count."""

    pause_s = PAUSE_S

    def wait(
        self,
        device: Device,  # noqa: ARG002 - of all alike
        unit: str,  # noqa: ARG002
        clock: Clock,
        tell: Callable[[str], None] = print,  # noqa: ARG002
    ) -> float:
        """Sleep, whatever the phone is like."""
        clock.sleep(self.pause_s)
        return self.pause_s

    def why_refused(self, *_: object) -> str:
        """Nothing is refused."""
        return ""


def pinned(phone: SimulatedPhone) -> RunSettings:
    """On the fastest core, as a phone is timed, unless its vendor hides ``taskset``."""
    cores = fastest_cores(phone.setup(RunSettings()).info.core_khz, 1)
    try:
        phone.setup(RunSettings(cores=cores))
    except DeviceError:
        return RunSettings()
    return RunSettings(cores=cores)


class Rarely(Pause):
    """The cool-down comes once a measurement instead."""

    pause_s = 0.0


def jobs(scenario: str, model: ModelFile, hours: float, kind: type[Gate]) -> dict[str, object]:
    """Measurements for so many hours of the scenario's clock."""
    clock = SimulatedClock()
    phone = Watched(scenario, clock, seed=1)
    baselines = Baselines(path=None, now_s=clock.now_s)
    gate = kind(limits=Limits(), baselines=baselines)
    bench = Bench(device=phone, placement=pinned(phone), gate=gate, patience=Patience(clock=clock))
    found: list[LatencyMeasurement] = []
    failed = 0
    while clock.now_s() < 3600 * hours:
        try:
            found.append(measure(bench, model, Precision.FP32, SEARCH))
        except DeviceError:
            failed += 1
        if kind is Rarely:
            clock.sleep(PAUSE_S)
    sessions = [session for each in found for session in each.sessions]
    return {
        "jobs": len(found),
        "jobs_failed": failed,
        "jobs_per_hour": round(3600 * len(found) / clock.now_s(), 1),
        "sessions": len(sessions),
        "throttled_sessions": sum(s.started_at in phone.throttled for s in sessions),
        "refused_sessions": bench.tally.refused,
    }


def main() -> None:
    """Print both ways beside each other for every scenario."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one hour of each scenario's clock")
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS, help="shipped, or files")
    arguments = parser.parse_args()
    hours = 1.0 if arguments.quick else 8.0
    result: dict[str, object] = {"simulated": "no phone was heated", "hours": hours}
    with tempfile.TemporaryDirectory() as folder:
        model = equal_blocks(Path(folder), blocks=1, channels=8, size=8)
        for scenario in arguments.scenarios:
            ways = {
                name: jobs(scenario, model, hours, kind)
                for name, kind in (("gate", Gate), ("pause", Pause), ("rare_pause", Rarely))
            }
            rates = {name: float(str(way["jobs_per_hour"])) for name, way in ways.items()}
            result[scenario] = {
                **ways,
                "times_the_jobs": round(rates["gate"] / rates["pause"], 1),
                "times_the_jobs_of_a_rare_pause": round(rates["gate"] / rates["rare_pause"], 1),
            }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
