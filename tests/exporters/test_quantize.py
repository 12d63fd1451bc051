import errno
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")

from exporters.artifact import ModelFormat, Precision
from exporters.exporter import ExportError, create
from exporters.int8_stand_in import StandInInt8Writer
from exporters.litert_runtime import LiteRtModel
from exporters.quantize import LEAST_SAMPLES, Quantization, quantize
from exporters.testing import SmallNetwork, expected, feeds, random_inputs, randomize
from exporters.tflite_file import operators
from exporters.verify import parity
from search_space import catalog
from search_space.architecture import Classifier
from workspace.errors import InputError

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


@pytest.mark.parametrize("to", EVERY)
def test_quantizing_twice_gives_identical_bytes(to, artifact, tmp_path):
    first, second = (
        quantize(artifact, to, tmp_path, calibration=samples(artifact)) for _ in range(2)
    )
    assert first.sha256 == second.sha256


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

    def test_inputs_stay_floats(self, artifact, tmp_path):
        with pytest.raises(InputError, match="keeps float32 inputs"):
            quantize(
                artifact,
                Quantization.INT8,
                tmp_path,
                calibration=samples(artifact),
                float_io=False,
            )
