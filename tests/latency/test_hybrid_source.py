from dataclasses import replace

import pytest

from latency.experience import ExperiencedTable
from latency.hybrid_source import FIRST, HybridSource, learning
from latency.made_up import MadeUpDevice
from latency.measurement import Verdict
from latency.signatures import distinct, parts_of
from latency.source import (
    Decides,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    NetworkSubject,
    Origin,
    RefiningSource,
    SourceSettings,
    create,
)
from latency.table import Correction, Entry, LatencyTable
from latency.table_plan import random_networks
from latency.table_source import TableSource
from latency.testing import LatencySourceContract
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

SPACE, HEAD = ProxylessSpace(size=64), Classifier(classes=10)
SUBJECTS = random_networks(SPACE, HEAD, 60, seed=1)
NETWORKS = [parts_of(each.architecture, HEAD) for each in SUBJECTS]
DEVICE = MadeUpDevice(9)
TABLE = LatencyTable(
    name="table:mine",
    entries={
        part.key: Entry(ms=DEVICE.part_ms(part), variance_ms2=0.0, count=1)
        for part in distinct(NETWORKS)
    },
    correction=Correction(
        constant_ms=DEVICE.OWN_MS, residual_share=0.01, networks=tuple("abcdefghijkl")
    ),
)


class Timer:
    """A stand-in for a phone: what it times takes ``factor`` of the made-up device's time."""

    name = "adb:STANDIN"
    lanes = 1
    on_this_computer = False

    def __init__(self, factor=1.0, verdict=Verdict.STABLE):
        self.factor, self.verdict = factor, verdict
        self.asked: list[LatencyRequest] = []

    def estimate(self, requests):
        self.asked += requests
        return [self._answer(each) for each in requests]

    def close(self):
        pass

    def _answer(self, request):
        if not hasattr(request.subject.architecture, "at"):
            return LatencyFailure(request_id=request.id, text="no such network", retryable=False)
        latency_ms = self.factor * DEVICE.latency_ms(parts_of(request.subject.architecture, HEAD))
        return LatencyEstimate(
            request_id=request.id,
            latency_ms=latency_ms,
            low_ms=0.99 * latency_ms,
            high_ms=1.01 * latency_ms,
            origin=Origin.STORED,
            source=self.name,
            coverage=1.0,
            verdict=self.verdict,
        )


def hybrid(timer=None, table=TABLE):
    return HybridSource(
        ExperiencedTable(TableSource(table)), timer or Timer(), "hybrid:mine,adb:STANDIN"
    )


def request(place, **more):
    return LatencyRequest(id=str(place), subject=SUBJECTS[place], **more)


def ask(source, *requests):
    return {int(each.request_id): each for each in source.estimate(requests)}


def warmed(timer=None, count=FIRST, table=TABLE):
    source = hybrid(timer, table)
    ask(source, *(request(place) for place in range(count)))
    return source


def test_the_first_ones_are_measured_whatever_is_predicted():
    found = ask(hybrid(), *(request(place) for place in range(10)))
    origins = [found[place].origin for place in range(10)]
    assert origins == [Origin.STORED] * FIRST + [Origin.TABLE] * (10 - FIRST)


def test_a_threshold_inside_the_interval_is_measured_and_one_outside_is_not():
    source = warmed()
    (plain,) = ask(source, request(20)).values()
    inside = request(20, thresholds_ms=(plain.high_ms * 0.999,))
    outside = request(20, thresholds_ms=(plain.high_ms * 1.02, plain.low_ms * 0.98))
    assert plain.origin is Origin.TABLE
    assert ask(source, outside)[20].origin is Origin.TABLE
    assert ask(source, inside)[20].origin is Origin.STORED


def test_a_measured_answer_has_what_was_predicted_beside_it():
    source = warmed()
    (plain,) = ask(source, request(20)).values()
    found = ask(source, request(20, decides=Decides.FRONT))[20]
    assert found.predicted is not None
    assert found.predicted.latency_ms == pytest.approx(plain.latency_ms)
    assert found.predicted.origin is Origin.TABLE


@pytest.mark.parametrize("decides", [Decides.FRONT, Decides.REPORT])
def test_what_is_final_is_always_measured(decides):
    assert ask(warmed(), request(20, decides=decides))[20].origin is Origin.STORED


def test_a_network_with_a_part_that_the_table_lacks_is_measured():
    (gap, *_) = [part for part in NETWORKS[30] if part.key not in str(NETWORKS[:3])]
    table = replace(TABLE, entries={k: e for k, e in TABLE.entries.items() if k != gap.key})
    source = warmed(table=table)
    found = ask(source, request(30))[30]
    assert (found.origin, found.predicted) == (Origin.STORED, None)


def test_measured_answers_correct_what_is_predicted_after_them():
    source = warmed(Timer(factor=1.2), count=30)
    ask(source, *(request(place, decides=Decides.FRONT) for place in range(3, 40)))
    found = ask(source, request(50))[50]
    assert found.origin is Origin.TABLE
    assert found.latency_ms == pytest.approx(1.2 * DEVICE.latency_ms(NETWORKS[50]), rel=0.03)


def test_a_device_that_is_as_the_table_says_narrows_the_intervals():
    source = warmed()
    before = ask(source, request(50))[50]
    ask(source, *(request(place, decides=Decides.FRONT) for place in range(3, 40)))
    after = ask(source, request(50))[50]
    assert after.high_ms - after.low_ms < 0.6 * (before.high_ms - before.low_ms)


def test_what_was_rejected_teaches_nothing():
    source = warmed(Timer(factor=2.0, verdict=Verdict.REJECTED), count=30)
    assert ask(source, request(50))[50].latency_ms == pytest.approx(
        DEVICE.latency_ms(NETWORKS[50])
    )


def test_it_counts_how_often_it_did_which():
    source = warmed(count=10)
    assert (source.use.measured, source.use.predicted) == (FIRST, 10 - FIRST)


def test_it_says_that_asking_again_may_help():
    assert isinstance(hybrid(), RefiningSource)
    assert not isinstance(TableSource(TABLE), RefiningSource)


def test_the_points_of_its_table_are_those_of_its_space():
    points = hybrid().over(SPACE, HEAD)
    assert points.latency_ms(points.fastest) < points.latency_ms(points.slowest)


def test_only_a_table_or_a_predictor_predicts():
    with pytest.raises(InputError, match="adb:STANDIN is no table and no predictor"):
        learning(Timer())


@pytest.mark.parametrize(
    "text", ["hybrid:pixel1", "hybrid:pixel1,", "hybrid:a,table:b", "hybrid:,host"]
)
def test_a_text_that_names_no_table_and_device_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="needs a table or predictor and a device, as in hybrid:"):
        create(text, SourceSettings())


def test_it_is_a_source_by_its_name(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    source = create("hybrid:pixel1,host", SourceSettings())
    assert (source.name, source.on_this_computer) == ("hybrid:pixel1,host", True)
    source.close()


class NoParts:
    """An architecture of a family that has no parts."""

    family = "graph"
    key = "graph"


class TestHybridSource(LatencySourceContract):
    @pytest.fixture
    def source(self):
        return warmed()

    @pytest.fixture
    def subjects(self):
        return SUBJECTS[20:25]

    @pytest.fixture
    def impossible(self):
        return NetworkSubject(architecture=NoParts(), head=HEAD)  # type: ignore[arg-type]
