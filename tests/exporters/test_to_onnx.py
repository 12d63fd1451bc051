import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")

from torch import nn

from exporters.exporter import ExportError, create
from exporters.onnx_runtime import OnnxModel
from exporters.testing import (
    ExporterContract,
    SmallNetwork,
    expected,
    feeds,
    random_inputs,
    randomize,
)
from exporters.to_onnx import OPSET, OnnxExporter
from exporters.verify import parity
from search_space.architecture import Classifier
from workspace.errors import InputError

IMAGE = (1, 3, 16, 20)


class TestOnnxExporter(ExporterContract):
    @pytest.fixture
    def exporter(self):
        return OnnxExporter()

    def run(self, artifact, feeds):
        return OnnxModel(artifact.path).run(feeds)


def test_batch_norms_are_folded_and_the_opset_is_stated(tmp_path):
    import onnx

    module, inputs = SmallNetwork(), random_inputs(IMAGE)
    randomize(module, inputs)
    artifact = create("onnx").export(module, inputs, tmp_path)
    model = onnx.load(str(artifact.path))
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
    assert artifact.tool.endswith(f"opset {OPSET}")
    assert artifact.inputs[0].shape == IMAGE


def test_nodes_are_named_after_the_part_of_the_module_that_they_are_of(tmp_path):
    import onnx

    artifact = create("onnx").export(SmallNetwork(), random_inputs(IMAGE), tmp_path)
    names = [node.name for node in onnx.load(str(artifact.path)).graph.node]
    assert len(set(names)) == len(names)
    assert {name.split(".")[0] for name in names} >= {"stem", "depthwise", "gate", "classifier"}


def test_efficientnets_compute_what_torch_does(efficient, tmp_path):
    network, inputs = efficient.build(Classifier(classes=10)), random_inputs((1, 3, 32, 32))
    randomize(network, inputs)
    artifact = create("onnx").export(network, inputs, tmp_path)
    outputs = OnnxModel(artifact.path).run(feeds(artifact, inputs))
    assert parity(outputs, expected(network, artifact, inputs)).passed


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no ONNX file"):
        OnnxModel(path)


def test_a_module_that_does_not_run_on_its_inputs_is_an_error(tmp_path):
    module = nn.Sequential(nn.Conv2d(5, 3, 1))
    with pytest.raises(ExportError, match=r"Sequential cannot be run on the inputs .* channels"):
        create("onnx").export(module, random_inputs(IMAGE), tmp_path)
    assert list(tmp_path.iterdir()) == []
