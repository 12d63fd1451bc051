import hashlib

import pytest

from benchmarks.comparison import timing
from benchmarks.comparison.log import Log
from exporters.artifact import Artifact, ModelFormat
from latency.source import LatencyFailure
from workspace.errors import OperationError


def artifact(path):
    return Artifact(
        path=path,
        format=ModelFormat.TFLITE,
        sha256=hashlib.sha256(str(path).encode()).hexdigest(),
        inputs=(),
        outputs=(),
        tool="test",
    )


@pytest.fixture
def files(tmp_path):
    return {name: artifact(tmp_path / name) for name in ("a", "b")}


def test_what_was_timed_together_is_not_timed_again(files, tmp_path, monkeypatch):
    asked = []

    def measured(files, preset):
        asked.append((sorted(files), preset))
        return dict.fromkeys(files, (1.0, 1.5))

    monkeypatch.setattr(timing, "_measured", measured)
    first = timing.timed(files, "quick/3", Log(tmp_path / "log"))
    again = timing.timed(files, "quick/3", Log(tmp_path / "log"))
    assert first == again == {"a": (1.0, 1.5), "b": (1.0, 1.5)}
    assert asked == [(["a", "b"], "quick/3")]
    timing.timed({"a": files["a"]}, "quick/3", Log(tmp_path / "log"))
    timing.timed(files, "quick/4", Log(tmp_path / "log"))
    assert asked[1:] == [(["a"], "quick/3"), (["a", "b"], "quick/4")]


class Refusing:
    """A source that answers for the first network only."""

    def __init__(self):
        self.closed = False

    def estimate(self, requests):
        for request in requests:
            yield LatencyFailure(request_id=request.id, text="no device", retryable=False)

    def close(self):
        self.closed = True


def test_one_that_cannot_be_timed_stops_the_comparison_and_nothing_is_kept(
    files, tmp_path, monkeypatch
):
    source = Refusing()
    monkeypatch.setattr(timing, "create", lambda *_: source)
    with pytest.raises(OperationError, match=r"not all networks were measured together: .*no dev"):
        timing.timed(files, "quick/3", Log(tmp_path / "log"))
    assert source.closed
    assert not (tmp_path / "log").exists()


def test_files_are_timed_on_this_computer(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    made = {}
    for filters in (4, 64):
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, filters, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(filters, 8, 3, padding=1),
        )
        made[str(filters)], _ = timing.exported(network, 28, tmp_path / "files")
    found = timing.timed(made, "quick/3", Log(tmp_path / "log"))
    assert {name: len(values) for name, values in found.items()} == {"4": 3, "64": 3}
    assert 0 < min(found["4"]) < min(found["64"])
