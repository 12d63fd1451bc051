from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")

from ai_edge_litert import schema_py_generated as schema
from torch import nn

from exporters.artifact import STAND_IN_INT8, Precision
from exporters.exporter import ExportError, create
from exporters.graph import Constant, Graph, Node
from exporters.int8_stand_in import STAND_IN, stand_in_scales
from exporters.litert_runtime import LiteRtModel
from exporters.testing import SmallNetwork, feeds, random_inputs, randomize, tflite_parity
from exporters.tflite_file import operators, read
from exporters.trace import to_graph
from search_space import catalog
from search_space.architecture import Classifier
from workspace.errors import InputError

IMAGE = (1, 3, 16, 20)


def written(module, folder, precision, shape=IMAGE):
    inputs = random_inputs(shape)
    randomize(module, inputs)
    return create("tflite", precision).export(module, inputs, folder), inputs


def parsed(artifact):
    return schema.ModelT.InitFromPackedBuf(artifact.path.read_bytes(), 0)


def test_the_file_says_that_its_scales_are_stand_ins(tmp_path):
    artifact, _ = written(SmallNetwork(), tmp_path, Precision.INT8)
    assert STAND_IN_INT8 in artifact.tool
    assert STAND_IN_INT8 in read(artifact.path).tool
    assert read(artifact.path).precision is Precision.INT8


def test_it_runs_and_takes_and_gives_floats(tmp_path):
    artifact, inputs = written(SmallNetwork(), tmp_path, Precision.INT8)
    model = LiteRtModel(artifact.path)
    assert {spec.dtype for spec in (*model.inputs, *model.outputs)} == {"float32"}
    (scores,) = model.run(feeds(artifact, inputs)).values()
    assert np.isfinite(scores).all()
    assert model.inputs[0].name == "image"


def test_it_has_the_operators_of_the_float_file_between_two_more(tmp_path):
    whole, _ = written(SmallNetwork(), tmp_path, Precision.FP32)
    small, _ = written(SmallNetwork(), tmp_path, Precision.INT8)
    assert operators(small.path) == ("QUANTIZE", *operators(whole.path), "DEQUANTIZE")


def test_xnnpack_runs_all_of_it(tmp_path):
    network = catalog.create("mnasnet-a1").at(96).build(Classifier(classes=10))
    artifact, _ = written(network, tmp_path, Precision.INT8, (1, 3, 96, 96))
    assert LiteRtModel(artifact.path).delegated


def test_weights_are_int8_by_output_channel(tmp_path):
    artifact, _ = written(nn.Conv2d(3, 8, 3), tmp_path, Precision.INT8)
    model = parsed(artifact)
    (weights,) = [t for t in model.subgraphs[0].tensors if b"weights" in t.name]
    assert weights.type == schema.TensorType.INT8
    assert len(weights.quantization.scale) == 8
    numbers = np.frombuffer(model.buffers[weights.buffer].data, np.int8).reshape(8, -1)
    assert (np.abs(numbers).max(axis=1) == 127).all()


def test_a_quarter_of_the_bytes(tmp_path):
    network = catalog.create("mobilenet-v2").at(96).build(Classifier(classes=1000))
    sizes = {
        precision: written(network, tmp_path, precision, (1, 3, 96, 96))[0].path.stat().st_size
        for precision in (Precision.FP32, Precision.FP16, Precision.INT8)
    }
    assert sizes[Precision.INT8] < 0.3 * sizes[Precision.FP32]
    assert sizes[Precision.FP16] < 0.52 * sizes[Precision.FP32]


def test_operators_that_move_numbers_keep_their_scale():
    class Moves(nn.Module):
        def forward(self, image):
            gate = image.sigmoid()
            return nn.functional.max_pool2d(gate, 2), image.mean((2, 3))

    graph = to_graph(Moves(), random_inputs(IMAGE))
    scales = stand_in_scales(graph)
    (pooled, mean) = (scales[tensor] for _, tensor in graph.outputs)
    assert pooled.scale == 1 / 256
    assert mean == STAND_IN


def test_constants_have_a_scale_of_their_own():
    value = np.array([4.0], np.float32)
    node = Node(operator=Constant(value=value), inputs=(), output=0, name="four")
    graph = Graph(shapes=((1,),), nodes=(node,), inputs=(), outputs=(("output", 0),))
    (scale,) = stand_in_scales(graph)
    assert scale.scale * 127 == pytest.approx(4.0)


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "mobilenetv4_conv_small", "resnet18"])
def test_networks_of_timm_run(name, tmp_path):
    import timm

    artifact, inputs = written(timm.create_model(name), tmp_path, Precision.INT8, (1, 3, 96, 96))
    outputs = LiteRtModel(artifact.path).run(feeds(artifact, inputs))
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_half_precision_computes_nearly_what_torch_does(tmp_path):
    network = SmallNetwork()
    artifact, inputs = written(network, tmp_path, Precision.FP16)
    found = tflite_parity(network, artifact, inputs)
    assert 0 < found.max_error < 3e-3
    assert read(artifact.path).precision is Precision.FP16
    kinds = Counter(operators(artifact.path))
    assert kinds["DEQUANTIZE"] == kinds["CONV_2D"] * 2 + kinds["DEPTHWISE_CONV_2D"] * 2 + 2
    assert LiteRtModel(artifact.path).delegated


def test_half_precision_keeps_numbers_that_are_too_large_finite(tmp_path):
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.weight.data.fill_(1e6)
    image = random_inputs((1, 1, 4, 4))
    artifact = create("tflite", Precision.FP16).export(layer, image, tmp_path)
    ones = {"image": np.ones((1, 4, 4, 1), np.float32)}
    (output,) = LiteRtModel(artifact.path).run(ones).values()
    assert output.max() == pytest.approx(65504)


def test_what_needs_calibration_is_not_written(tmp_path):
    with pytest.raises(ExportError, match=r"exporters\.quantize"):
        create("tflite", Precision.DYNAMIC).export(SmallNetwork(), random_inputs(IMAGE), tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_exporters_write_only_fp32():
    with pytest.raises(InputError, match="'onnx' writes fp32, int8 was asked for"):
        create("onnx", Precision.INT8)


def test_equal_graphs_give_equal_bytes(tmp_path):
    first, _ = written(SmallNetwork(), tmp_path, Precision.INT8)
    second, _ = written(SmallNetwork(), tmp_path, Precision.INT8)
    assert first.sha256 == second.sha256


class Quotient(nn.Module):
    def forward(self, image):
        return image / (image.relu() + 2)


def test_a_quotient_stays_in_float_as_in_a_calibrated_file(tmp_path):
    artifact, inputs = written(Quotient(), tmp_path, Precision.INT8)
    assert operators(artifact.path) == ("QUANTIZE", "RELU", "ADD", "DEQUANTIZE", "DIV")
    assert read(artifact.path).precision is Precision.INT8
    assert LiteRtModel(artifact.path).run(feeds(artifact, inputs))
