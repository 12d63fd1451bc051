import errno
import sys
from collections import Counter
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")

from torch import Tensor, nn
from torch.nn import functional

from exporters.artifact import ModelFormat, Precision
from exporters.exporter import ExportError, create
from exporters.int8_stand_in import StandInInt8Writer
from exporters.litert_runtime import LiteRtModel
from exporters.operators import float_parts
from exporters.quantize import LEAST_SAMPLES, Quantization, quantize
from exporters.testing import SmallNetwork, expected, feeds, random_inputs, randomize
from exporters.tflite_file import operators, read
from exporters.verify import channels_last, onnx_macs, parity
from search_space import catalog
from search_space.architecture import Classifier
from search_space.representation_flow import RepresentationFlow
from workspace.errors import InputError, OperationError

IMAGE = (1, 3, 16, 20)
EVERY = [Quantization.FP16, Quantization.DYNAMIC, Quantization.INT8]


@pytest.fixture
def network():
    module = SmallNetwork()
    randomize(module, random_inputs(IMAGE))
    return module


@pytest.fixture
def artifact(network, tmp_path):
    return create("tflite").export(network, random_inputs(IMAGE), tmp_path)


def samples(artifact, count=LEAST_SAMPLES):
    rng = np.random.default_rng(0)
    return [
        {s.name: rng.normal(size=s.shape).astype(np.float32) for s in artifact.inputs}
        for _ in range(count)
    ]


@pytest.mark.parametrize("to", EVERY)
def test_a_quantized_file_computes_nearly_what_torch_does(to, network, artifact, tmp_path):
    made = quantize(artifact, to, tmp_path, calibration=samples(artifact))
    inputs = random_inputs(IMAGE, seed=3)
    outputs = LiteRtModel(made.path).run(feeds(made, inputs))
    found = parity(outputs, expected(network, made, inputs), 0.1)
    assert 0 < found.max_error <= 0.1
    assert made.precision is Precision(to.value)


@pytest.mark.parametrize("to", EVERY)
@pytest.mark.parametrize("float_io", [True, False])
def test_a_quantized_file_tells_its_precision_itself(to, float_io, artifact, tmp_path):
    made = quantize(artifact, to, tmp_path, calibration=samples(artifact), float_io=float_io)
    assert read(made.path).precision is made.precision


def test_a_missing_extra_is_said_with_how_to_get_it(artifact, tmp_path, monkeypatch):
    for module in ("ai_edge_quantizer", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OperationError, match=r"pip install 'pocketnas\[quantize\]'"):
        quantize(artifact, Quantization.FP16, tmp_path)
    other = replace(artifact, format=ModelFormat.ONNX)
    with pytest.raises(OperationError, match=r"pip install 'pocketnas\[onnx\]'"):
        quantize(other, Quantization.FP16, tmp_path)


def test_a_file_that_the_tool_cannot_even_open_is_an_error_in_one_line(artifact, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + b"\x99" * 400)
    with pytest.raises(ExportError, match=r"quantizer cannot quantize 'broken\.tflite'") as raised:
        quantize(replace(artifact, path=path), Quantization.FP16, tmp_path)
    assert "\n" not in str(raised.value)


class PooledOutput(nn.Module):
    """What PADV2 and a maximum make is read and given out."""

    def forward(self, image):
        pooled = functional.max_pool2d(image, 3, 2, 1)
        return pooled, pooled * 2


def test_a_file_whose_outputs_the_tool_renames_is_not_kept(tmp_path):
    whole = create("tflite").export(PooledOutput(), random_inputs(IMAGE), tmp_path)
    with pytest.raises(ExportError, match="quantizing renamed output_0, output_1 to "):
        quantize(whole, Quantization.INT8, tmp_path, calibration=samples(whole))
    assert list(tmp_path.iterdir()) == [whole.path]


def test_a_file_that_its_runtime_refuses_is_not_kept(artifact, tmp_path, monkeypatch):
    """As of a network of which a scale is beyond what XNNPACK takes."""
    broken = artifact.path.read_bytes()[:2000]
    monkeypatch.setattr("exporters.quantize_tflite.quantized", lambda *_, **__: (broken, "tool"))
    with pytest.raises(ExportError, match="tool made a file that its runtime refuses"):
        quantize(artifact, Quantization.FP16, tmp_path)
    assert list(tmp_path.glob("*.tflite")) == [artifact.path]


MOVING = (1, 3, 3, 12, 12)


class Moving(nn.Module):
    """Something learned of frames, and of optical flow."""

    def __init__(self):
        super().__init__()
        self.flow = RepresentationFlow(3)
        self.of_flow = nn.Conv3d(2, 4, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.of_frames = nn.Conv3d(3, 4, (1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, clip):
        return self.of_flow(self.flow(clip)) + self.of_frames(clip)


def moving_samples(artifact):
    """A square that moves before flat ground."""
    made = []
    for number in range(LEAST_SAMPLES):
        clip = np.full(MOVING, 0.3, np.float32)
        for frame in range(3):
            top, left = 2 + number % 4 + frame, 2 + number // 4 + frame * (number % 2)
            clip[:, :, frame, top : top + 4, left : left + 4] = 1.0
        laid_out = clip if artifact.format is ModelFormat.ONNX else channels_last(clip)
        made.append({artifact.inputs[0].name: laid_out})
    return made


def test_a_file_at_which_its_runtime_crashes_is_not_kept(tmp_path):
    """XNNPACK ends the process at some scales, as of flow in numbers of 8 bits."""
    whole = create("tflite").export(Moving(), random_inputs(MOVING), tmp_path)
    with pytest.raises(ExportError, match=r"made a file at which its runtime crashes, so none"):
        quantize(whole, Quantization.INT8, tmp_path, calibration=moving_samples(whole))
    assert list(tmp_path.iterdir()) == [whole.path]


def test_parts_that_stay_in_float_are_as_exact_as_before(tmp_path):
    module = Moving()
    randomize(module, random_inputs(MOVING))
    assert float_parts(module) == ("flow",)
    whole = create("tflite").export(module, random_inputs(MOVING), tmp_path)
    given = moving_samples(whole)
    made = quantize(
        whole, Quantization.INT8, tmp_path, calibration=given, float_parts=float_parts(module)
    )
    assert_as_whole_as(LiteRtModel(whole.path), LiteRtModel(made.path), given)
    assert LiteRtModel(made.path).delegated
    assert made.precision is Precision.INT8
    ends = Counter(name for name in operators(made.path) if name.endswith("QUANTIZE"))
    assert ends == {"QUANTIZE": 2, "DEQUANTIZE": 1}
    stand_in = create("tflite", Precision.INT8).export(module, random_inputs(MOVING), tmp_path)
    assert Counter(operators(stand_in.path)) == Counter(operators(made.path))
    assert LiteRtModel(stand_in.path).delegated


def test_a_part_that_is_to_stay_in_float_and_cannot_be_found_is_an_error(artifact, tmp_path):
    with pytest.raises(ExportError, match=r"'flow' would have to stay in float32, and no"):
        quantize(
            artifact,
            Quantization.INT8,
            tmp_path,
            calibration=samples(artifact),
            float_parts=("flow",),
        )


def assert_as_whole_as(whole, quantized, given):
    """What 8 bits cost one layer, and no more, by the root mean square."""
    wanted, found = (
        np.stack([model.run(feed)["output"] for feed in given]) for model in (whole, quantized)
    )
    assert ((found - wanted) ** 2).mean() < 0.05**2 * (wanted**2).mean()


def test_int8_keeps_float_ends_unless_told_otherwise(artifact, tmp_path):
    ends = quantize(artifact, Quantization.INT8, tmp_path, calibration=samples(artifact))
    assert {spec.dtype for spec in (*ends.inputs, *ends.outputs)} == {"float32"}
    whole = quantize(
        artifact, Quantization.INT8, tmp_path, calibration=samples(artifact), float_io=False
    )
    assert {spec.dtype for spec in (*whole.inputs, *whole.outputs)} == {"int8"}
    assert operators(ends.path) == ("QUANTIZE", *operators(whole.path), "DEQUANTIZE")


@pytest.mark.parametrize("name", ["mnasnet-a1", "mobilenet-v2"])
def test_a_stand_in_int8_file_has_the_structure_of_a_calibrated_one(name, tmp_path):
    module, inputs = (
        catalog.create(name).at(64).build(Classifier(classes=10)),
        random_inputs((1, 3, 64, 64)),
    )
    randomize(module, inputs)
    whole = create("tflite").export(module, inputs, tmp_path)
    calibrated = quantize(whole, Quantization.INT8, tmp_path, calibration=samples(whole))
    stand_in = create("tflite", Precision.INT8).export(module, inputs, tmp_path)
    assert operators(stand_in.path) == operators(calibrated.path)
    assert StandInInt8Writer.description != "PocketNAS"


@pytest.mark.parametrize(
    ("to", "most"),
    [(Quantization.FP16, 2e-3), (Quantization.DYNAMIC, 0.03), (Quantization.INT8, 0.15)],
)
def test_a_quantized_efficientnet_computes_nearly_what_torch_does(to, most, efficient, tmp_path):
    """By the root mean square over images, as much as with ReLU: weights are random."""
    shape = (1, 3, 32, 32)
    network = efficient.build(Classifier(classes=10))
    randomize(network, random_inputs(shape))
    whole = create("tflite").export(network, random_inputs(shape), tmp_path)
    made = quantize(whole, to, tmp_path, calibration=samples(whole))
    model, images = LiteRtModel(made.path), [random_inputs(shape, seed=s) for s in range(8)]
    found = np.stack([model.run(feeds(made, image))["output"] for image in images])
    wanted = np.stack([expected(network, made, image)["output"] for image in images])
    error = np.sqrt(((found - wanted) ** 2).mean() / (wanted**2).mean())
    assert 0 < error <= most


def test_a_stand_in_int8_efficientnet_has_the_structure_of_a_calibrated_one(efficient, tmp_path):
    module, inputs = efficient.build(Classifier(classes=10)), random_inputs((1, 3, 32, 32))
    randomize(module, inputs)
    whole = create("tflite").export(module, inputs, tmp_path)
    calibrated = quantize(whole, Quantization.INT8, tmp_path, calibration=samples(whole))
    stand_in = create("tflite", Precision.INT8).export(module, inputs, tmp_path)
    assert operators(stand_in.path) == operators(calibrated.path)
    assert LiteRtModel(stand_in.path).delegated


@pytest.mark.parametrize("to", EVERY)
def test_quantizing_twice_gives_identical_bytes(to, artifact, tmp_path):
    first, second = (
        quantize(artifact, to, tmp_path, calibration=samples(artifact)) for _ in range(2)
    )
    assert first.sha256 == second.sha256


class Enlarged(nn.Module):
    """Pixels repeated, whose factors stay as they are in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        large = functional.interpolate(image, scale_factor=2.0, mode="nearest")
        made: Tensor = self.convolution(large)
        return made


def test_a_half_precision_onnx_file_that_resizes_says_of_its_constants_what_they_are(tmp_path):
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    made = create("onnx").export(Enlarged(), random_inputs(IMAGE), tmp_path)
    half = quantize(made, Quantization.FP16, tmp_path, calibration=())
    assert half.precision is Precision.FP16
    assert onnx_macs(half.path) == onnx_macs(made.path) == 27 * 4 * 32 * 40


def test_none_is_the_file_itself(artifact, tmp_path):
    assert quantize(artifact, Quantization.NONE, tmp_path) is artifact


def test_too_few_samples_are_refused(artifact, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="at least 16 calibration samples, got 15"):
        quantize(artifact, Quantization.INT8, tmp_path, calibration=samples(artifact, 15))
    assert sorted(tmp_path.iterdir()) == before


def test_samples_that_are_not_what_the_file_takes_are_refused(artifact, tmp_path):
    wrong = [{"image": np.zeros((1, 3, 16, 20), np.float32)}] * LEAST_SAMPLES
    with pytest.raises(InputError, match="calibration sample 0 is"):
        quantize(artifact, Quantization.INT8, tmp_path, calibration=wrong)


def test_a_quantized_file_is_not_quantized_again(artifact, tmp_path):
    half = quantize(artifact, Quantization.FP16, tmp_path)
    with pytest.raises(InputError, match="only an fp32 file"):
        quantize(half, Quantization.DYNAMIC, tmp_path)


def test_a_saved_model_is_not_quantized(artifact, tmp_path):
    saved = replace(artifact, format=ModelFormat.SAVED_MODEL)
    with pytest.raises(InputError, match="export tflite or onnx"):
        quantize(saved, Quantization.FP16, tmp_path)


def test_a_full_disk_leaves_no_half_file(artifact, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ExportError, match="No space left"):
        quantize(artifact, Quantization.FP16, tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_calibration_says_nothing(artifact, tmp_path, capfd):
    quantize(artifact, Quantization.INT8, tmp_path, calibration=samples(artifact))
    assert "Calibration" not in capfd.readouterr().err


class TestOnnx:
    @pytest.fixture
    def artifact(self, network, tmp_path):
        pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
        return create("onnx").export(network, random_inputs(IMAGE), tmp_path)

    @pytest.mark.parametrize("to", EVERY)
    def test_a_quantized_file_computes_nearly_what_torch_does(
        self, to, network, artifact, tmp_path
    ):
        from exporters.onnx_runtime import OnnxModel

        made = quantize(artifact, to, tmp_path, calibration=samples(artifact))
        inputs = random_inputs(IMAGE, seed=3)
        outputs = OnnxModel(made.path).run(feeds(made, inputs))
        assert parity(outputs, expected(network, made, inputs), 0.15).passed
        again = quantize(artifact, to, tmp_path, calibration=samples(artifact))
        assert made.sha256 == again.sha256

    @pytest.mark.parametrize("to", EVERY)
    def test_a_quantized_efficientnet_does_too(self, to, efficient, tmp_path):
        pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
        from exporters.onnx_runtime import OnnxModel

        network = efficient.build(Classifier(classes=10))
        randomize(network, random_inputs((1, 3, 32, 32)))
        whole = create("onnx").export(network, random_inputs((1, 3, 32, 32)), tmp_path)
        made = quantize(whole, to, tmp_path, calibration=samples(whole))
        inputs = random_inputs((1, 3, 32, 32), seed=3)
        outputs = OnnxModel(made.path).run(feeds(made, inputs))
        assert parity(outputs, expected(network, made, inputs), 0.15).passed

    def test_parts_that_stay_in_float_are_as_exact_as_before(self, tmp_path):
        pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
        from exporters.onnx_runtime import OnnxModel

        module = Moving()
        randomize(module, random_inputs(MOVING))
        whole = create("onnx").export(module, random_inputs(MOVING), tmp_path)
        given, parts = moving_samples(whole), float_parts(module)
        made = quantize(whole, Quantization.INT8, tmp_path, calibration=given, float_parts=parts)
        assert_as_whole_as(OnnxModel(whole.path), OnnxModel(made.path), given)

    def test_inputs_stay_floats(self, artifact, tmp_path):
        with pytest.raises(InputError, match="keeps float32 inputs"):
            quantize(
                artifact,
                Quantization.INT8,
                tmp_path,
                calibration=samples(artifact),
                float_io=False,
            )


class Dead(nn.Module):
    """A branch of which nothing ever comes out, as training sometimes leaves one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.dead = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 4, 1)
        nn.init.constant_(cast("Tensor", self.dead.bias), -1000.0)

    def forward(self, image):
        shown = functional.relu(self.first(image))
        return self.last(functional.relu(self.dead(shown))) + self.last(shown)


def test_a_network_with_a_dead_branch_runs_in_int8_and_is_right(tmp_path):
    network = Dead().eval()
    artifact = create("tflite").export(network, random_inputs(IMAGE), tmp_path)
    made = quantize(artifact, Quantization.INT8, tmp_path, calibration=samples(artifact))
    inputs = random_inputs(IMAGE, seed=4)
    outputs = LiteRtModel(made.path).run(feeds(made, inputs))
    assert parity(outputs, expected(network, made, inputs), 0.1).passed
