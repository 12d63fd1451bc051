from dataclasses import replace
from pathlib import Path

import pytest

from devices.device import ModelFile, RunSettings
from exporters.artifact import Precision
from latency.measurement import (
    Conditions,
    ConditionsMismatchError,
    MeasurementProtocol,
    Statistic,
    session_value_ms,
)
from latency.presets import SEARCH
from latency.testing import FakeDevice

ONE = Conditions(
    setup=FakeDevice().setup(RunSettings()), precision=Precision.FP32, statistic=Statistic.MEDIAN
)
OTHERS = [
    replace(ONE, setup=FakeDevice("FAKE2").setup(RunSettings())),
    replace(ONE, setup=FakeDevice().setup(RunSettings(threads=2))),
    replace(ONE, setup=FakeDevice().setup(RunSettings(cores=(1,)))),
    replace(ONE, precision=Precision.INT8),
    replace(ONE, statistic=Statistic.MEAN),
]
FIELDS = ["unit", "threads", "cores", "precision", "statistic"]


def test_equal_conditions_have_equal_keys_and_compare():
    same = replace(ONE)
    assert same.key == ONE.key
    assert same.differences(ONE) == {}
    same.require_same(ONE)


@pytest.mark.parametrize(("other", "field"), list(zip(OTHERS, FIELDS, strict=True)))
def test_a_difference_changes_the_key_and_is_named(other, field):
    assert other.key != ONE.key
    assert list(other.differences(ONE)) == [field]
    with pytest.raises(ConditionsMismatchError, match=f"different conditions: {field}: "):
        ONE.require_same(other)


def test_a_session_without_a_median_has_none():
    record = FakeDevice(single_runs=False).run(
        ModelFile(path=Path("a"), sha256="a"), RunSettings()
    )
    with pytest.raises(ValueError, match="no median"):
        session_value_ms(record, Statistic.MEDIAN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sessions_min": 1},
        {"sessions_min": 13},
        {"sentinel_every": -1},
        {"sentinel_limit": 0.0},
        {"half_width": 0.0},
        {"half_width": 1.0},
        {"confidence": 1.0},
    ],
)
def test_a_protocol_that_cannot_end_well_is_refused(wrong):
    with pytest.raises(ValueError, match="got MeasurementProtocol"):
        replace(SEARCH, **wrong)
    assert isinstance(SEARCH, MeasurementProtocol)
