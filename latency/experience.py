"""A table that learns from networks that were measured beside it, while a search goes on.

Measured over predicted, as logarithms, are normal around one bias: the device of today against the
table. Bias and spread have the conjugate prior of a normal distribution of unknown mean and
variance (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.3), worth
``PRIOR_NETWORKS`` networks: no bias, and the spread that the table tells. Intervals are those of
the next measurement, Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Lock

from latency.source import LatencyAnswer, LatencyEstimate, LatencyRequest
from latency.table_source import TableSource
from latency.table_validation import require_conditions
from latency.without_device import NORMAL_95

PRIOR_NETWORKS = 4.0

UNCHECKED_SPREAD = 0.05
"""Of a table that was never compared with whole networks, at least; a share of the latency."""


class ExperiencedTable(TableSource):
    """A table whose answers are corrected by what was measured since; a ``LatencySource``."""

    _lock: Lock
    _logs: list[float]

    def __init__(self, source: TableSource) -> None:
        super().__init__(source.table)
        self._lock, self._logs = Lock(), []

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``."""
        for answer in super().estimate(requests):
            yield self._corrected(answer) if isinstance(answer, LatencyEstimate) else answer

    def learn(self, pairs: Sequence[tuple[LatencyRequest, LatencyEstimate]]) -> None:
        """Take in measurements of networks.

        Args:
            pairs: What was asked, and what a device answered.

        Raises:
            InputError: If the device is under other conditions than the table; names each.
        """
        for request, measured in pairs:
            if measured.measurement is not None:
                conditions = dict(measured.measurement.conditions.flat())
                require_conditions(self.name, self.table.conditions, conditions)
            for answer in super().estimate([request]):
                if isinstance(answer, LatencyEstimate):
                    with self._lock:
                        self._logs.append(math.log(measured.latency_ms / answer.latency_ms))

    def _corrected(self, answer: LatencyEstimate) -> LatencyEstimate:
        with self._lock:
            logs = list(self._logs)
        told = (answer.high_ms - answer.latency_ms) / NORMAL_95 / answer.latency_ms
        if not self.table.correction.networks:
            told = max(told, UNCHECKED_SPREAD)
        total = PRIOR_NETWORKS + len(logs)
        bias = math.fsum(logs) / total
        squares = PRIOR_NETWORKS * (told**2 + bias**2)
        squares += math.fsum((each - bias) ** 2 for each in logs)
        spread = math.sqrt(squares / total * (1 + 1 / total))
        half = _student_t(total) * spread
        return replace(
            answer,
            latency_ms=answer.latency_ms * math.exp(bias),
            low_ms=answer.latency_ms * math.exp(bias - half),
            high_ms=answer.latency_ms * math.exp(bias + half),
        )


def _student_t(freedom: float) -> float:
    """The 97.5 % quantile, to 0.3 % from four degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, equation 26.7.5.

    >>> round(_student_t(4), 2), round(_student_t(30), 3)
    (2.77, 2.042)
    """
    z = NORMAL_95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
