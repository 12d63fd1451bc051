import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from exporters.exporter import NamedInput
from latency.measurement import Verdict
from latency.source import LatencyEstimate, LatencyFailure, Origin
from search_space.assemblenet import Attention, FlowSource, ModuleKind


def test_every_kind_of_member_is_exported_and_the_lite_network_comes_last(script):
    *members, lite = script.networks(5)
    assert len({member.key for member in members}) == 5
    assert {member.flow for member in members} == set(FlowSource)
    assert {member.module for member in members} == set(ModuleKind)
    assert {member.attention for member in members} == {Attention.NONE, Attention.PEER}
    assert lite.stem.filters == 24


@pytest.fixture
def source(monkeypatch, script):
    """Answers as a device would, slower with each; the second one fails."""

    class Answers:
        def estimate(self, requests):
            for request in requests:
                assert request.preset == "quick"
                number = int(request.id)
                if number == 1:
                    yield LatencyFailure(request_id="1", text="it is gone", retryable=False)
                    continue
                yield LatencyEstimate(
                    request_id=request.id,
                    latency_ms=1.0 + number,
                    low_ms=1.0,
                    high_ms=20.0,
                    origin=Origin.MEASURED,
                    source="made up",
                    coverage=1.0,
                    verdict=Verdict.UNSTABLE if number == 0 else Verdict.STABLE,
                )

        def close(self):
            """Nothing is held."""

    monkeypatch.setattr(script, "open_source", lambda *_: Answers())


@pytest.mark.usefixtures("source")
def test_how_many_could_be_timed_is_told_with_their_range_and_the_lite_network_apart(script):
    found = script.timed(list(script.networks(9)), "host")
    assert (found["timed"], found["unstable"]) == (9, 1)
    assert found["failures"] == ["it is gone"]
    assert (found["fastest_ms"], found["slowest_ms"], found["lite_ms"]) == (1.0, 9.0, 10.0)
    assert found["median_ms"] == 5.5


def test_the_error_of_floats_is_what_rounding_does(script):
    half = NamedInput("x", torch.rand(1, 4))
    assert script.float_error(nn.Linear(4, 3), (half,)) < 1e-6
    off = nn.Linear(4, 3)
    wrong = torch.tensor([[1.1, 1.0, 1.0]]) * off(half.value).detach()
    assert 1e-3 < script.error_of(wrong, off, (half,)) <= 0.1 + 1e-6

    class Cancels(nn.Module):
        def forward(self, x):
            return (x + 1e6) - 1e6

    assert script.float_error(Cancels(), (half,)) > 1e-3
