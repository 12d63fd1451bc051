"""Devices whose latencies are a formula: stand-ins for tests and simulations of predictors.

No figure of theirs is one of a real device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from latency.evidence import Measurement, OtherDevice
from latency.signatures import Parts, Signature


class MadeUpDevice:
    """A stand-in: parts cost a start, their MACs and what they move.

    Beside that each part has a quirk that all these devices share (a kernel that is written
    badly), and one of this device's own.

    Args:
        seed: Of its speeds and quirks; the same device for the same seed.
        quirk: Standard deviation of the logarithm of a part's cost, of this device's own.
    """

    OWN_MS = 0.05
    """What a network takes beside its parts."""

    SHARED_QUIRK = 0.25
    """Standard deviation of the logarithm of a part's cost, common to all."""

    def __init__(self, seed: int, quirk: float = 0.03) -> None:
        import numpy as np

        rng = np.random.default_rng(seed)
        self.name = f"made-up {seed}"
        self._seed, self._quirk = seed, quirk
        start, macs, moved = rng.lognormal(0.0, 0.3, 3)
        self._start_ms, self._mac_ms, self._moved_ms = 0.02 * start, 4e-9 * macs, 2e-7 * moved

    def part_ms(self, part: Signature) -> float:
        """What a part costs."""
        import numpy as np

        rng, common = (
            np.random.default_rng([seed, *part.key.encode()]) for seed in (self._seed, 0)
        )
        moved = part.input_elements + part.hidden_elements + part.output_elements
        costs: float = self._start_ms + self._mac_ms * part.macs + self._moved_ms * moved
        quirks = common.normal(0.0, self.SHARED_QUIRK) + rng.normal(0.0, self._quirk)
        return costs * math.exp(quirks)

    def latency_ms(self, parts: Parts) -> float:
        """What a network takes, exactly."""
        return self.OWN_MS + sum(map(self.part_ms, parts))

    def measured(
        self, networks: Sequence[Parts], *, noise: float = 0.01, seed: int = 0
    ) -> list[Measurement]:
        """Networks as a measurement would have them, with log-normal noise."""
        import numpy as np

        rng = np.random.default_rng(seed)
        return [
            Measurement(
                parts=parts, latency_ms=self.latency_ms(parts) * float(rng.lognormal(0.0, noise))
            )
            for parts in networks
        ]

    def other(self, networks: Sequence[Parts]) -> OtherDevice:
        """As a device that others are predicted from."""
        return OtherDevice(name=self.name, measurements=tuple(self.measured(networks)))
