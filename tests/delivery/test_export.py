import importlib.util
import json
import resource
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch
from torch import nn

from controller.found_latency import FoundLatency
from delivery.export import Plan, deliver
from delivery.gates import GateError, GateName, NotRun
from devices.device import Delegate
from exporters.artifact import ModelFormat, Precision
from exporters.exporter import ExportError
from exporters.quantize import LEAST_SAMPLES, Quantization
from latency.source import SourceSettings
from workspace.errors import InputError, OperationError

ALL = tuple(Quantization)


def name(made):
    return made.artifact.path.name


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_each_number_format_is_a_file_and_goes_through_every_gate(network, work):
    plan = Plan(
        quantizations=ALL,
        calibration_samples=32,
        only_warn=frozenset({GateName.DELEGATION, GateName.ACCURACY}),
    )
    found = deliver(network, plan, work, name)
    assert [each.artifact.precision for each in found.files] == [
        Precision.FP32, Precision.FP16, Precision.DYNAMIC, Precision.INT8,
    ]  # fmt: skip
    for each in found.files:
        file = each.artifact.path
        assert file.parent == work / "final"
        gates = {gate.name for gate in found.gates if gate.file == file.name}
        assert {GateName.PARITY, GateName.SIZE, GateName.MACS, GateName.ACCURACY} <= gates
        assert found.bytes_of(each) == file.stat().st_size
        assert 0 <= (found.accuracy_of(file.name) or 0) <= 1
    fp32, _, _, int8 = found.files
    assert found.bytes_of(int8) < found.bytes_of(fp32)
    assert found.accuracy_of(name(fp32)) == found.accuracy_of_torch


def test_what_no_device_could_tell_is_not_run_and_says_what_it_takes(network, work):
    found = deliver(network, Plan(), work, name)
    (latency,) = (each for each in found.not_run if each.name is GateName.LATENCY)
    assert "--on names one" in latency.why
    assert found.timed == ()


def test_the_very_file_is_timed_and_int8_beside_the_fp32_one(network, work, own_timer):
    plan = Plan(
        quantizations=(Quantization.INT8,), calibration_samples=32,
        sources=(f"{own_timer.__name__}:SOURCE",), preset="quick",
    )  # fmt: skip
    found = deliver(network, plan, work, name)
    (file,) = found.files
    assert [each.artifact.sha256 for each in found.timed] == [file.artifact.sha256]
    speed = found.of(GateName.INT8_SPEED, name(file))
    assert speed is not None
    assert speed.number("ratio") == 0.5


@pytest.mark.parametrize(("searched_ms", "fails"), [(2.01, False), (2.2, True)])
def test_a_file_that_takes_another_time_than_its_candidate_is_not_delivered(
    network, work, own_timer, searched_ms, fails
):
    searched = FoundLatency(
        latency_ms=searched_ms, low_ms=searched_ms, high_ms=searched_ms, origin="measured",
        source="own_timer:SOURCE", coverage=1.0, verdict="stable", artifact_sha256="",
        measurement=None,
    )  # fmt: skip
    plan = Plan(sources=(f"{own_timer.__name__}:SOURCE",), preset="quick")
    known = replace(network, searched=searched)
    if not fails:
        (file,) = deliver(known, plan, work, name).files
        assert file.artifact.path.is_file()
        return
    with pytest.raises(GateError, match=r"from the search's 2\.2 ms"):
        deliver(known, plan, work, name)


def test_a_gate_that_was_asked_to_warn_keeps_nothing_back(network, work, own_timer):
    own_timer.MILLISECONDS["int8"] = 3.0
    plan = Plan(
        quantizations=(Quantization.INT8,), calibration_samples=32, preset="quick",
        sources=("own_timer:SOURCE",),
    )  # fmt: skip
    with pytest.raises(GateError, match="int8-speed"):
        deliver(network, plan, work, name)
    again = work.with_name("again")
    again.mkdir()
    warned = replace(plan, only_warn=frozenset({GateName.INT8_SPEED}))
    found = deliver(network, warned, again, name)
    gate = found.of(GateName.INT8_SPEED, name(found.files[0]))
    assert gate is not None
    assert gate.is_warning
    assert not gate.passed


def test_a_gate_that_fails_is_told_with_all_that_was_found(network, work, monkeypatch):
    monkeypatch.setattr("delivery.file_gates.SIZE_SPARE", 0.0)
    monkeypatch.setattr("delivery.file_gates.SIZE_BASE", 0)
    with pytest.raises(GateError, match=r"size of .*no file was kept") as raised:
        deliver(network, Plan(), work, name)
    assert {each.name for each in raised.value.checked} >= {GateName.PARITY, GateName.SIZE}


class Waves(nn.Module):
    """A network with an operator that the fast writer lacks."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image):
        return torch.sin(self.inner(image))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of jax and torch.export
def test_an_operator_that_the_writer_lacks_is_written_by_litert_torch_which_is_said(network, work):
    pytest.importorskip("litert_torch", reason="the extra 'litert' is not installed")
    said: list[str] = []
    odd = replace(network, module=Waves(network.module), task=None)
    warn = frozenset({GateName.DELEGATION, GateName.LAYOUT, GateName.MACS, GateName.SIZE})
    found = deliver(odd, Plan(only_warn=warn), work, name, said.append)
    (file,) = found.files
    assert file.artifact.tool.startswith("litert-torch-")
    assert "the fast writer said" in file.note
    assert "'sin'" in file.note
    assert any("falling back to litert-torch" in text for text in said)
    parity = found.of(GateName.PARITY, name(file))
    assert parity is not None
    assert parity.passed


def test_without_litert_torch_the_operator_is_named_with_its_line(network, work, monkeypatch):
    monkeypatch.setattr("exporters.litert.find_spec", lambda _: None)
    odd = replace(network, module=Waves(network.module), task=None)
    with pytest.raises(ExportError, match=r"test_export\.py:\d+: operator 'sin'") as raised:
        deliver(odd, Plan(), work, name)
    assert "pocketnas[litert]" in str(raised.value)


class Branching(nn.Module):
    """No tracer can follow it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image):
        if image.sum() > 0:
            return self.inner(image)
        return self.inner(-image)


def test_a_module_that_cannot_be_traced_is_told_with_its_line(network, work, monkeypatch):
    monkeypatch.setattr("exporters.litert.find_spec", lambda _: None)
    odd = replace(network, module=Branching(network.module), task=None)
    line = Branching.forward.__code__.co_firstlineno + 1
    with pytest.raises(ExportError, match=rf"test_export\.py:{line}"):
        deliver(odd, Plan(), work, name)


class Picking(nn.Module):
    """How much comes out depends on the numbers."""

    def forward(self, image):
        return image[image > 0]


def test_a_shape_that_depends_on_numbers_is_refused(network, work, monkeypatch):
    monkeypatch.setattr("exporters.litert.find_spec", lambda _: None)
    with pytest.raises(ExportError, match=r"test_export\.py:"):
        deliver(replace(network, module=Picking(), task=None), Plan(), work, name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"formats": ("coreml",)}, "coreml"),
        ({"formats": ()}, "got none"),
        ({"float_io": False}, "give --quantize int8, got 'none'"),
        (
            {"float_io": False, "quantizations": (Quantization.INT8,), "formats": ("onnx",)},
            "leave out --int8-io",
        ),
        ({"quantizations": (Quantization.INT8,), "calibration_samples": 3}, "got 3"),
    ],
)
def test_a_plan_that_is_impossible_is_refused_before_any_work(network, work, changes, said):
    with pytest.raises(InputError, match=said):
        deliver(network, Plan(**changes), work, name)
    assert list(work.iterdir()) == []


def test_int8_without_data_says_where_data_is_named(network, work):
    plan = Plan(quantizations=(Quantization.INT8,), calibration_samples=LEAST_SAMPLES)
    with pytest.raises(InputError, match="--dataset"):
        deliver(replace(network, task=None), plan, work, name)


@pytest.mark.slow
def test_all_formats_at_once(network, work):
    for extra in ("onnxscript", "tensorflow"):  # importing the second here would break torch
        if importlib.util.find_spec(extra) is None:
            pytest.skip(f"{extra} is not installed")
    plan = Plan(formats=("tflite", "onnx", "savedmodel"), quantizations=(Quantization.NONE,))
    found = deliver(network, plan, work, lambda made: f"network.{made.artifact.format}")
    wanted = [ModelFormat.TFLITE, ModelFormat.ONNX, ModelFormat.SAVED_MODEL]
    assert [each.artifact.format for each in found.files] == wanted
    accuracies = {found.accuracy_of(name(each)) for each in found.files}
    assert accuracies == {found.accuracy_of_torch}
    assert not any(isinstance(each, NotRun) and each.name is GateName.ACCURACY
                   for each in found.checked)  # fmt: skip


def test_a_disk_that_fills_in_mid_write_leaves_nothing_under_a_final_name(tmp_path):
    """A real refusal of the system's: no file of this process may pass 32 KiB."""
    program = """
        import json, resource, sys
        from pathlib import Path
        from delivery.export import Plan
        from delivery.network import Network
        from exporters.quantize import Quantization
        from pocketnas.exported import export
        from search_space import catalog
        from search_space.architecture import Classifier
        from workspace.errors import OperationError

        architecture, head = catalog.create("mobilenet-v2@0.35").at(32), Classifier(classes=10)
        network = Network(
            architecture=architecture, head=head, module=architecture.build(head),
            name="small", weights="untrained",
        )
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for bundle in (False, True):
            try:
                export(network, Plan(), Path(sys.argv[1]) / f"to-{bundle}", bundle=bundle)
                print(json.dumps("written"))
            except OperationError as error:
                print(json.dumps(str(error)))
    """
    limits = (32 * 1024, resource.RLIM_INFINITY)
    for limit in limits:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path), str(limit)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if limit == limits[0]:
            assert all("File too large" in answer for answer in answers)
            assert not any(path.is_file() for path in tmp_path.rglob("*"))
        else:
            assert answers == ["written", "written"]


def test_a_device_that_is_not_there_costs_no_work(network, work):
    with pytest.raises(InputError, match="NOSUCHPHONE"):
        deliver(network, Plan(sources=("adb:NOSUCHPHONE",)), work, name)
    assert list(work.iterdir()) == []


def test_two_formats_of_equal_bytes_are_one_file(network, work, monkeypatch):
    (work.parent / "same.py").write_text(
        "from exporters.tflite import TFLiteExporter\n\nclass Same(TFLiteExporter):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(work.parent))
    monkeypatch.delitem(sys.modules, "same", raising=False)
    said: list[str] = []
    plan = Plan(formats=("tflite", "same:Same"))
    (file,) = deliver(replace(network, task=None), plan, work, name, said.append).files
    assert file.exporter == "tflite"
    assert any("very bytes" in text for text in said)


def test_a_device_that_nobody_named_and_that_fails_keeps_nothing_back(network, work):
    plan = Plan(sources=("adb:NOSUCHPHONE",), are_named=False)
    found = deliver(replace(network, task=None), plan, work, name)
    (timed,) = found.timed
    assert "NOSUCHPHONE" in str(timed.to_json()["failure"])
    (latency,) = (each for each in found.not_run if each.name is GateName.LATENCY)
    assert "nobody named" in latency.why


def test_each_source_has_its_settings():
    plan = Plan(
        sources=("adb:A", "host"), settings=SourceSettings(delegate=Delegate.GPU),
        host_settings=SourceSettings(),
    )  # fmt: skip
    phone, host = plan.places
    assert phone.settings.delegate is Delegate.GPU
    assert host.settings.delegate is Delegate.CPU


def test_data_that_cannot_be_read_is_not_called_a_file_that_cannot_be_written(
    network, work, monkeypatch
):
    def examples(*_):
        raise PermissionError(13, "may not be read")

    monkeypatch.setattr(type(network.task), "examples", examples)
    with pytest.raises(OperationError, match="data of digits cannot be read"):
        deliver(network, Plan(), work, name)
