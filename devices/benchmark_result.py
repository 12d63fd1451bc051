"""The result file of LiteRT's ``benchmark_model``: proto2 ``BenchmarkResult``.

Fields: 1 name; 2 latency {1 avg_ms, 2 min_ms, 3 max_ms, 4 stddev_ms, 5 median_ms, 6 p5_ms,
7 p95_ms, 8 init_ms, 9 first_inference_ms, 10 average_warm_up_ms}; 3 memory {…,
2 overall_footprint_kb, 3 peak_mem_mb};
4 misc {…, 2 num_runs, 3 num_warmup_runs, …}.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

Value = int | float | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """The figures that are used; milliseconds, kB and MB, 0 where there is none.

    Raises:
        ValueError: If they cannot all be true.
    """

    avg_ms: float
    min_ms: float
    max_ms: float
    stddev_ms: float
    median_ms: float
    p5_ms: float
    p95_ms: float
    init_ms: float
    first_inference_ms: float
    overall_footprint_kb: int
    peak_mem_mb: float
    num_runs: int

    def __post_init__(self) -> None:
        ordered = (self.min_ms, self.p5_ms, self.median_ms, self.p95_ms, self.max_ms)
        rest = (self.stddev_ms, self.init_ms, self.first_inference_ms, self.peak_mem_mb)
        slack = 1e-6 * self.max_ms
        if (
            not all(math.isfinite(value) and value >= 0 for value in (*ordered, *rest))
            or list(ordered) != sorted(ordered)
            or not 0 < self.min_ms - slack <= self.avg_ms <= self.max_ms + slack
            or self.stddev_ms > (self.max_ms - self.min_ms) + slack + 1e-3
        ):
            msg = f"its figures contradict each other: {self}"
            raise ValueError(msg)

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a whole message.

        Raises:
            ValueError: If it is cut, malformed, or lacks a figure.
        """
        top = dict(_fields(content))
        latency, memory, misc = (dict(_fields(_bytes(top, field))) for field in (2, 3, 4))
        return cls(
            avg_ms=_float(latency, 1),
            min_ms=_float(latency, 2),
            max_ms=_float(latency, 3),
            stddev_ms=_float(latency, 4),
            median_ms=_float(latency, 5),
            p5_ms=_float(latency, 6),
            p95_ms=_float(latency, 7),
            init_ms=_float(latency, 8),
            first_inference_ms=_float(latency, 9) if 9 in latency else 0.0,
            overall_footprint_kb=_kb(memory, 2),
            peak_mem_mb=_float(memory, 3) if 3 in memory else 0.0,
            num_runs=_int(misc, 2),
        )


def _fields(content: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a message."""
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        value: Value
        match tag & 7:
            case 0:
                value, position = _varint(content, position)
            case 1:
                value, position = _fixed(content, position, "<d")
            case 5:
                value, position = _fixed(content, position, "<f")
            case 2:
                length, position = _varint(content, position)
                value, position = content[position : position + length], position + length
                if len(value) != length:
                    msg = "cut in the middle of a field"
                    raise ValueError(msg)
            case other:
                msg = f"wire type {other} does not occur in this message"
                raise ValueError(msg)
        yield tag >> 3, value


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(content) or shift > 63:
            msg = "cut in the middle of a number"
            raise ValueError(msg)
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _fixed(content: bytes, position: int, form: str) -> tuple[float, int]:
    end = position + struct.calcsize(form)
    if end > len(content):
        msg = "cut in the middle of a number"
        raise ValueError(msg)
    return struct.unpack(form, content[position:end])[0], end


def _bytes(fields: dict[int, Value], number: int) -> bytes:
    value = fields.get(number, b"")
    if not isinstance(value, bytes):
        msg = f"field {number} is no message"
        raise ValueError(msg)
    return value


def _float(fields: dict[int, Value], number: int) -> float:
    value = fields.get(number)
    if not isinstance(value, float):
        msg = f"field {number} is no number: {value!r}"
        raise ValueError(msg)
    return value


def _kb(fields: dict[int, Value], number: int) -> int:
    """0 where there is none; a negative one, which takes ten bytes, is none."""
    value = fields.get(number, 0)
    return value if isinstance(value, int) and value < 1 << 40 else 0


def _int(fields: dict[int, Value], number: int) -> int:
    value = fields.get(number)
    if not isinstance(value, int) or value < 1:
        msg = f"field {number} is no count: {value!r}"
        raise ValueError(msg)
    return value
