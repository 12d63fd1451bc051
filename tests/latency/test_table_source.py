import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

import latency.table
from exporters.artifact import Artifact, ModelFormat
from latency.measurement import Verdict
from latency.source import (
    FileSubject,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    NetworkSubject,
    Origin,
    SourceSettings,
    SpaceSource,
    create,
)
from latency.table import LatencyTable
from latency.table_file import load
from latency.table_source import TableSource
from latency.testing import LatencySourceContract
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from search_space.space import create as create_space
from workspace.errors import InputError

SPACE = ProxylessSpace()
HEAD = Classifier(classes=1000)
TABLE = load("pixel1")
SOURCE = TableSource(TABLE)
FILE = Path(latency.table.__file__).parent / "tables" / "pixel1_proxylessnas.yaml"


def subject(point, head=HEAD, space=SPACE):
    return NetworkSubject(architecture=space.decode(point), head=head)


def points(count, seed=0):
    rng = random.Random(seed)
    return [SPACE.points.sample(rng) for _ in range(count)]


def answer(asked, source=SOURCE):
    (found,) = source.estimate([LatencyRequest(id="one", subject=asked)])
    return found


def without(key):
    return TableSource(
        LatencyTable(
            name="table:gap", entries={k: e for k, e in TABLE.entries.items() if k != key}
        )
    )


class TestContract(LatencySourceContract):
    @pytest.fixture
    def source(self):
        return create("table:pixel1", SourceSettings())

    @pytest.fixture
    def subjects(self):
        return [subject(point) for point in points(5)]

    @pytest.fixture
    def impossible(self):
        return subject(points(1)[0], head=Classifier(classes=10))


def test_a_thousand_networks_cost_what_the_published_entries_add_up_to():
    """By hand: from the choices straight to the file, with exact rational sums."""
    published = yaml.safe_load(FILE.read_text())
    for point in points(1000):
        exact = sum([Fraction(published[key]["mean"]) for key in keys_by_hand(point)], Fraction(0))
        assert answer(subject(point)).latency_ms == float(exact)


def keys_by_hand(point):
    """ProxylessNAS, section 4 and its published code: the keys of the layers of a point."""
    stages = [(16, 1, 1), (24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)]
    yield "Conv-input:224x224x3-output:112x112x32"
    size, channels, decisions = 112, 32, iter(point)
    for index, (filters, layers, first_stride) in enumerate(stages):
        for layer in range(layers):
            decision, expansions = next(decisions), (1,) if index == 0 else (3, 6)
            if decision == 3 * len(expansions):
                assert layer > 0
                continue
            stride = first_stride if layer == 0 else 1
            after = -(-size // stride)
            skip = int(stride == 1 and filters == channels)
            yield (
                f"expanded_conv-input:{size}x{size}x{channels}-output:{after}x{after}x{filters}"
                f"-expand:{expansions[decision // 3]}-kernel:{(3, 5, 7)[decision % 3]}"
                f"-stride:{stride}-idskip:{skip}"
            )
            size, channels = after, filters
    yield "Conv_1-input:7x7x320-output:7x7x1280"
    yield "Logits-input:7x7x1280-output:1000"


def test_the_answer_says_that_it_is_from_the_table():
    found = answer(subject(points(1)[0]))
    assert isinstance(found, LatencyEstimate)
    assert (found.origin, found.source) == (Origin.TABLE, "table:pixel1")
    assert (found.coverage, found.verdict, found.measurement) == (1.0, Verdict.STABLE, None)


def test_the_interval_is_that_of_one_measurement_whose_layers_deviate_independently():
    point = points(1)[0]
    entries = [TABLE.entries[key] for key in keys_by_hand(point)]
    rng = np.random.default_rng(0)
    fresh = sum(rng.normal(e.ms, math.sqrt(e.variance_ms2), 20_000) for e in entries)
    found = answer(subject(point))
    inside = ((found.low_ms <= fresh) & (fresh <= found.high_ms)).mean()
    assert inside == pytest.approx(0.95, abs=0.01)


def test_files_are_refused_since_their_layers_are_unknown(tmp_path):
    artifact = Artifact(
        path=tmp_path / "a.tflite",
        format=ModelFormat.TFLITE,
        sha256="0" * 64,
        inputs=(),
        outputs=(),
        tool="none",
    )
    with pytest.raises(
        InputError, match=r"table:pixel1 knows parts of networks, not files: .*a\.tflite"
    ):
        SOURCE.estimate([LatencyRequest(id="file", subject=FileSubject(artifact=artifact))])


def test_a_layer_that_is_missing_is_named_and_not_taken_for_nothing():
    gap = "expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0"
    point = (0,) * 22
    found = answer(subject(point), without(gap))
    assert isinstance(found, LatencyFailure)
    assert found.text == f"table:gap lacks {gap} (it has 96% of the network's layers)"
    assert not found.retryable
    assert without(gap).missing(SPACE.decode(point), HEAD) == (gap,)


@pytest.mark.parametrize(
    ("options", "classes", "words"),
    [
        ({"size": "192"}, 1000, "Conv-input:192x192x3-output:96x96x32"),
        ({}, 10, "Logits-input:7x7x1280-output:10$"),
        ({"channels": "1"}, 1000, "Conv-input:224x224x1"),
        ({"head_filters": "256"}, 1000, "output:7x7x256"),
    ],
)
def test_a_space_that_is_not_covered_is_refused_at_once(options, classes, words):
    space = create_space("proxyless", options)
    message = f"table:pixel1 lacks layers of the space 'proxyless': .*{words}"
    with pytest.raises(InputError, match=message):
        SOURCE.require_covers(space, Classifier(classes=classes))


def test_a_single_rare_gap_is_found():
    for key in TABLE.entries:
        with pytest.raises(InputError, match=f"'proxyless': {key}"):
            without(key).require_covers(SPACE, HEAD, samples=1)


def test_layers_that_such_tables_have_no_key_for_are_named_by_what_they_are():
    space = create_space("mnasnet", {})
    with pytest.raises(InputError, match=r"lacks layers of the space 'mnasnet': .* and \d+ more"):
        SOURCE.require_covers(space, HEAD)


def test_the_whole_space_is_covered():
    SOURCE.require_covers(SPACE, HEAD)
    assert isinstance(SOURCE, SpaceSource)


def test_an_array_of_points_gets_the_same_answers_as_one_by_one():
    some = points(2000, seed=5)
    together = SOURCE.over(SPACE, HEAD).latencies_ms(np.array(some))
    alone = [answer(subject(point)).latency_ms for point in some]
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=0)
    assert together.shape == (2000,)


def test_chunks_leave_no_seam():
    some = np.array(points(64, seed=6))
    over = SOURCE.over(SPACE, HEAD)
    many = np.tile(some, (300, 1))
    np.testing.assert_array_equal(over.latencies_ms(many), np.tile(over.latencies_ms(some), 300))
    assert over.latencies_ms(some[:0]).shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 21), int),
        np.zeros(22, int),
        np.zeros((3, 22)),
        np.full((1, 22), -1),
        np.full((1, 22), 3),
    ],
)
def test_an_array_that_holds_no_points_is_refused(wrong):
    with pytest.raises(InputError, match="points of the space 'proxyless' on table:pixel1 must"):
        SOURCE.over(SPACE, HEAD).latencies_ms(wrong)


def test_no_network_is_faster_than_the_fastest_nor_slower_than_the_slowest():
    over = SOURCE.over(SPACE, HEAD)
    fastest = over.latency_ms(over.fastest)
    slowest = over.latency_ms(over.slowest)
    assert fastest == pytest.approx(answer(subject(over.fastest)).latency_ms, rel=1e-12)
    assert slowest == pytest.approx(answer(subject(over.slowest)).latency_ms, rel=1e-12)
    means = {key: entry.ms for key, entry in TABLE.entries.items()}
    frame = [mean for key, mean in means.items() if not key.startswith("expanded")]
    first_layers = [  # of each stage; the other layers can be left out
        "input:112x112x32-",
        "input:112x112x16-",
        "input:56x56x24-output:28",
        "input:28x28x40-output:14",
        "input:14x14x80-output:14x14x96",
        "input:14x14x96-output:7",
        "input:7x7x192-output:7x7x320",
    ]
    least = [
        min(mean for key, mean in means.items() if key.startswith(f"expanded_conv-{place}"))
        for place in first_layers
    ]
    assert fastest == pytest.approx(math.fsum(frame + least), rel=1e-12)
    drawn = over.latencies_ms(np.array(points(5000, seed=9)))
    assert fastest <= drawn.min() < drawn.max() <= slowest
