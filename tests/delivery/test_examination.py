import importlib
import json
import sys
import textwrap
from dataclasses import replace
from typing import Any

import pytest

from delivery.bundle import make
from delivery.examination import _places, _speeds, examine
from delivery.export import Plan
from delivery.gates import GateName, NotRun
from delivery.timing import Timed
from devices.device import ClockTier, Delegate
from exporters.artifact import Artifact, ModelFormat, Precision
from exporters.quantize import Quantization
from latency.source import LatencyFailure
from workspace.errors import InputError, OperationError


@pytest.fixture
def bundle(network, tmp_path, own_timer):
    plan = Plan(
        quantizations=(Quantization.NONE, Quantization.INT8), calibration_samples=32,
        sources=(f"{own_timer.__name__}:SOURCE",), preset="quick",
    )  # fmt: skip
    make(network, plan, tmp_path / "bundle")
    return tmp_path / "bundle"


def gates_of(report):
    return {(each.name, each.file): each for each in report.gates if hasattr(each, "passed")}


def test_the_gates_are_run_again(bundle):
    report = examine(bundle)
    assert report.passed
    names = {name for name, _ in gates_of(report)}
    assert names == {GateName.LAYOUT, GateName.DELEGATION, GateName.MACS, GateName.SIZE}


def test_accuracy_and_latency_are_found_again_where_they_are_asked_for(bundle):
    report = examine(bundle, dataset="digits", sources=("own_timer:SOURCE",), preset="quick")
    assert report.passed
    found = gates_of(report)
    assert found[GateName.ACCURACY, "network-fp32.tflite"].passed
    assert found[GateName.LATENCY, "network-fp32.tflite"].number("ratio") == 1.0
    assert found[GateName.INT8_SPEED, "network-int8.tflite"].number("ratio") == 0.5
    assert [each.answer.latency_ms for each in report.timed] == [2.0, 1.0]


def test_a_file_that_has_become_slower_fails(bundle, own_timer):
    own_timer.MILLISECONDS["fp32"] = 2.2
    report = examine(bundle, sources=("own_timer:SOURCE",), preset="quick")
    assert not report.passed
    assert any("+10.0% from the bundle's" in line for line in report.lines())


def test_another_dataset_than_the_bundles_is_refused(bundle):
    with pytest.raises(InputError, match=r"'digits'.*'fashion-mnist'"):
        examine(bundle, dataset="fashion-mnist")


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no bundle"):
        examine(tmp_path)


def test_a_bundle_of_a_newer_version_is_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr("delivery.bundle.VERSION", 2)
    with pytest.raises(InputError, match="version 2, known is 1"):
        make(replace(network), Plan(), tmp_path / "newer")
    assert not (tmp_path / "newer").exists()


def test_as_json_it_has_every_check_and_what_was_not_run(bundle):
    document = json.loads(json.dumps(examine(bundle).to_json()))
    assert document["passed"] is True
    assert {each["file"] for each in document["checks"]} >= {"SHA256SUMS", "network.py"}
    assert all(each["why"] for each in document["not_run"])


def test_files_are_timed_again_as_the_bundle_says_they_were():
    conditions = {"threads": 4, "delegate": "gpu", "clock_tier": "T2"}
    kept: list[dict[str, Any]] = [
        {"source": "adb:A", "failure": "it was hot"},
        {"source": "adb:A", "conditions": conditions},
        {"source": "host", "conditions": {**conditions, "threads": 2, "delegate": "cpu"}},
    ]
    phone, other = _places(["adb:A", "adb:B", "adb:A"], kept)
    assert phone.settings.threads == 4
    assert phone.settings.delegate is Delegate.GPU
    assert phone.settings.clock_tier is ClockTier.SUSTAINED
    assert other.settings.threads == 1


def test_conditions_that_nobody_knows_here_are_refused():
    kept = [{"source": "a", "conditions": {"threads": 1, "delegate": "npu", "clock_tier": "T3"}}]
    with pytest.raises(InputError, match="npu"):
        list(_places(["a"], kept))


@pytest.mark.parametrize("exporter", ["tflite", "mine:Mine"])
def test_int8_is_held_against_the_fp32_tflite_file_of_its_own_exporter(tmp_path, exporter):
    def model(name, **changes):
        return Artifact(
            path=tmp_path / name, format=changes.pop("format", ModelFormat.TFLITE), sha256=name,
            inputs=(), outputs=(), tool="", **changes,
        )  # fmt: skip

    models = (
        model("onnx", format=ModelFormat.ONNX),
        model("fp32"),
        model("int8", precision=Precision.INT8),
    )
    manifest = {"models": [{"exporter": "onnx"}, {"exporter": "tflite"}, {"exporter": exporter}]}
    failure = LatencyFailure(request_id="", text="it is off", retryable=True)
    timed = [Timed(artifact=each, on="a", answer=failure) for each in models[1:]]
    checked = list(_speeds(manifest, [], models, timed, "a"))
    (speed,) = (each for each in checked if each.name is GateName.INT8_SPEED)
    assert isinstance(speed, NotRun)
    assert ("it is off" if exporter == "tflite" else "same exporter") in speed.why


def test_a_dataset_whose_data_is_not_there_ends_the_examination(network, tmp_path, monkeypatch):
    (tmp_path / "lost_data.py").write_text(
        textwrap.dedent(
            """
            from training.task import create
            from workspace.errors import OperationError

            IS_LOST = []


            class Lost:
                def __init__(self):
                    self._digits = create("digits")

                def __getattr__(self, name):
                    return getattr(self._digits, name)

                name = "lost_data:Lost"

                def examples(self, split, size):
                    if IS_LOST:
                        raise IS_LOST[0]
                    return self._digits.examples(split, size)
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lost_data", raising=False)
    lost_data = importlib.import_module("lost_data")

    make(replace(network, task=lost_data.Lost()), Plan(), tmp_path / "bundle")
    lost_data.IS_LOST.append(PermissionError(13, "may not be read"))
    with pytest.raises(OperationError, match=r"data of lost_data:Lost cannot be read: .*may not"):
        examine(tmp_path / "bundle", dataset="lost_data:Lost")
