import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="layers become files only where torch is installed")

from devices.device import DevicePermanentError, DeviceTransientError, RunSettings
from exporters.artifact import Precision
from latency.baseline import Baselines
from latency.builder import BATCH, Builder, BuildProgress, NotBuiltError
from latency.device_source import DeviceSource
from latency.gates import Gate
from latency.model_files import ModelFiles
from latency.presets import TABLE
from latency.protocol import Patience
from latency.source import LatencyEstimate, LatencyRequest, NetworkSubject
from latency.store import MeasurementStore
from latency.table import Known
from latency.table_plan import plan
from latency.table_source import TableSource
from latency.testing import STAND_IN, FakeDevice
from search_space.architecture import Classifier, Detector, VideoClassifier
from search_space.efficientnet_v2_space import EfficientNetV2Space
from search_space.proxyless import ProxylessSpace
from search_space.space import create
from search_space.strides import Strides
from workspace.database import sqlite_url
from workspace.errors import InputError

SPACE = ProxylessSpace(size=32, strides=Strides.SMALL)
HEAD = Classifier(classes=10)
WHOLE = plan(SPACE, HEAD, TABLE)
BYTES_A_MS = 1e6

SMALL_DETECTORS = {
    "size": "64", "channels": "1", "strides": "small", "filter_scale": "0.5",
    "endpoint_filters": "24", "head_convs": "1", "head_filters": "24", "stem_filters": "8",
}  # fmt: skip


def by_size(model):
    """A stand-in for a device's time: a start, and what the weights weigh."""
    return 0.05 + model.path.stat().st_size / BYTES_A_MS


def source_of(devices, folder, **more):
    return DeviceSource(
        "adb:any",
        devices,
        lease=lambda device_id, *, wait_s: nullcontext(Held()),  # noqa: ARG005
        files=ModelFiles("tflite", Precision.FP32),
        store=MeasurementStore(sqlite_url(folder / "measurements.db")),
        placement=RunSettings(),
        patience=Patience(pause_s=0.0),
        gate=Gate(baselines=Baselines(path=None)),
        **more,
    )


SMALL_STREAMS = {
    "size": "32", "frames": "4", "channels": "1", "strides": "small", "repeats": "1,1,1,1",
    "nodes": "1", "dilations": "1,2", "stems": "rgb,flow", "flow_iterations": "2",
    "pooling": "softmax",
}  # fmt: skip


class Held:
    def require(self):
        """Nobody else wants it."""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


def built(source, of=WHOLE, tell=lambda _: None):
    builder = Builder(source, of, tell=tell)
    return builder.table("table:mine", made_by="x", space="a", everything=WHOLE.pieces)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def exported(shared_home, monkeypatch):
    """Whole networks are exported once for all tests."""
    monkeypatch.setenv("POCKETNAS_HOME", str(shared_home))


@pytest.mark.usefixtures("exported")
def test_each_entry_is_what_its_layer_adds_to_a_network(tmp_path):
    """On a stand-in whose times are the sizes of files: a layer's is that of its weights."""
    table = built(source_of([FakeDevice("A", median_ms=by_size)], tmp_path))
    assert set(table.entries) == {piece.signature.key for piece in WHOLE.pieces}
    for piece in WHOLE.pieces:
        if piece.signature.params > 20_000:
            expected = 4 * piece.signature.params / BYTES_A_MS
            assert table.entries[piece.signature.key].ms == pytest.approx(expected, rel=0.06)


def test_layers_with_swish_and_fused_ones_are_timed_and_make_up_whole_networks(tmp_path):
    """What matters most of EfficientNetV2's space; the rest is predicted from it."""
    space = EfficientNetV2Space(
        size=28, channels=1, strides=Strides.SMALL, width=0.35, head_filters=128
    )
    whole = plan(space, HEAD, TABLE)
    some = whole.within(140 * whole.seconds_a_file())
    builder = Builder(source_of([FakeDevice("A", median_ms=by_size)], tmp_path), some)
    table = builder.table("table:v2", made_by="x", space="a", everything=whole.pieces)
    kinds = {piece.signature.kind for piece in some.pieces}
    assert {"fused-se-swish", "fused-swish", "fused"} <= kinds
    assert len(table.entries) == len(whole.pieces) > 1000
    for piece in some.pieces:
        assert table.entries[piece.signature.key].known is Known.MEASURED
        if piece.signature.params > 20_000:
            expected = 4 * piece.signature.params / BYTES_A_MS
            assert table.entries[piece.signature.key].ms == pytest.approx(expected, rel=0.1)
    (validation,) = table.validations
    assert validation.numbers["spearman"] > 0.9


@pytest.mark.slow
def test_a_table_of_scale_permuted_detectors_is_built_answers_and_adds_up(tmp_path):
    """On the stand-in: blocks, resamplings and nets cost what they weigh, and so do networks."""
    space = create("spinenet_mbconv", SMALL_DETECTORS)
    head = Detector(classes=10)
    whole = plan(space, head, TABLE)
    source = source_of([FakeDevice("A", median_ms=by_size)], tmp_path)
    table = Builder(source, whole).table(
        "table:permuted", made_by="x", space="a", everything=whole.pieces
    )
    assert (table.head, table.classes) == ("detector", 10)
    assert {piece.signature.key for piece in whole.pieces} == set(table.entries)
    for piece in whole.pieces:
        if piece.signature.params > 10_000:
            expected = 4 * piece.signature.params / BYTES_A_MS
            assert table.entries[piece.signature.key].ms == pytest.approx(expected, rel=0.15)
    (validation,) = table.validations
    assert validation.numbers["spearman"] > 0.95
    assert validation.numbers["median_error"] < 0.03
    asked = TableSource(table)
    asked.require_covers(space, head)
    network = space.decode(space.points.sample(random.Random(7)))
    request = LatencyRequest(
        id="1", subject=NetworkSubject(architecture=network, head=head), preset="quick"
    )
    (answer,) = asked.estimate([request])
    assert isinstance(answer, LatencyEstimate)
    assert answer.low_ms < answer.latency_ms < answer.high_ms
    assert answer.coverage == 1.0
    with pytest.raises(InputError, match=r"lacks layers of the space .spinenet_mbconv.: upward-"):
        asked.require_covers(space, HEAD)
    with pytest.raises(InputError, match="decisions together: one by one only"):
        asked.over(space, head)


@pytest.mark.slow
def test_a_table_of_networks_of_streams_is_built_answers_and_adds_up(tmp_path):
    """On the stand-in: stems, entries and bodies cost what they weigh, and so do networks."""
    space = create("assemblenet_mobile", SMALL_STREAMS)
    head = VideoClassifier(classes=10)
    whole = plan(space, head, TABLE)
    source = source_of([FakeDevice("A", median_ms=by_size)], tmp_path)
    table = Builder(source, whole).table(
        "table:streams", made_by="x", space="a", everything=whole.pieces
    )
    assert (table.head, table.classes, table.predicted) == ("videoclassifier", 10, 0)
    assert {piece.signature.key for piece in whole.pieces} == set(table.entries)
    for piece in whole.pieces:
        if piece.signature.params > 10_000:
            expected = 4 * piece.signature.params / BYTES_A_MS
            assert table.entries[piece.signature.key].ms == pytest.approx(expected, rel=0.15)
    (validation,) = table.validations
    assert validation.numbers["spearman"] > 0.95
    assert validation.numbers["median_error"] < 0.03
    asked = TableSource(table)
    asked.require_covers(space, head)
    networks = [space.decode(space.points.sample(random.Random(seed))) for seed in range(3)]
    requests = [
        LatencyRequest(
            id=str(place), subject=NetworkSubject(architecture=each, head=head), preset="quick"
        )
        for place, each in enumerate(networks)
    ]
    answers = list(asked.estimate(requests))
    for answer in answers:
        assert isinstance(answer, LatencyEstimate)
        assert answer.low_ms < answer.latency_ms < answer.high_ms
        assert answer.coverage == 1.0
    more = VideoClassifier(classes=11)
    with pytest.raises(InputError, match=r"lacks layers of the space .assemblenet_mobile.: score"):
        asked.require_covers(space, more)
    with pytest.raises(InputError, match="decisions together: one by one only"):
        asked.over(space, head)


@pytest.mark.usefixtures("exported")
def test_the_validation_is_of_networks_that_it_was_not_fitted_to(tmp_path):
    table = built(source_of([FakeDevice("A", median_ms=by_size)], tmp_path))
    (validation,) = table.validations
    assert len(table.correction.networks) == len(WHOLE.fitted) == 16
    assert len(validation.networks) == len(WHOLE.held_out) == 20
    assert not set(validation.networks) & set(table.correction.networks)
    assert validation.numbers["within_5"] == 1.0
    assert validation.numbers["median_error"] < 0.01
    assert validation.numbers["spearman"] > 0.99


@pytest.mark.usefixtures("exported")
def test_an_entry_tells_its_sessions_date_and_where_its_raw_data_is(tmp_path):
    source = source_of([FakeDevice("A", median_ms=by_size)], tmp_path)
    entry = next(iter(built(source).entries.values()))
    assert (entry.known, entry.count, entry.sessions) == (Known.MEASURED, 1, 5)
    assert entry.date == time.strftime("%Y-%m-%d", time.gmtime())
    assert len(entry.raw) == 2
    assert entry.mad_ms > 0


@pytest.mark.usefixtures("exported")
def test_the_conditions_are_those_of_the_device(tmp_path):
    table = built(source_of([FakeDevice("A", median_ms=by_size)], tmp_path))
    assert table.conditions["device_model"] == "Fake 1"
    assert table.conditions["unit"] == "unit-A"
    assert table.conditions["device_stand_in"] == STAND_IN


@pytest.mark.usefixtures("exported")
def test_two_phones_share_the_work_and_their_factors_are_taken_out(tmp_path):
    phones = [
        FakeDevice("A", median_ms=by_size),
        FakeDevice("B", median_ms=lambda model: 1.3 * by_size(model)),
    ]
    table = built(source_of(phones, tmp_path))
    ran = [len(phone.ran) for phone in phones]
    assert min(ran) > max(ran) / 2
    assert table.conditions["unit"] == "unit-A unit-B"
    assert "2 units, each divided by its factor" in table.labels[0]
    assert table.validations[0].numbers["within_5"] > 0.9


@pytest.mark.usefixtures("exported")
def test_with_a_budget_what_matters_most_is_measured_and_the_rest_predicted(tmp_path):
    some = WHOLE.within(0.6 * WHOLE.files * WHOLE.seconds_a_file())
    table = built(source_of([FakeDevice("A", median_ms=by_size)], tmp_path), some)
    measured = {piece.signature.key for piece in some.pieces}
    assert 0 < len(measured) < len(WHOLE.pieces)
    assert {k for k, e in table.entries.items() if e.known is Known.MEASURED} == measured
    assert table.predicted == len(WHOLE.pieces) - len(measured)
    assert f"{table.predicted} of 72 entries are predicted" in table.labels[0]
    least = min(piece.weight for piece in some.pieces)
    assert all(p.weight <= least for p in WHOLE.pieces if p.signature.key not in measured)


@pytest.mark.usefixtures("exported")
def test_a_second_builder_times_nothing(tmp_path):
    phone = FakeDevice("A", median_ms=by_size)
    first = built(source_of([phone], tmp_path))
    ran = len(phone.ran)
    told: list[BuildProgress] = []
    second = built(source_of([phone], tmp_path), tell=told.append)
    assert len(phone.ran) == ran
    assert second.entries == first.entries
    assert told[-1].stored == told[-1].done == told[-1].total == WHOLE.files


@pytest.mark.usefixtures("exported")
def test_a_session_that_fails_in_passing_costs_a_retry(tmp_path):
    failures = [
        DeviceTransientError("adb:A", "offline") if i % 7 == 3 else None for i in range(90)
    ]
    table = built(source_of([FakeDevice("A", median_ms=by_size, faults=failures)], tmp_path))
    assert table.predicted == 0


@pytest.mark.usefixtures("exported")
def test_a_phone_that_runs_nothing_gives_no_table_and_says_why(tmp_path):
    phone = FakeDevice("A", faults=[DevicePermanentError("adb:A", "no runner")] * 10_000)
    with pytest.raises(NotBuiltError, match=r"0 of 72 layers were timed; .*no runner"):
        built(source_of([phone], tmp_path, sentinel=None))


SCRIPT = """
import sys
from pathlib import Path

sys.path[:0] = {path!r}
from test_builder import FakeDevice, by_size, built, source_of


class Ledger(FakeDevice):
    def run(self, model, settings):
        record = super().run(model, settings)
        with open("ledger", "a") as file:
            file.write(model.sha256 + "\\n")
        return record


table = built(source_of([Ledger("A", median_ms=by_size, run_s=0.002)], Path(".")))
Path("entries").write_text("\\n".join(table.entries))
"""


def test_killed_ten_times_it_ends_with_the_same_entries_and_times_little_twice(tmp_path):
    """kill -9 at random moments; at most the batch in hand is lost each time."""
    script = tmp_path / "build.py"
    script.write_text(SCRIPT.format(path=[str(Path(__file__).parent)]))
    rng = random.Random(5)
    kills = 0
    while kills < 10:
        process = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path)
        before = _lines(tmp_path)
        wanted = before + rng.randrange(10, 60)
        while process.poll() is None and _lines(tmp_path) < wanted:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before ten kills"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True)
    keys = (tmp_path / "entries").read_text().split("\n")
    assert set(keys) == {piece.signature.key for piece in WHOLE.pieces}
    ran = (tmp_path / "ledger").read_text().split()
    counts = {sha256: ran.count(sha256) for sha256 in set(ran)}
    sentinel = max(counts, key=counts.__getitem__)
    del counts[sentinel]
    files = WHOLE.files
    assert len(counts) == files
    again = sum(count - 5 for count in counts.values())
    assert all(count >= 5 for count in counts.values())
    assert again <= kills * 2 * BATCH * 5 / 2


def _lines(folder):
    ledger = folder / "ledger"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0
