"""A small network on the digits, and a latency source that needs no device."""

import textwrap

import pytest

from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem

TIMER = '''
    """A fake: milliseconds by precision, as the test has set them."""
    from latency.measurement import Verdict
    from latency.source import FileSubject, LatencyEstimate, LatencyFailure, Origin

    MILLISECONDS = {"fp32": 2.0, "fp16": 2.0, "int8": 1.0, "dynamic": 1.5}
    ASKED = []


    class Source:
        name = "own_timer:SOURCE"
        lanes = 1
        on_this_computer = False
        closed = 0

        def estimate(self, requests):
            ASKED.append([request.subject.artifact.path.name for request in requests])
            for request in requests:
                assert isinstance(request.subject, FileSubject)
                artifact = request.subject.artifact
                value = MILLISECONDS[artifact.precision.value]
                if value is None:
                    yield LatencyFailure(request_id=request.id, text="it is gone", retryable=True)
                    continue
                yield LatencyEstimate(
                    request_id=request.id, latency_ms=value, low_ms=0.99 * value,
                    high_ms=1.01 * value, origin=Origin.MEASURED, source=self.name, coverage=1.0,
                    verdict=Verdict.STABLE, artifact_sha256=artifact.sha256,
                )

        def close(self):
            self.closed += 1


    SOURCE = Source()
'''


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def own_timer(tmp_path_factory, monkeypatch):
    """``own_timer:SOURCE`` can be named; its milliseconds can be set."""
    import importlib
    import sys

    folder = tmp_path_factory.mktemp("outside")
    (folder / "own_timer.py").write_text(textwrap.dedent(TIMER))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "own_timer", raising=False)
    return importlib.import_module("own_timer")


@pytest.fixture
def architecture():
    stages = (
        Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1, skip=Skip.NONE),
        Stage(
            op=Op.MBCONV, kernel=3, stride=2, expansion=2, filters=12, repeats=2,
            skip=Skip.IDENTITY,
        ),
    )  # fmt: skip
    return ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=stages, head_filters=24, dropout=0.1
    )


@pytest.fixture
def network(architecture):
    """Untrained, with batch norms that do something."""
    from delivery.network import Network
    from exporters.testing import random_inputs, randomize
    from training.task import create

    head = Classifier(classes=10)
    module = architecture.build(head)
    randomize(module, random_inputs((1, 1, 16, 16)))
    return Network(
        architecture=architecture, head=head, module=module, name="a small one",
        weights="drawn for a test", task=create("digits"),
    )  # fmt: skip
