import pytest

from devices.device import RunSettings
from latency.lanes import Lanes
from latency.testing import FakeDevice


@pytest.mark.parametrize(
    ("levels_ms", "pooled"),
    [
        ((1.0, 1.019), True),
        ((0.981, 1.019), False),  # each within 2 % of their mean, and 3.9 % apart
        ((1.0, 1.0, 1.03), False),
        ((1.0, None), True),
        ((None, None), True),
    ],
)
def test_units_are_pooled_only_if_all_are_within_two_percent_of_each_other(levels_ms, pooled):
    devices = [FakeDevice(f"FAKE{n}") for n in range(len(levels_ms))]
    lanes = Lanes("adb:any", devices, RunSettings())
    for lane, level_ms in zip(lanes.all, levels_ms, strict=True):
        lane.level_ms = level_ms
    assert lanes.pooled is pooled
