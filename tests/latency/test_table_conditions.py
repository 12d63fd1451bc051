import pytest

from devices.device import Delegate, RunSettings
from exporters.artifact import Precision
from latency.measurement import Conditions, Statistic
from latency.table_conditions import NAMES, TO_BE_KNOWN, conditions_from, unknown_of
from latency.testing import FakeDevice
from workspace.errors import InputError

MEASURED = Conditions(
    setup=FakeDevice().setup(RunSettings(threads=2, cores=(6, 7))),
    precision=Precision.FP32,
    statistic=Statistic.MEDIAN,
).flat()


def as_text(value):
    """As a person writes what a device told."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def test_what_a_device_tells_can_be_said_and_is_the_same():
    """So that a table of one's own stands beside one that was built here."""
    told = {name: value for name, value in MEASURED.items() if value != ""}
    assert conditions_from({name: as_text(value) for name, value in told.items()}) == told


def test_there_is_a_name_for_all_that_devices_tell_and_for_what_tables_tell_beside():
    assert set(NAMES) == MEASURED.keys() | {"clock_khz", "input_size", "source"}
    assert len(NAMES) == len(set(NAMES))


def test_what_should_be_known_can_be_said():
    assert set(TO_BE_KNOWN) <= set(NAMES)


def test_what_is_not_told_is_named():
    assert unknown_of({}) == TO_BE_KNOWN
    told = dict.fromkeys(TO_BE_KNOWN[1:], 1)
    assert unknown_of({**told, "kernel": "x"}) == (TO_BE_KNOWN[0],)
    assert unknown_of(dict.fromkeys(TO_BE_KNOWN, "")) == ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("device_model", " Pixel 6 ", "Pixel 6"),
        ("device_model", "6", "6"),
        ("threads", "4", 4),
        ("cores", "[6, 7]", [6, 7]),
        ("cores", "6", [6]),
        ("core_khz", "1803000, 2850000", [1803000, 2850000]),
        ("delegate", "gpu", "gpu"),
        ("statistic", "mean", "mean"),
        ("device_stand_in", "an emulator", "an emulator"),
        ("gives_single_runs", "true", True),
        ("on_this_computer", "false", False),
    ],
)
def test_a_condition_has_the_type_that_devices_give_it(name, text, value):
    found = conditions_from({name: text})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("thread", "1", "there is no condition 'thread'; there are device_model, unit"),
        ("", "1", "there is no condition ''"),
        ("soc", " ", "the condition soc is empty; leave out what is not known"),
        ("threads", "", "the condition threads is empty"),
        ("threads", "four", "threads needs whole numbers, got 'four'"),
        ("threads", "-1", "threads needs whole numbers, got '-1'"),
        ("threads", "1.5", "threads needs whole numbers, got '1.5'"),
        ("threads", "²", "threads needs whole numbers, got '²'"),
        ("ram_mb", "9" * 16, "ram_mb needs whole numbers"),
        ("cores", "6;7", "cores needs whole numbers, got '6;7'"),
        ("cores", "6,,7", "cores needs whole numbers, got ''"),
        ("cores", "[]", "cores needs whole numbers, got ''"),
        ("precision", "FP32", f"precision is one of {', '.join(Precision)}, got 'FP32'"),
        ("statistic", "mode", "statistic is one of median, mean, got 'mode'"),
        ("on_this_computer", "yes", "on_this_computer is one of true, false, got 'yes'"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_with_what_was_said(name, text, words):
    with pytest.raises(InputError, match=words):
        conditions_from({name: text})


def test_a_delegate_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InputError, match=", ".join(Delegate)):
        conditions_from({"delegate": "warp"})


@pytest.mark.parametrize("name", ["unit", "build", "runner_version", "runner_sha256"])
def test_names_of_digits_alone_stay_text(name):
    """They are compared with what devices tell, which is text."""
    assert conditions_from({name: "0123"}) == {name: "0123"}
