import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from devices.clock import SimulatedClock
from devices.device import (
    DeviceBusyError,
    DevicePermanentError,
    DeviceTransientError,
    RunSettings,
)
from exporters.artifact import Artifact, ModelFormat
from exporters.exporter import ExportError
from latency.baseline import Baselines
from latency.device_source import DeviceSource
from latency.gates import Gate
from latency.lanes import BACK_S, LEASE_WAIT_S, OTHERS_WAIT_S
from latency.measurement import Statistic, Verdict
from latency.protocol import Patience
from latency.source import (
    FileSubject,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    NetworkSubject,
    Origin,
)
from latency.store import MeasurementStore, StoreError
from latency.testing import FakeDevice, LatencySourceContract, broken_model
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from workspace.database import sqlite_url
from workspace.errors import InputError

BROKEN = "bb" * 32
ATAN = "operator ATAN has no counterpart"
FULL = "database or disk is full"


def artifact(name):
    return Artifact(
        path=Path(f"{name}.tflite"),
        format=ModelFormat.TFLITE,
        sha256=name * 32,
        inputs=(),
        outputs=(),
        tool="none",
    )


def file(name):
    return FileSubject(artifact=artifact(name))


def request(name="a1", id="one", **more):  # noqa: A002 (the field's name)
    return LatencyRequest(id=id, subject=file(name), **{"preset": "quick", **more})


class Files:
    """Stands in for the export: networks are files already, or cannot be."""

    def of(self, subject):
        if isinstance(subject, NetworkSubject):
            raise ExportError(ATAN)
        return subject.artifact


class Phone(FakeDevice):
    """A fake that cannot run one of the files."""

    def run(self, model, settings):
        if model.sha256 == BROKEN:
            raise broken_model(self.id)
        return super().run(model, settings)


@pytest.fixture
def store(tmp_path):
    return MeasurementStore(sqlite_url(tmp_path / "m.db"))


class FakeLease:
    """Never lost."""

    def require(self):
        pass


def free(device_id, *, wait_s):
    assert device_id.startswith("adb:FAKE")
    assert wait_s >= 0
    return nullcontext(FakeLease())


@pytest.fixture
def make(store):
    def made(*devices, lease=free, **more):
        return DeviceSource(
            "adb:any",
            devices,
            **{
                "lease": lease,
                "files": Files(),
                "store": store,
                "placement": RunSettings(),
                "patience": Patience(attempts=2, clock=SimulatedClock()),
                "sentinel": None,
                "gate": Gate(baselines=Baselines(path=None)),
                **more,
            },
        )

    return made


class TestContractOnOnePhone(LatencySourceContract):
    @pytest.fixture
    def source(self, make):
        return make(Phone())

    @pytest.fixture
    def subjects(self):
        return [file("a1"), file("a2"), file("a3")]

    @pytest.fixture
    def impossible(self):
        return file("bb")


class TestContractOnThreePhones(TestContractOnOnePhone):
    @pytest.fixture
    def source(self, make):
        return make(Phone("FAKE1"), Phone("FAKE2"), Phone("FAKE3"))


def ask(source, *requests):
    return {answer.request_id: answer for answer in source.estimate(requests)}


def test_an_answer_is_measured_on_the_device_and_kept(make, store):
    device = FakeDevice()
    answer = ask(make(device), request())["one"]
    assert (answer.origin, answer.source, answer.verdict) == (
        Origin.MEASURED,
        "adb:FAKE1",
        Verdict.STABLE,
    )
    assert answer.latency_ms == answer.measurement.median_ms
    assert len(device.ran) == 3
    conditions = answer.measurement.conditions
    assert conditions.statistic is Statistic.MEDIAN
    assert store.find("a1" * 32, conditions, "quick") == answer.measurement


@pytest.mark.parametrize("single_runs", [True, False])
def test_the_same_question_again_is_answered_from_the_store(make, single_runs):
    first = ask(make(FakeDevice(single_runs=single_runs)), request())["one"]
    device = FakeDevice(single_runs=single_runs, seed=7)
    again = ask(make(device), request(id="two"))["two"]
    assert (again.origin, again.measurement) == (Origin.STORED, first.measurement)
    assert again.source == "adb:FAKE1"
    assert device.ran == []


def test_a_better_preset_is_measured_anew_and_then_answers_for_both(make):
    device = FakeDevice()
    source = make(device)
    ask(source, request())
    final = ask(source, request(preset="final"))["one"]
    assert final.origin is Origin.MEASURED
    assert ask(source, request())["one"].measurement == final.measurement


def test_the_store_is_not_asked_if_reuse_is_off(make):
    ask(make(FakeDevice()), request())
    device = FakeDevice()
    assert ask(make(device, reuse=False), request())["one"].origin is Origin.MEASURED
    assert len(device.ran) == 3


def test_other_conditions_are_another_question(make):
    ask(make(FakeDevice()), request())
    device = FakeDevice()
    source = make(device, placement=RunSettings(threads=2))
    assert ask(source, request())["one"].origin is Origin.MEASURED


def test_what_one_unit_measured_answers_for_its_source_and_names_the_unit(make):
    ask(make(FakeDevice("FAKE2")), request())
    answer = ask(make(FakeDevice("FAKE1"), FakeDevice("FAKE2")), request())["one"]
    assert (answer.origin, answer.source) == (Origin.STORED, "adb:FAKE2")
    assert answer.measurement.conditions.setup.info.unit == "unit-FAKE2"


def test_devices_of_different_conditions_are_refused_with_what_differs(make):
    message = (
        r"adb:any would mix times of devices that differ, adb:FAKE1 and adb:FAKE3 "
        r"\(device_model: 'Fake 1' and 'Fake 2'\)"
    )
    with pytest.raises(InputError, match=message):
        make(FakeDevice("FAKE1"), FakeDevice("FAKE2"), FakeDevice("FAKE3", model="Fake 2"))


def test_two_devices_are_used_at_once_and_each_by_one_caller(make):
    both = threading.Barrier(2, timeout=10)
    timing = threading.Event()

    @contextmanager
    def lease(_, *, wait_s):
        if timing.is_set():
            assert wait_s == 0
            both.wait()
        yield FakeLease()

    devices = [FakeDevice("FAKE1"), FakeDevice("FAKE2")]
    source = make(*devices, lease=lease)
    timing.set()
    assert source.lanes == 2
    threads = [
        threading.Thread(target=ask, args=(source, request(name, id=name)))
        for name in ("a1", "a2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert [len(device.ran) for device in devices] == [3, 3]
    assert not any(thread.is_alive() for thread in threads)


def test_more_callers_than_devices_wait_for_their_turn(make):
    device = FakeDevice(run_s=0.002)  # fails if two run on it at once
    source, answers = make(device), {}

    def work(name):
        answers.update(ask(source, request(name, id=name)))

    threads = [threading.Thread(target=work, args=(f"a{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(answers) == 6
    assert all(isinstance(answer, LatencyEstimate) for answer in answers.values())


def test_a_device_is_held_while_it_times_and_free_afterwards(make, monkeypatch):
    held = []

    @contextmanager
    def lease(device_id, *, wait_s):
        assert wait_s > 0
        held.append(device_id)
        yield FakeLease()
        held.remove(device_id)

    device = FakeDevice()
    run = device.run

    def run_held(*arguments):
        assert held == ["adb:FAKE1"]
        return run(*arguments)

    monkeypatch.setattr(device, "run", run_held)
    source = make(device, lease=lease)
    assert len(ask(source, request("a1", id="1"), request("a2", id="2"))) == 2
    assert held == []


def test_a_caller_that_loses_interest_gives_the_device_back(make):
    source = make(FakeDevice())
    answers = source.estimate([request("a1", id="1"), request("a2", id="2")])
    next(answers)
    answers.close()
    assert isinstance(ask(source, request("a3"))["one"], LatencyEstimate)


def test_a_device_that_is_gone_is_replaced_by_one_that_is_there(make):
    gone, there = FakeDevice("FAKE1"), FakeDevice("FAKE2")
    source = make(gone, there)
    gone.gone = DeviceTransientError("adb:FAKE1", "device offline")
    for name in ("a1", "a2", "a3"):
        assert ask(source, request(name))["one"].source == "adb:FAKE2"
    assert len(there.ran) == 9


@pytest.mark.parametrize("kind", [DeviceTransientError, DevicePermanentError])
def test_the_last_device_is_asked_even_if_it_was_gone(make, kind):
    device = FakeDevice("FAKE1")
    source = make(device)
    device.gone = kind("adb:FAKE1", "device offline")
    failure = ask(source, request())["one"]
    assert isinstance(failure, LatencyFailure)
    assert failure.text == "adb:FAKE1: device offline"
    assert failure.retryable == (kind is DeviceTransientError)
    device.gone = None
    assert isinstance(ask(source, request())["one"], LatencyEstimate)


def test_a_file_that_no_device_can_run_is_a_failure_for_good_and_costs_no_device(make):
    devices = [Phone("FAKE1"), Phone("FAKE2")]
    source = make(*devices)
    failure = ask(source, request("bb"))["one"]
    assert failure.text.endswith("unsupported operator")
    assert not failure.retryable
    for name in ("a1", "a2"):
        ask(source, request(name))
    assert all(device.ran for device in devices)


def test_a_device_that_someone_else_holds_may_be_free_later(make):
    waited: list[float] = []

    def lease(device_id, *, wait_s):
        waited.append(wait_s)
        if len(waited) <= 2:
            return free(device_id, wait_s=wait_s)
        raise DeviceBusyError(device_id, "held by process 7")

    failure = ask(make(FakeDevice("FAKE1"), FakeDevice("FAKE2"), lease=lease), request())["one"]
    assert failure.retryable
    assert "held by process 7" in failure.text
    assert waited == [OTHERS_WAIT_S, OTHERS_WAIT_S, 0, LEASE_WAIT_S]


def test_a_device_is_held_while_it_is_asked_what_it_is(make):
    holding = []

    @contextmanager
    def lease(device_id, *, wait_s):
        holding.append((device_id, wait_s))
        yield FakeLease()
        holding.pop()

    class Watched(FakeDevice):
        def setup(self, settings):
            assert holding == [(self.id, LEASE_WAIT_S)] or self.ran
            return super().setup(settings)

    assert make(Watched("FAKE1"), lease=lease).lanes == 1


def test_of_several_one_that_does_not_answer_is_left_out_and_reported(make):
    first, second = FakeDevice("FAKE1"), FakeDevice("FAKE2")
    first.gone = DeviceTransientError(first.id, "device offline")
    source = make(first, second)
    assert source.lanes == 1
    assert first.closed == 1
    assert ask(source, request())["one"].source == "adb:FAKE2"
    with pytest.raises(DeviceTransientError, match="device offline"):
        make(first)


def test_a_device_that_comes_back_is_used_again(make):
    clock = SimulatedClock()
    first, second = FakeDevice("FAKE1"), FakeDevice("FAKE2")
    source = make(first, second, patience=Patience(attempts=1, clock=clock))
    first.gone = DeviceTransientError(first.id, "device offline")
    assert ask(source, request("a1"))["one"].source == "adb:FAKE2"
    assert ask(source, request("a2"))["one"].source == "adb:FAKE2"
    first.gone = None
    clock.sleep(BACK_S + 1)
    found = {ask(source, request(f"b{n}"))["one"].source for n in range(4)}
    assert found == {"adb:FAKE1", "adb:FAKE2"}


def test_the_requests_of_one_call_are_dealt_out_to_all_devices(make):
    devices = [FakeDevice("FAKE1"), FakeDevice("FAKE2")]
    answers = ask(make(*devices), *(request(f"a{n}", id=str(n)) for n in range(4)))
    assert sorted(answers) == ["0", "1", "2", "3"]
    assert [len({model.sha256 for model in device.ran}) for device in devices] == [2, 2]


class Lost(FakeDevice):
    """A fake that is gone when what it held is to be put back."""

    @contextmanager
    def hold(self, settings):
        with super().hold(settings):
            yield ()
        raise DeviceTransientError(self.id, "device offline")


def test_a_device_that_is_lost_on_the_way_out_costs_no_number(make):
    answers = ask(make(Lost()), request("a1"), request("a2", id="two"))
    assert all(isinstance(answer, LatencyEstimate) for answer in answers.values())
    assert sorted(answers) == ["one", "two"]


def test_if_one_is_held_another_one_is_taken(make):
    def lease(device_id, *, wait_s):
        if device_id == "adb:FAKE1":
            raise DeviceBusyError(device_id, "held by process 7")
        return free(device_id, wait_s=wait_s)

    source = make(FakeDevice("FAKE1"), FakeDevice("FAKE2"), lease=lease)
    assert ask(source, request())["one"].source == "adb:FAKE2"


def test_a_network_that_cannot_be_exported_fails_alone(make):
    network = NetworkSubject(
        architecture=ProxylessSpace().decode((0,) * 22), head=Classifier(classes=10)
    )
    answers = ask(make(FakeDevice()), LatencyRequest(id="network", subject=network), request("a1"))
    assert answers["network"].text == ATAN
    assert not answers["network"].retryable
    assert isinstance(answers["one"], LatencyEstimate)


def test_a_measurement_that_cannot_be_kept_is_no_answer(make, store, monkeypatch):
    def full(_):
        raise StoreError(FULL)

    monkeypatch.setattr(store, "add", full)
    failure = ask(make(FakeDevice()), request())["one"]
    assert (failure.text, failure.retryable) == (FULL, True)


def test_an_unknown_preset_is_refused_before_anything_runs(make):
    device = FakeDevice()
    with pytest.raises(InputError, match="'thorough'"):
        make(device).estimate([request(), request(preset="thorough")])
    assert device.ran == []


def test_the_more_urgent_question_is_looked_up_first(make):
    source = make(FakeDevice())
    requests = [request(f"a{n}", id=str(n), priority=n) for n in range(3)]
    ask(source, *requests)
    assert [answer.request_id for answer in source.estimate(requests)] == ["2", "1", "0"]


def test_closing_gives_every_device_back_once(make):
    devices = [FakeDevice("FAKE1"), FakeDevice("FAKE2")]
    source = make(*devices)
    source.close()
    source.close()
    assert [device.closed for device in devices] == [1, 1]
