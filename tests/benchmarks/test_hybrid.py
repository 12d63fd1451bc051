import random

import pytest

from latency.made_up import MadeUpDevice
from latency.measurement import Verdict
from latency.signatures import parts_of
from latency.source import LatencyEstimate, LatencyRequest, Origin
from workspace.errors import InputError

pytest.importorskip("torch")

DEVICE = MadeUpDevice(4)


class StandIn:
    """A stand-in for a computer that takes what a made-up device takes."""

    name = "stand-in"
    lanes = 1
    on_this_computer = False

    def __init__(self):
        self.asked: list[LatencyRequest] = []

    def estimate(self, requests):
        for request in requests:
            self.asked.append(request)
            parts = parts_of(request.subject.architecture, request.subject.head)
            latency_ms = DEVICE.latency_ms(parts)
            yield LatencyEstimate(
                request_id=request.id,
                latency_ms=latency_ms,
                low_ms=0.99 * latency_ms,
                high_ms=1.01 * latency_ms,
                origin=Origin.MEASURED,
                source=self.name,
                coverage=1.0,
                verdict=Verdict.STABLE,
            )

    def close(self):
        pass


@pytest.fixture(scope="module")
def pool(script):
    return script.Pool(100)


def test_a_network_of_the_pool_is_found_by_its_number_and_a_stranger_is_refused(script, pool):
    assert pool.decode((7,)) == pool.subjects[7].architecture
    assert pool.encode(pool.decode((7,))) == (7,)
    with pytest.raises(InputError, match="not in the pool"):
        script.Pool(3).encode(pool.decode((7,)))


def test_a_measurement_is_made_once_and_counted_each_time(script, pool):
    source = StandIn()
    known: dict[str, tuple[LatencyEstimate, float]] = {}
    one, other = script.Counted(source, known), script.Counted(source, known)
    requests = [LatencyRequest(id="a", subject=pool.subjects[0])]
    assert [each.request_id for each in (*one.estimate(requests), *other.estimate(requests))] == [
        "a",
        "a",
    ]
    assert len(source.asked) == 1
    assert (one.count, other.count) == (1, 1)
    assert one.seconds == other.seconds > 0


def test_a_search_that_predicts_ends_with_the_same_front_for_fewer_measurements(script, pool):
    rng = random.Random(0)
    accuracies = {each.architecture.key: rng.uniform(0.6, 0.9) for each in pool.subjects}
    found = script.compared(pool, StandIn(), accuracies, 2, 150)
    assert found["least_hypervolume_ratio"] > 0.99
    for run in found["runs"]:
        assert 60 < run["measured"] <= 100
        assert script.FIRST <= run["hybrid_measured"] < run["measured"] / 2
