import hashlib
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import latency.model_files
from exporters.artifact import Artifact, ModelFormat, Precision
from latency.model_files import ModelFiles
from latency.source import FileSubject, NetworkSubject
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError, OperationError

pytest.importorskip("torch", reason="networks become files only where torch is installed")

OWN = """
import hashlib
from exporters.artifact import Artifact, ModelFormat, TensorSpec

CALLS = []

class Mine:
    def export(self, module, inputs, directory):
        CALLS.append(module)
        content = b"".join(p.detach().numpy().tobytes() for p in module.parameters())
        path = directory / "network.mine"
        path.write_bytes(content)
        spec = tuple(
            TensorSpec(name=i.name, shape=tuple(i.value.shape), dtype="float32") for i in inputs
        )
        return Artifact(path=path, format=ModelFormat.TFLITE,
                        sha256=hashlib.sha256(content).hexdigest(), inputs=spec, outputs=(),
                        tool="mine-1")
"""
SPACE = ProxylessSpace(size=32)
NETWORK = NetworkSubject(
    architecture=SPACE.decode((0,) + (0, 6, 6, 6) * 5 + (0,)), head=Classifier(classes=10)
)


@pytest.fixture
def exporter(tmp_path, monkeypatch):
    """The name of an exporter of a user's own, which counts its calls."""
    (tmp_path / "my_exporter.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    sys.modules.pop("my_exporter", None)
    yield "my_exporter:Mine"
    sys.modules.pop("my_exporter", None)


def calls():
    return len(sys.modules["my_exporter"].CALLS)


def test_a_network_is_exported_once_and_then_found(exporter, tmp_path):
    first = ModelFiles(exporter, Precision.FP32).of(NETWORK)
    again = ModelFiles(exporter, Precision.FP32).of(NETWORK)
    assert first == again
    assert calls() == 1
    assert first.path.parent.parent == tmp_path / "home" / "artifacts"
    assert hashlib.sha256(first.path.read_bytes()).hexdigest() == first.sha256
    assert first.inputs[0].shape == (1, 3, 32, 32)


def test_another_head_size_or_network_is_another_file(exporter):
    files = ModelFiles(exporter, Precision.FP32)
    subjects = [
        NETWORK,
        replace(NETWORK, head=Classifier(classes=11)),
        replace(NETWORK, architecture=NETWORK.architecture.at(64)),
        replace(NETWORK, architecture=SPACE.decode((1,) + (0, 6, 6, 6) * 5 + (0,))),
    ]
    assert len({files.of(subject).path for subject in subjects}) == 4


def test_a_file_that_was_damaged_is_exported_anew(exporter):
    files = ModelFiles(exporter, Precision.FP32)
    first = files.of(NETWORK)
    first.path.write_bytes(b"cut")
    assert files.of(NETWORK) == first
    assert hashlib.sha256(first.path.read_bytes()).hexdigest() == first.sha256
    assert calls() == 2


def test_nothing_is_left_of_an_export_that_fails(exporter, tmp_path):
    Path("my_exporter.py").write_text(OWN.replace("path.write_bytes(content)", "1 / 0"))
    with pytest.raises(ZeroDivisionError):
        ModelFiles(exporter, Precision.FP32).of(NETWORK)
    assert list((tmp_path / "home" / "artifacts").iterdir()) == []


def test_a_file_is_its_own_file(exporter, tmp_path):
    artifact = Artifact(
        path=tmp_path / "a.tflite",
        format=ModelFormat.TFLITE,
        sha256="0" * 64,
        inputs=(),
        outputs=(),
        tool="someone else's",
    )
    files = ModelFiles(exporter, Precision.FP32)
    assert files.of(FileSubject(artifact=artifact)) is artifact
    assert calls() == 0


def test_a_precision_that_the_exporter_does_not_write_is_refused(exporter):
    with pytest.raises(InputError, match="'my_exporter:Mine' writes fp32, int8 was asked for"):
        ModelFiles(exporter, Precision.INT8).of(NETWORK)


@pytest.mark.parametrize("name", ["coreml", "my_missing:EXPORTER"])
@pytest.mark.usefixtures("exporter")
def test_an_exporter_that_is_not_there_is_refused_at_once(name):
    with pytest.raises(InputError, match=name):
        ModelFiles(name, Precision.FP32)


def test_a_home_that_cannot_be_written_is_an_operation_error(exporter, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "file"))
    with pytest.raises(OperationError, match="a model file cannot be written to"):
        ModelFiles(exporter, Precision.FP32).of(NETWORK)


def test_what_describes_a_file_is_plain_json(exporter):
    path = ModelFiles(exporter, Precision.FP32).of(NETWORK).path
    document = json.loads((path.parent / "artifact.json").read_text())
    assert document["file"] == "network.mine"
    assert document["inputs"] == [{"name": "image", "shape": [1, 3, 32, 32], "dtype": "float32"}]


def test_files_unused_for_longest_go_when_there_are_too_many(exporter, monkeypatch):
    files = ModelFiles(exporter, Precision.FP32)
    heads = [replace(NETWORK, head=Classifier(classes=classes)) for classes in (2, 3, 4)]
    old, used, recent = (files.of(subject).path.parent for subject in heads)
    for age_h, folder in ((4, used), (3, old), (0.5, recent)):
        os.utime(folder, (time.time() - 3600 * age_h,) * 2)
    files.of(heads[1])  # used again
    monkeypatch.setattr(latency.model_files, "CAP_BYTES", 1)
    newest = files.of(NETWORK).path.parent
    assert not old.exists()
    assert used.exists()
    assert recent.exists()
    assert newest.exists()
