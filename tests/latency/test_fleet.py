import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from latency.experience import ExperiencedTable
from latency.fleet import FleetDevice, FleetSource
from latency.hybrid_source import FIRST, HybridSource
from latency.load import FleetRule, LoadRule
from latency.measurement import Verdict
from latency.source import (
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    NetworkSubject,
    Origin,
    RefiningSource,
)
from latency.table_file import load
from latency.table_plan import random_networks
from latency.table_source import TableSource
from latency.testing import LatencySourceContract
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError, OperationError

HEAD = Classifier(classes=1000)
SUBJECTS = random_networks(ProxylessSpace(), HEAD, 12, seed=3)
PIXEL = TableSource(load("pixel1"))


def second_table():
    """Pixel 1's entries, each depthwise layer's twice: another device's strengths."""
    table = PIXEL.table
    entries = {
        key: replace(entry, ms=entry.ms * (2.0 if "kernel" in key else 1.0))
        for key, entry in table.entries.items()
    }
    return TableSource(replace(table, name="table:second", entries=entries))


class Timer:
    """A stand-in for a phone: what a table says, as measured, after a while."""

    on_this_computer = False

    def __init__(self, name="adb:STANDIN", *, delay_s=0.0, lanes=1, here=False, say=None):
        self.name, self.lanes, self.on_this_computer = name, lanes, here
        self.say = say or (lambda _, estimate: estimate)
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.closed = 0
        self._delay_s = delay_s
        self._lock = threading.Lock()

    def estimate(self, requests):
        for request in requests:
            with self._lock:
                self.asked.append(request.id)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            time.sleep(self._delay_s)
            with self._lock:
                self.at_once -= 1
            (told,) = PIXEL.estimate([request])
            assert isinstance(told, LatencyEstimate)
            yield self.say(request, replace(told, origin=Origin.MEASURED, source=self.name))

    def close(self):
        self.closed += 1


def fleet(*devices, kind=FleetRule.WORST, weights=None):
    made = [
        FleetDevice(name=name, source=source, target_ms=target_ms, weight=weight)
        for (name, source, target_ms), weight in zip(
            devices, weights or [1.0] * len(devices), strict=True
        )
    ]
    return FleetSource(made, LoadRule(kind=kind, weights=tuple(d.weight for d in made)))


def two_tables(**more):
    return fleet(("pixel", PIXEL, 75.0), ("second", second_table(), 100.0), **more)


def requests(count=3, **more):
    return [
        LatencyRequest(id=f"r{place}", subject=SUBJECTS[place], **more) for place in range(count)
    ]


def held_until(free):
    def held(_, estimate):
        free.wait(timeout=30.0)
        return estimate

    return held


def await_(happens):
    deadline = time.monotonic() + 30.0
    while not happens() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert happens()


def failing(request, _):
    return LatencyFailure(request_id=request.id, text="the phone is off", retryable=True)


def test_every_device_is_asked_and_the_load_is_the_largest_share_of_a_target():
    second = second_table()
    for request in requests(8):
        (found,) = two_tables().estimate([request])
        (a,), (b,) = PIXEL.estimate([request]), second.estimate([request])
        assert found.latency_ms == max(a.latency_ms / 75.0, b.latency_ms / 100.0)
        assert [one.estimate for one in found.devices] == [a, b]
        assert [(d.name, d.target_ms) for d in found.devices] == [("pixel", 75), ("second", 100)]
        assert (found.origin, found.source) == (
            Origin.TABLE,
            "worst of table:pixel1, table:second",
        )


def test_by_weights_it_is_their_mean():
    (request,) = requests(1)
    (found,) = two_tables(kind=FleetRule.WEIGHTED, weights=[3.0, 1.0]).estimate([request])
    a, b = (one.estimate.latency_ms / one.target_ms for one in found.devices)
    assert found.latency_ms == pytest.approx((3 * a + b) / 4)


def test_devices_are_asked_at_the_same_time():
    both = threading.Barrier(2)

    def meeting(_, estimate):
        both.wait(timeout=30.0)
        return estimate

    source = fleet(
        ("a", Timer("adb:A", say=meeting), 75.0), ("b", Timer("adb:B", say=meeting), 75.0)
    )
    assert len(list(source.estimate(requests(2)))) == 2


def test_a_device_goes_ahead_while_another_is_at_the_network_before():
    free = threading.Event()
    quick, slow = Timer("adb:A"), Timer("adb:B", say=held_until(free))
    source = fleet(("a", quick, 75.0), ("b", slow, 75.0))
    assert source.lanes == 2
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(lambda r: list(source.estimate([r])), r) for r in requests(2)]
        await_(lambda: len(quick.asked) == 2)
        assert len(slow.asked) == 1
        free.set()
    assert all(isinstance(found, LatencyEstimate) for a in answers for found in a.result())
    assert slow.most_at_once == 1


def test_devices_on_this_computer_take_turns():
    lock, both = threading.Lock(), []

    def watched(_, estimate):
        with lock:
            both.append(here[0].at_once + here[1].at_once)
        return estimate

    here = [Timer(n, here=True, delay_s=0.02, say=watched) for n in ("host", "adb:LOOP")]
    source = fleet(("a", here[0], 75.0), ("b", here[1], 75.0))
    assert source.on_this_computer
    assert len(list(source.estimate(requests(4)))) == 4
    assert set(both) == {0}  # the one that answers has just ended, and no other has begun


def test_the_failure_of_one_device_is_that_of_the_whole_and_names_it():
    source = fleet(("pixel", PIXEL, 75.0), ("old", Timer(say=failing), 75.0))
    (found,) = source.estimate(requests(1))
    assert found == LatencyFailure(request_id="r0", text="old: the phone is off", retryable=True)


def test_a_device_that_gives_up_fails_what_it_left_and_no_more():
    class GivesUp(Timer):
        def estimate(self, requests):
            yield from super().estimate(requests[:1])
            msg = "the cable was pulled"
            raise OperationError(msg)

    source = fleet(("pixel", PIXEL, 75.0), ("old", GivesUp(), 75.0))
    found = {each.request_id: each for each in source.estimate(requests(3))}
    assert isinstance(found["r0"], LatencyEstimate)
    assert {found[name].text for name in ("r1", "r2")} == {"old: the cable was pulled"}


def test_what_one_device_rejects_is_rejected():
    def rejecting(_, estimate):
        return replace(estimate, verdict=Verdict.REJECTED)

    source = fleet(("pixel", PIXEL, 75.0), ("old", Timer(say=rejecting), 75.0))
    (found,) = source.estimate(requests(1))
    assert found.verdict is Verdict.REJECTED
    assert [one.estimate.verdict for one in found.devices] == [Verdict.STABLE, Verdict.REJECTED]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_an_answer_that_is_no_latency_is_a_failure_that_names_the_device(value):
    def nonsense(_, estimate):
        return replace(estimate, latency_ms=value)

    source = fleet(("pixel", PIXEL, 75.0), ("own", Timer(say=nonsense), 75.0))
    (found,) = source.estimate(requests(1))
    assert found.text.startswith(f"own: answered {value} ms")


def test_labels_say_which_device_they_are_of():
    def labelled(_, estimate):
        return replace(estimate, labels=("made up",))

    source = fleet(("pixel", PIXEL, 75.0), ("own", Timer(say=labelled), 75.0))
    (found,) = source.estimate(requests(1))
    assert found.labels == ("own: made up",)


def test_it_is_measured_only_if_every_device_was():
    timers = [Timer("adb:A"), Timer("adb:B")]
    (mixed,) = fleet(("a", PIXEL, 75.0), ("b", timers[1], 75.0)).estimate(requests(1))
    (whole,) = fleet(("a", timers[0], 75.0), ("b", timers[1], 75.0)).estimate(requests(1))
    assert (mixed.origin, mixed.is_measured) == (Origin.TABLE, False)
    assert (whole.origin, whole.is_measured) == (Origin.MEASURED, True)


def test_a_threshold_inside_the_interval_has_those_measured_that_predicted():
    timer = Timer()
    hybrid = HybridSource(ExperiencedTable(TableSource(PIXEL.table)), timer, "hybrid:p,adb:X")
    source = fleet(("mixed", hybrid, 75.0), ("second", second_table(), 100.0))
    assert isinstance(two_tables(), RefiningSource)
    assert source.refines()
    assert not two_tables().refines()
    list(source.estimate(requests(FIRST)))  # the first few are measured in any case
    before = len(timer.asked)
    far = LatencyRequest(id="far", subject=SUBJECTS[7], thresholds_ms=(50.0,))
    (plain,) = source.estimate([far])
    assert (len(timer.asked), plain.devices[0].estimate.origin) == (before, Origin.TABLE)
    near = replace(far, id="near", thresholds_ms=(plain.latency_ms,))
    (found,) = source.estimate([near])
    assert timer.asked[before:] == ["near"]
    assert found.devices[0].estimate.is_measured
    assert found.devices[0].estimate.predicted is not None


def test_what_waits_when_it_is_closed_is_answered_with_a_failure():
    free = threading.Event()
    quick, slow = Timer("adb:A"), Timer("adb:B", say=held_until(free))
    source = fleet(("old", slow, 75.0), ("new", quick, 75.0))
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(lambda r: list(source.estimate([r])), r) for r in requests(2)]
        await_(lambda: len(quick.asked) == 2)
        source.close()
        free.set()
        found = [each for answer in answers for each in answer.result()]
    assert slow.closed == 1
    assert len([each for each in found if isinstance(each, LatencyEstimate)]) == 1
    assert [e.text for e in found if isinstance(e, LatencyFailure)] == [
        "old: it gave no answer before the fleet was closed"
    ]


def test_two_devices_of_one_name_and_targets_that_are_none_are_refused():
    with pytest.raises(InputError, match="names that differ"):
        fleet(("a", PIXEL, 75.0), ("a", second_table(), 75.0))
    for target_ms in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"target of a must be positive, got {target_ms!r}"):
            fleet(("a", PIXEL, target_ms))


class NoParts:
    """An architecture of a family that has no parts."""

    family = "graph"
    key = "graph"


class Contract(LatencySourceContract):
    @pytest.fixture
    def subjects(self):
        return SUBJECTS[:5]

    @pytest.fixture
    def impossible(self):
        return NetworkSubject(architecture=NoParts(), head=HEAD)  # type: ignore[arg-type]


class TestFleetOfTables(Contract):
    @pytest.fixture(params=list(FleetRule))
    def source(self, request):
        made = two_tables(kind=request.param)
        yield made
        made.close()


class TestFleetOfAMixedSourceAndATable(Contract):
    @pytest.fixture
    def source(self):
        hybrid = HybridSource(
            ExperiencedTable(TableSource(PIXEL.table)), second_table(), "hybrid:p,table:second"
        )
        made = fleet(("mixed", hybrid, 75.0), ("second", second_table(), 100.0))
        yield made
        made.close()
