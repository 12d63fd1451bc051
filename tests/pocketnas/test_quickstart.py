import pytest

from devices.pool import Found
from pocketnas.quickstart import base_option, choose_device
from search_space.chain import Op, Skip
from search_space.mnasnet import MnasNetSpace

PHONE = Found(id="adb:1A2B", kind="phone", description="Android phone on USB")
LOCKED = Found(id="adb:3C4D", kind="phone", description="Android phone", problem="tap 'Allow'")
COMPUTER = Found(id="host", kind="computer", description="this computer")
LOOPBACK = Found(id="adb:10.0.0.2:5555", kind="loopback phone", description="not a phone")


@pytest.mark.parametrize(
    ("found", "device", "words"),
    [
        ((COMPUTER,), "host", "this computer stands in"),
        ((COMPUTER, LOOPBACK), "host", "this computer stands in"),
        ((COMPUTER, LOCKED), "host", "this computer stands in"),
        ((COMPUTER, LOCKED, PHONE), "adb:1A2B", "The device is adb:1A2B"),
    ],
)
def test_an_authorised_phone_is_the_device_else_this_computer_says_that_it_stands_in(
    monkeypatch, found, device, words
):
    monkeypatch.setattr("devices.pool.discover", lambda: found)
    chosen, first_line = choose_device()
    assert chosen == device
    assert words in first_line


def test_the_base_of_the_space_is_mobilenet_v2():
    space = MnasNetSpace.from_options({})
    base = space.decode(tuple(base_option(choice) for choice in space.points.choices))
    assert [stage.filters for stage in base.stages] == [16, 24, 32, 64, 96, 160, 320]
    assert [stage.repeats for stage in base.stages] == [1, 2, 3, 4, 3, 3, 1]
    assert {(stage.op, stage.kernel, stage.se_ratio) for stage in base.stages} == {
        (Op.MBCONV, 3, 0.0)
    }
    assert Skip.POOL not in {stage.skip for stage in base.stages}
