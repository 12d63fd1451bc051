import pytest

from devices.energy import NODES, Energy, Rails, read_rails, spent
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport

CHIPS = """node /sys/bus/iio/devices/iio:device0/energy_value
t=349894
CH0(T=349894)[S10M_VDD_TPU], 5578756
CH1(T=349894)[VSYS_PWR_MODEM], 29110940
CH3(T=349894)[S2M_VDD_CPUCL2], 30203502
CH5(T=349894)[S4M_VDD_CPUCL0], 46356942
node /sys/bus/iio/devices/iio:device1/energy_value
t=359458
CH0(T=359458)[VSYS_PWR_WLAN_BT], 45993209
CH6(T=359458)[S2S_VDD_G3D], 3702041607
"""
"""The form in which a Pixel 6 shows its counters, with values that its owner published."""


def rails(stdout, stderr=""):
    wire = FakeWire(lambda _: ShellResult(exit_code=0, stdout=stdout, stderr=stderr))
    read = read_rails(Transport("adb:fake", wire), 5)
    assert NODES in wire.scripts[0]
    return read


def test_the_counters_of_every_metering_chip_are_read():
    read = rails(CHIPS)
    assert dict(read.uws) == {
        "iio:device0/S10M_VDD_TPU": 5578756,
        "iio:device0/VSYS_PWR_MODEM": 29110940,
        "iio:device0/S2M_VDD_CPUCL2": 30203502,
        "iio:device0/S4M_VDD_CPUCL0": 46356942,
        "iio:device1/VSYS_PWR_WLAN_BT": 45993209,
        "iio:device1/S2S_VDD_G3D": 3702041607,
    }
    assert read.reason == ""


def test_the_difference_is_told_in_millijoules_of_each_rail_and_of_all():
    after = CHIPS.replace("30203502", "31453502").replace("3702041607", "3702291607")
    energy = spent(rails(CHIPS), rails(after))
    assert energy.total_mj == pytest.approx(1500.0)
    assert energy.rails_mj[:2] == (
        ("iio:device0/S2M_VDD_CPUCL2", 1250.0),
        ("iio:device1/S2S_VDD_G3D", 250.0),
    )
    assert str(energy) == "1500.0 mJ of 6 power rails"


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        ("", "", "not available: this phone has no power rails that it shows"),
        (
            "node /sys/bus/iio/devices/iio:device0/energy_value\nrefused\n",
            "cat: /sys/bus/iio/devices/iio:device0/energy_value: Permission denied\n",
            "not available: its power rails cannot be read: cat: /sys/bus/iio/devices/"
            "iio:device0/energy_value: Permission denied",
        ),
        (
            "node /sys/bus/iio/devices/iio:device0/energy_value\n17 J\n",
            "",
            "not available: what its power rails show is of an unknown form",
        ),
    ],
)
def test_a_phone_without_rails_to_read_says_why(stdout, stderr, reason):
    for before, after in (
        (rails(stdout, stderr), rails(CHIPS)),
        (rails(CHIPS), rails(stdout, stderr)),
    ):
        energy = spent(before, after)
        assert energy.total_mj is None
        assert str(energy) == reason


def test_one_chip_that_refuses_makes_the_sum_unavailable():
    assert rails(CHIPS, "cat: …: Permission denied\n").uws == ()


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ((("a", 900), ("b", 5000)), "started anew"),
        ((("a", 1000), ("b", 2000)), "stood still"),
        ((("a", 2000), ("c", 3000)), "changed which power rails"),
    ],
)
def test_counters_that_cannot_be_compared_give_no_energy(after, reason):
    before = Rails(uws=(("a", 1000), ("b", 2000)))
    energy = spent(before, Rails(uws=after))
    assert energy == Energy(total_mj=None, reason=energy.reason)
    assert reason in energy.reason
