import numpy as np
import pytest

from delivery.accuracy import accuracy_of_torch, check_accuracy
from delivery.file_gates import check_parity, runtime_of
from delivery.int8_ends import Scale, int8_ends
from delivery.network import batches, compared, laid_out
from exporters.exporter import create
from exporters.quantize import Quantization, quantize
from training.task import Split

pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")


@pytest.fixture
def artifact(network, tmp_path):
    """int8 from end to end, calibrated on the digits."""
    base = create("tflite").export(network.module, network.example_inputs, tmp_path)
    specs = network.architecture.inputs
    ((images,), _) = next(batches(specs, network.task, Split.TRAIN, count=32, seed=0))
    samples = [{"image": laid_out(base.format, image[None])} for image in images]
    return quantize(base, Quantization.INT8, tmp_path, calibration=samples, float_io=False)


def test_an_int8_file_is_run_with_floats_on_both_sides(network, artifact):
    assert {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)} == {"int8"}
    assert set(int8_ends(artifact)) == {"image", artifact.outputs[0].name}
    found = runtime_of(artifact)({"image": np.zeros((1, 16, 16, 1), np.float32)})
    assert {value.dtype for value in found.values()} == {np.dtype("float32")}
    assert check_parity(network, artifact, compared(network)).passed
    of_torch = accuracy_of_torch(network, network.task)
    gate = check_accuracy(network.architecture.inputs, network.task, artifact, of_torch)
    assert gate.number("accuracy") == pytest.approx(of_torch, abs=0.1)


def test_a_file_of_floats_has_no_scales(network, tmp_path):
    base = create("tflite").export(network.module, network.example_inputs, tmp_path)
    assert int8_ends(base) == {}


def test_numbers_are_rounded_to_the_nearest_and_cut_at_the_ends():
    scale = Scale(scale=0.5, zero_point=-3)
    made = scale.rounded(np.array([0.0, 0.6, 1000.0, -1000.0], np.float32))
    assert made.tolist() == [-3, -2, 127, -128]
    assert scale.restored(made)[:2].tolist() == [0.0, 0.5]
