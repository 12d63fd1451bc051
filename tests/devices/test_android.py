import pytest

from devices.android import fastest_cluster, read_info, read_state
from devices.device import DeviceTransientError
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport

STATE = """Current Battery Service state:
  AC powered: false
  USB powered: true
  level: 87
  temperature: 312
Thermal Status: 1
load=0.42
khz 0 1803000
khz 1 2401000
"""


def transport(stdout, exit_code=0):
    result = ShellResult(exit_code=exit_code, stdout=stdout, stderr="closed")
    return Transport("adb:fake", FakeWire(lambda _: result))


def test_what_a_phone_tells_of_its_state_is_read():
    state = read_state(transport(STATE))
    assert (state.battery_percent, state.charging, state.temperature_c) == (87, True, 31.2)
    assert (state.thermal_status, state.load, state.core_khz) == (1, 0.42, (1803000, 2401000))


def test_what_it_does_not_tell_is_unknown_and_not_zero():
    state = read_state(transport("khz 0 0\nkhz 1 0\n"))
    assert (state.battery_percent, state.charging, state.temperature_c) == (None, None, None)
    assert (state.thermal_status, state.load, state.core_khz) == (None, None, None)


def test_a_loopback_phone_says_that_it_is_one():
    text = 'kernel=6\nloopback={"stand_in": "not a phone", "unit": "u1", "model": "box"}\n'
    info = read_info(transport(text), "adb:fake", "SERIAL")
    assert (info.stand_in, info.unit, info.model, info.on_this_computer) == (
        "not a phone",
        "u1",
        "box",
        True,
    )


def test_a_phone_that_tells_nothing_is_an_error():
    with pytest.raises(DeviceTransientError, match="does not tell what it is"):
        read_info(transport("", exit_code=1), "adb:fake", "SERIAL")


@pytest.mark.parametrize(
    ("khz", "cluster"),
    [((1, 1, 2, 2, 3), (4,)), ((2, 2, 1, 1), (0, 1)), ((0, 0, 0), (0, 1, 2)), ((), ())],
)
def test_the_mask_is_derived_from_the_clocks(khz, cluster):
    assert fastest_cluster(khz) == cluster


def unit(text, serial):
    return read_info(transport(f"kernel=6.1\n{text}"), "adb:fake", serial).unit


def test_a_unit_is_the_same_however_it_is_reached():
    own = unit("serial=18101FDF6\nboot_serial=other\n", "18101FDF6")
    assert own == unit("serial=18101FDF6\n", "192.168.1.7:5555")
    assert own == unit("serial=\nboot_serial=18101FDF6\n", "18101FDF6@10.0.0.1:5037")
    assert own != unit("serial=18101FDF7\n", "192.168.1.7:5555")


def test_a_phone_that_tells_no_serial_number_is_known_by_adbs_name_for_it():
    one, other = (unit("serial=\nboot_serial=unknown\n", serial) for serial in ("A", "B"))
    assert one != other
    assert one == unit("serial=0123456789ABCDEF\n", "A")
