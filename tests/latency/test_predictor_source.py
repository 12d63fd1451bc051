import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters.artifact import Artifact, ModelFormat
from latency.device_prior import DevicePrior
from latency.made_up import MadeUpDevice
from latency.measurement import Verdict
from latency.predictor import Predictor
from latency.predictor_file import PredictorRecord, path_of, write
from latency.predictor_source import PredictorSource
from latency.signatures import parts_of
from latency.source import (
    FileSubject,
    LatencyEstimate,
    LatencyRequest,
    NetworkSubject,
    Origin,
    SourceSettings,
    create,
)
from latency.table_plan import random_networks
from latency.testing import LatencySourceContract
from search_space.architecture import Classifier, Detector
from search_space.proxyless import ProxylessSpace
from search_space.space import create as create_space
from workspace.errors import InputError

SPACE, HEAD = ProxylessSpace(size=64), Classifier(classes=10)
SUBJECTS = random_networks(SPACE, HEAD, 60, seed=1)
NETWORKS = [parts_of(each.architecture, HEAD) for each in SUBJECTS]
NEW = MadeUpDevice(9)


@pytest.fixture(scope="module")
def record():
    prior = DevicePrior.of([MadeUpDevice(seed).other(NETWORKS) for seed in (1, 2)], NETWORKS)
    return PredictorRecord(
        name="predictor:lab",
        predictor=Predictor.of(prior, NEW.measured(NETWORKS[:10])),
        space="proxyless size=64",
        classes=10,
        conditions={"precision": "fp32", "threads": 1},
        networks=(),
    )


class NoParts:
    """An architecture of a family that has no parts."""

    family = "graph"
    key = "graph"


class TestPredictorSource(LatencySourceContract):
    @pytest.fixture
    def source(self, record):
        return PredictorSource(record)

    @pytest.fixture
    def subjects(self):
        return SUBJECTS[20:25]

    @pytest.fixture
    def impossible(self):
        return NetworkSubject(architecture=NoParts(), head=HEAD)  # type: ignore[arg-type]


def answers(source, subjects):
    requests = [LatencyRequest(id=str(i), subject=each) for i, each in enumerate(subjects)]
    return {int(each.request_id): each for each in source.estimate(requests)}


def test_an_answer_is_predicted_and_says_from_where(record):
    found = answers(PredictorSource(record), SUBJECTS[:1])[0]
    assert (found.origin, found.source) == (Origin.PREDICTED, "predictor:lab")
    assert (found.coverage, found.verdict) == (1.0, Verdict.STABLE)
    assert found.latency_ms == pytest.approx(NEW.latency_ms(NETWORKS[0]), rel=0.05)


def test_intervals_of_95_percent_hold_nearly_all(record):
    found = answers(PredictorSource(record), SUBJECTS[10:])
    truth = [NEW.latency_ms(parts) for parts in NETWORKS[10:]]
    held = [found[i].low_ms <= ms <= found[i].high_ms for i, ms in enumerate(truth)]
    assert np.mean(held) >= 0.9


def test_networks_of_another_size_are_answered_with_the_parts_that_nobody_measured(record):
    other = NetworkSubject(architecture=SUBJECTS[0].architecture.at(96), head=HEAD)
    found = answers(PredictorSource(record), [other, SUBJECTS[0]])
    assert found[0].coverage < 0.2
    assert "parts were measured on no device" in found[0].labels[-1]
    assert found[0].latency_ms > found[1].latency_ms
    width = [(found[i].high_ms - found[i].low_ms) / found[i].latency_ms for i in (0, 1)]
    assert width[0] > width[1]


def test_all_points_at_once_are_what_one_by_one_gives(record):
    source = PredictorSource(record)
    rng = random.Random(3)
    points = [SPACE.points.sample(rng) for _ in range(20)]
    subjects = [NetworkSubject(architecture=SPACE.decode(p), head=HEAD) for p in points]
    one_by_one = answers(source, subjects)
    together = source.over(SPACE, HEAD).latencies_ms(np.array(points))
    np.testing.assert_allclose(together, [one_by_one[i].latency_ms for i in range(20)], rtol=0.02)


def test_it_answers_for_networks_with_heads_of_the_kind_it_was_fitted_on(record):
    space = create_space("spinenet_mbconv", {"size": "128"})
    source = PredictorSource(record)
    source.require_covers(space, Classifier(classes=10))
    with pytest.raises(InputError, match=r"fitted on classifiers.*fit --head detector"):
        source.require_covers(space, Detector(classes=10))
    with pytest.raises(InputError, match="one by one only"):
        source.over(space, Classifier(classes=10))
    of_detectors = PredictorSource(replace(record, head="detector"))
    of_detectors.require_covers(space, Detector(classes=10))
    with pytest.raises(InputError, match=r"fitted on detectors.*fit --head classifier"):
        of_detectors.require_covers(space, Classifier(classes=10))


def test_files_are_refused_since_their_parts_are_unknown(record, tmp_path):
    artifact = Artifact(
        path=tmp_path / "a.tflite",
        format=ModelFormat.TFLITE,
        sha256="0" * 64,
        inputs=(),
        outputs=(),
        tool="none",
    )
    request = LatencyRequest(id="file", subject=FileSubject(artifact=artifact))
    with pytest.raises(InputError, match=r"knows parts of networks, not files: .*a\.tflite"):
        PredictorSource(record).estimate([request])


def test_it_learns_from_what_is_measured_beside_it(record):
    source = PredictorSource(record)
    slower = [
        LatencyEstimate(
            request_id=str(i),
            latency_ms=1.3 * NEW.latency_ms(NETWORKS[i]),
            low_ms=1.28 * NEW.latency_ms(NETWORKS[i]),
            high_ms=1.32 * NEW.latency_ms(NETWORKS[i]),
            origin=Origin.MEASURED,
            source="adb:A",
            coverage=1.0,
            verdict=Verdict.STABLE,
        )
        for i in range(20, 50)
    ]
    before = answers(source, SUBJECTS[50:])
    requests = [LatencyRequest(id=str(i), subject=SUBJECTS[i]) for i in range(20, 50)]
    source.learn(list(zip(requests, slower, strict=True)))
    after = answers(source, SUBJECTS[50:])
    ratios = [after[i].latency_ms / before[i].latency_ms for i in before]
    assert np.median(ratios) > 1.15
    assert len(source.record.predictor.measurements) == 40


def test_it_is_a_source_by_its_name_under_its_own_precision_alone(record, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    write(record, path_of("lab"))
    assert create("predictor:lab", SourceSettings()).name == "predictor:lab"
    document = json.loads(path_of("lab").read_text())
    document["conditions"]["precision"] = "int8"
    Path(path_of("lab")).write_text(json.dumps(document))
    with pytest.raises(InputError, match="holds latencies of int8, fp32 was asked for"):
        create("predictor:lab", SourceSettings())
    with pytest.raises(InputError, match="no predictor 'nowhere'"):
        create("predictor:nowhere", SourceSettings())
