import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import timm
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from exporters.artifact import ModelFormat, Precision
from exporters.cost import count
from exporters.exporter import ExportError
from exporters.litert_runtime import LiteRtModel
from exporters.testing import (
    ExporterContract,
    SmallNetwork,
    expected,
    feeds,
    random_inputs,
    randomize,
    sensitivity,
    tflite_parity,
)
from exporters.tflite import TFLiteExporter
from exporters.tflite_file import operators
from exporters.verify import file_macs, layout_faults, layout_operators
from search_space import catalog
from search_space.architecture import Classifier, Detector
from search_space.space import create


class TestTFLiteExporter(ExporterContract):
    @pytest.fixture
    def exporter(self):
        return TFLiteExporter()


def sampled(name, options, size, index):
    space = create(name, options)
    return space.decode(space.points.sample(random.Random(index))).at(size)


def check(architecture, folder):
    """Export with random weights and statistics; the file must do what torch does."""
    spec = architecture.inputs[0].shape
    network, inputs = architecture.build(Classifier(classes=10)), random_inputs((1, *spec))
    randomize(network, inputs)
    assert sensitivity(network, inputs) > 0.05
    artifact = TFLiteExporter().export(network, inputs, folder)
    assert tflite_parity(network, artifact, inputs).passed
    assert layout_operators(artifact.path) == ()
    assert LiteRtModel(artifact.path).delegated
    return artifact


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("definition", ["paper", "public"])
def test_mnasnet_networks_are_exported_right(definition, index, tmp_path):
    options = {"definition": definition, "base": ["mobilenet_v2", "mnasnet_a1"][index % 2]}
    check(sampled("mnasnet", options, [64, 72, 50][index % 3], index), tmp_path)


@pytest.mark.parametrize("index", range(4))
def test_mnasnet_networks_for_small_images_are_exported_right(index, tmp_path):
    options = {"strides": "small", "size": "28", "channels": "1", "width": "0.35"}
    check(sampled("mnasnet", options, [28, 33][index % 2], index), tmp_path)


@pytest.mark.parametrize("index", range(4))
def test_proxyless_networks_are_exported_right(index, tmp_path):
    check(sampled("proxyless", {}, [64, 96][index % 2], index), tmp_path)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("space", ["efficientnet", "efficientnetv2"])
def test_efficientnets_are_exported_right(space, index, tmp_path):
    options = {"width": "0.5", "head_filters": "256"}
    check(sampled(space, options, [64, 50][index % 2], index), tmp_path)


@pytest.mark.parametrize(
    "name",
    ["efficientnet-b0", "efficientnet-lite0", "efficientnet-edgetpu-s", "efficientnetv2-b0"],
)
def test_published_efficientnets_are_exported_right(name, tmp_path):
    check(catalog.create(name, size=96), tmp_path)


SMALL_DETECTOR = {
    "filter_scale": "0.125", "endpoint_filters": "16", "head_filters": "16", "head_convs": "1",
    "stem_filters": "8",
}  # fmt: skip


DETECTOR_OUTPUTS = [
    f"{what}_p{level}" for what in ("class_logits", "box_codes") for level in range(3, 8)
]


@pytest.mark.parametrize("space", ["spinenet", "spinenet_v2", "spinenet_mbconv"])
@pytest.mark.parametrize(
    ("head", "size"), [(Detector(classes=3), 256), (Classifier(classes=5), 150)]
)
@pytest.mark.parametrize("index", range(2))
def test_scale_permuted_networks_are_exported_right(space, head, size, index, tmp_path):
    architecture = sampled(space, SMALL_DETECTOR, size, index)
    network, inputs = architecture.build(head), random_inputs((1, 3, size, size))
    randomize(network, inputs)
    artifact = TFLiteExporter().export(network, inputs, tmp_path)
    assert tflite_parity(network, artifact, inputs).passed
    assert layout_operators(artifact.path) == ()
    assert LiteRtModel(artifact.path).delegated
    names = [each.name for each in artifact.outputs]
    assert names == (DETECTOR_OUTPUTS if isinstance(head, Detector) else ["output"])


def test_the_mobile_spinenet_is_exported_right(tmp_path):
    network = catalog.resolve("spinenet-mobile-49").build(Detector(classes=91))
    inputs = random_inputs((1, 3, 384, 384))
    randomize(network, inputs)
    artifact = TFLiteExporter().export(network, inputs, tmp_path)
    assert tflite_parity(network, artifact, inputs).passed
    assert LiteRtModel(artifact.path).delegated
    assert [each.name for each in artifact.outputs] == DETECTOR_OUTPUTS
    shapes = [each.shape for each in artifact.outputs]
    assert shapes == [
        (1, side, side, channels) for channels in (9 * 91, 9 * 4) for side in (48, 24, 12, 6, 3)
    ]


def test_swish_is_a_gate_and_a_product(efficient, tmp_path):
    artifact = check(efficient.at(64), tmp_path)
    network = efficient.build(Classifier(classes=10))
    swishes = sum(isinstance(part, nn.SiLU) for part in network.modules())
    gates = sum(isinstance(part, nn.Sigmoid) for part in network.modules())
    found = Counter(operators(artifact.path))
    assert found["LOGISTIC"] == found["MUL"] == swishes + gates
    assert found.keys() <= {
        "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "LOGISTIC", "MUL", "FULLY_CONNECTED",
    }  # fmt: skip


def test_of_stochastic_depth_and_dropout_nothing_is_left(efficient, tmp_path):
    inputs = random_inputs((1, 3, 32, 32))
    plain = replace(efficient, stochastic_depth=0.0, dropout=0.0)
    first, second = (each.build(Classifier(classes=10)) for each in (efficient, plain))
    second.load_state_dict(first.state_dict())
    files = []
    for number, network in enumerate((first, second)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files.append(TFLiteExporter().export(network, inputs, folder))
    assert operators(files[0].path) == operators(files[1].path)
    image = feeds(files[0], inputs)
    one, other = (LiteRtModel(artifact.path).run(image)["output"] for artifact in files)
    assert np.array_equal(one, other)


def test_mnasnet_a1_at_224_is_as_it_should_be(tmp_path):
    artifact = check(catalog.create("mnasnet-a1"), tmp_path)
    assert artifact.format is ModelFormat.TFLITE
    assert artifact.precision is Precision.FP32
    (image,), (output,) = artifact.inputs, artifact.outputs
    assert (image.name, image.shape, image.dtype) == ("image", (1, 224, 224, 3), "float32")
    assert (output.name, output.shape, output.dtype) == ("output", (1, 10), "float32")
    # 16 blocks, of which one has no expansion; stem and head; squeeze-excitation in eight blocks.
    assert Counter(operators(artifact.path)) == {
        "CONV_2D": 1 + 15 + 16 + 1 + 2 * 8,
        "DEPTHWISE_CONV_2D": 16,
        "ADD": 9,
        "MEAN": 8 + 1,
        "LOGISTIC": 8,
        "MUL": 8,
        "FULLY_CONNECTED": 1,
    }


@pytest.mark.parametrize("name", ["mobilenetv2_100", "semnasnet_100", "tf_efficientnet_lite0"])
def test_networks_of_timm_are_exported_right(name, tmp_path):
    network, inputs = timm.create_model(name, num_classes=10), random_inputs((1, 3, 64, 64))
    randomize(network, inputs)
    artifact = TFLiteExporter().export(network, inputs, tmp_path)
    assert tflite_parity(network, artifact, inputs).passed


def test_symmetric_padding_at_an_even_size_needs_a_pad(tmp_path):
    network = timm.create_model("mobilenetv2_100")
    artifact = TFLiteExporter().export(network, random_inputs((1, 3, 64, 64)), tmp_path)
    assert set(layout_operators(artifact.path)) == {"PAD"}


def test_a_batch_norm_that_was_changed_later_is_noticed(tmp_path):
    network, inputs = SmallNetwork(), random_inputs((1, 3, 16, 20))
    randomize(network, inputs)
    artifact = TFLiteExporter().export(network, inputs, tmp_path)
    norm = network.project[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    norm.bias.data += 0.1
    assert not tflite_parity(network, artifact, inputs).passed


def parsed(path):
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def test_weights_lie_at_multiples_of_16_bytes(tmp_path):
    network, inputs = SmallNetwork(), random_inputs((1, 3, 16, 20))
    randomize(network, inputs)
    artifact = TFLiteExporter().export(network, inputs, tmp_path)
    content = artifact.path.read_bytes()
    found = 0
    for buffer in parsed(artifact.path).buffers:
        if buffer.data is not None and len(buffer.data) >= 32:
            start = content.find(bytes(buffer.data))
            assert start % 16 == 0
            found += 1
    assert found > 10


def test_tensors_of_results_have_no_buffer_of_their_own(tmp_path):
    artifact = TFLiteExporter().export(SmallNetwork(), random_inputs((1, 3, 16, 20)), tmp_path)
    model = parsed(artifact.path)
    (graph,) = model.subgraphs
    made = {i for operator in graph.operators for i in operator.outputs} | set(graph.inputs)
    assert all(graph.tensors[i].buffer == 0 for i in made)
    assert model.buffers[0].data is None
    assert all(t.buffer > 0 for i, t in enumerate(graph.tensors) if i not in made)


def versions(module, shape, folder):
    artifact = TFLiteExporter().export(module, random_inputs(shape), folder)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    codes = parsed(artifact.path).operatorCodes
    return {names[code.builtinCode]: code.version for code in codes}


def test_operators_have_the_oldest_version_that_will_do(tmp_path):
    conv = torch.nn.Conv2d
    assert versions(conv(4, 8, 3), (1, 4, 9, 9), tmp_path) == {"CONV_2D": 1}
    assert versions(conv(4, 8, 3, groups=2), (1, 4, 9, 9), tmp_path) == {"CONV_2D": 6}
    depthwise = conv(4, 8, 3, groups=4)
    assert versions(depthwise, (1, 4, 9, 9), tmp_path) == {"DEPTHWISE_CONV_2D": 1}
    depthwise = conv(4, 8, 3, groups=4, dilation=2)
    assert versions(depthwise, (1, 4, 9, 9), tmp_path) == {"DEPTHWISE_CONV_2D": 2}


def test_the_signature_names_inputs_and_outputs(tmp_path):
    inputs = random_inputs((1, 3, 16, 20), names=("pixels",))
    artifact = TFLiteExporter().export(SmallNetwork(), inputs, tmp_path)
    (signature,) = parsed(artifact.path).signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [entry.name for entry in signature.inputs] == [b"pixels"]
    assert [entry.name for entry in signature.outputs] == [b"output"]


def test_a_dictionary_of_outputs_gives_their_names(tmp_path):
    class Pyramid(torch.nn.Module):
        def forward(self, image):
            return {"small": torch.nn.functional.relu(image), "big": image + image}

    inputs = random_inputs((1, 3, 4, 4))
    artifact = TFLiteExporter().export(Pyramid(), inputs, tmp_path)
    assert [spec.name for spec in artifact.outputs] == ["small", "big"]
    outputs = LiteRtModel(artifact.path).run(feeds(artifact, inputs))
    assert np.array_equal(outputs["big"], 2 * feeds(artifact, inputs)["image"])


def test_a_batch_of_several_is_exported(tmp_path):
    network, inputs = SmallNetwork(), random_inputs((3, 3, 16, 20))
    randomize(network, inputs)
    artifact = TFLiteExporter().export(network, inputs, tmp_path)
    assert artifact.outputs[0].shape == (3, 7)
    outputs = LiteRtModel(artifact.path).run(feeds(artifact, inputs))
    reference = expected(network, artifact, inputs)
    assert outputs["output"] == pytest.approx(reference["output"], abs=1e-4)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ExportError, match="nowhere"):
        TFLiteExporter().export(
            SmallNetwork(), random_inputs((1, 3, 16, 20)), tmp_path / "nowhere"
        )


class Padded(nn.Module):
    """Convolutions of one image, padded beforehand."""

    def __init__(self, amounts, stride, convolutions):
        super().__init__()
        self.pad = nn.ZeroPad2d(amounts)
        self.convolutions = nn.ModuleList(nn.Conv2d(3, 4, 3, stride) for _ in range(convolutions))

    def forward(self, image):
        image = self.pad(image)
        return sum(each(image) for each in self.convolutions)


@pytest.mark.parametrize(
    ("amounts", "stride", "size", "needless"),
    [
        ((1, 1, 1, 1), 1, 16, 1),
        ((0, 1, 0, 1), 2, 16, 1),
        ((1, 1, 1, 1), 2, 16, 0),
        ((1, 1, 1, 1), 2, 15, 1),
        ((2, 2, 2, 2), 1, 16, 0),
    ],
)
def test_a_pad_is_needless_where_same_would_do_it(amounts, stride, size, needless, tmp_path):
    """Two convolutions read it, so the writer leaves it; one takes it in where it can."""
    inputs = random_inputs((1, 3, size, size))
    artifact = TFLiteExporter().export(Padded(amounts, stride, 2), inputs, tmp_path)
    assert layout_operators(artifact.path) == ("PAD",)
    assert len(layout_faults(artifact.path)) == needless
    alone = Padded(amounts, stride, 1)
    artifact = TFLiteExporter().export(alone, inputs, tmp_path)
    assert layout_operators(artifact.path) == () if needless else ("PAD",)
    assert tflite_parity(alone, artifact, inputs).passed


class Pooled(nn.Module):
    """Pools of one image that count what is padded, or a maximum of it."""

    def __init__(self, *pools):
        super().__init__()
        self.pools = nn.ModuleList(pools)

    def forward(self, image):
        return tuple(pool(image) for pool in self.pools)


@pytest.mark.parametrize(
    "pool",
    [nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1, count_include_pad=False)],
    ids=str,
)
def test_a_pad_before_an_average_is_never_needless(pool, tmp_path):
    """SAME does not count what it adds, torch does unless it is told not to."""
    for size in (15, 16):
        inputs, module = random_inputs((1, 3, size, size)), Pooled(pool)
        artifact = TFLiteExporter().export(module, inputs, tmp_path)
        assert layout_faults(artifact.path) == ()
        assert tflite_parity(module, artifact, inputs).passed
        assert ("PAD" in operators(artifact.path)) == pool.count_include_pad


def test_the_macs_of_a_file_are_those_of_its_graph(tmp_path):
    module, inputs = SmallNetwork(), random_inputs((1, 3, 16, 20))
    artifact = TFLiteExporter().export(module, inputs, tmp_path)
    assert file_macs(artifact.path) == count(module, inputs).macs
