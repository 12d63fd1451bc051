import pytest

from delivery.gates import Gate, GateError, GateName, NotRun, gates_named, require, warned
from workspace.errors import InputError


def gate(name=GateName.MACS, *, passed=True):
    return Gate(
        name=name, file="a.tflite", passed=passed, figures={"macs": 3}, limit=3, text="3 of 3"
    )


def test_gates_are_named_as_the_command_line_names_them():
    assert gates_named(["int8-speed", "macs"]) == {GateName.INT8_SPEED, GateName.MACS}


def test_an_unknown_gate_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"'speed'.*parity, layout, delegation"):
        gates_named(["speed"])


def test_a_gate_that_fails_is_raised_with_all_that_was_found():
    checked = (gate(), gate(GateName.SIZE, passed=False))
    with pytest.raises(GateError, match=r"size of a\.tflite: 3 of 3; nothing was kept") as raised:
        require(checked, "nothing was kept")
    assert raised.value.checked == checked


def test_a_gate_that_only_warns_stops_nothing():
    checked = warned([gate(passed=False)], frozenset({GateName.MACS}))
    require(checked, "")
    assert checked[0].to_json()["is_warning"] is True
    assert checked[0].to_json()["passed"] is False


def test_a_gate_that_was_not_run_stops_nothing():
    skipped = NotRun(name=GateName.LATENCY, file="a.tflite", why="no device")
    require((skipped,), "")
    assert warned([skipped], frozenset(GateName)) == (skipped,)
    assert skipped.to_json() == {"gate": "latency", "file": "a.tflite", "why": "no device"}


def test_a_failure_says_what_would_deliver_it_all_the_same():
    with pytest.raises(GateError, match=r"--warn size --warn macs"):
        require((gate(GateName.SIZE, passed=False), gate(passed=False)), "nothing was kept")
