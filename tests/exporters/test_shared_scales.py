import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("ai_edge_quantizer")
from ai_edge_litert import schema_py_generated as schema

from exporters.artifact import Precision
from exporters.exporter import create
from exporters.litert_runtime import LiteRtModel
from exporters.quantize import LEAST_SAMPLES, Quantization, quantize
from exporters.shared_scales import compacted
from exporters.testing import SmallNetwork, feeds, random_inputs, randomize

IMAGE = (1, 3, 16, 20)


@pytest.fixture
def network():
    module = SmallNetwork()
    randomize(module, random_inputs(IMAGE))
    return module


@pytest.fixture
def uncompacted(network, tmp_path, monkeypatch):
    """An int8 file as ai-edge-quantizer leaves it."""
    monkeypatch.setattr("exporters.shared_scales.compacted", lambda content: content)
    artifact = create("tflite").export(network, random_inputs(IMAGE), tmp_path)
    rng = np.random.default_rng(0)
    samples = [
        {each.name: rng.normal(size=each.shape).astype(np.float32) for each in artifact.inputs}
        for _ in range(LEAST_SAMPLES)
    ]
    return quantize(artifact, Quantization.INT8, tmp_path, calibration=samples)


def tensors(content):
    """Names, types and scales of a file's tensors, and their data."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    found = []
    for tensor in model.subgraphs[0].tensors:
        buffer = model.buffers[tensor.buffer]
        data = b"" if buffer.data is None else bytes(buffer.data)
        if buffer.offset > 1:
            data = content[buffer.offset : buffer.offset + buffer.size]
        scales = tensor.quantization
        told = () if scales is None or scales.scale is None else tuple(scales.scale)
        points = () if scales is None or scales.zeroPoint is None else tuple(scales.zeroPoint)
        found.append((tensor.name, tensor.type, told, points, data))
    return found


def test_a_file_says_the_same_in_fewer_bytes(uncompacted):
    content = uncompacted.path.read_bytes()
    fewer = compacted(content)
    assert len(fewer) < len(content)
    assert tensors(fewer) == tensors(content)


def test_it_computes_the_same_to_the_last_bit(uncompacted, tmp_path):
    path = tmp_path / "fewer.tflite"
    path.write_bytes(compacted(uncompacted.path.read_bytes()))
    inputs = feeds(uncompacted, random_inputs(IMAGE, seed=5))
    before, after = (LiteRtModel(each).run(inputs) for each in (uncompacted.path, path))
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])


def test_doing_it_twice_changes_nothing_more(uncompacted):
    once = compacted(uncompacted.path.read_bytes())
    assert tensors(compacted(once)) == tensors(once)
    assert len(compacted(once)) <= len(once)


def test_data_stays_where_runtimes_want_it(uncompacted):
    """At multiples of 16 bytes, as the schema asks of buffers."""
    content = compacted(uncompacted.path.read_bytes())
    model = schema.Model.GetRootAs(content, 0)
    places = []
    for number in range(model.BuffersLength()):
        buffer = model.Buffers(number)
        if not buffer.DataIsNone():
            data = buffer.DataAsNumpy()
            places.append(content.find(data.tobytes()) if len(data) > 64 else None)
    large = [place for place in places if place is not None]
    assert large
    assert all(place % 16 == 0 for place in large)


def test_a_stand_in_file_is_written_so_from_the_first(network, tmp_path):
    stand_in = create("tflite", Precision.INT8).export(network, random_inputs(IMAGE), tmp_path)
    content = stand_in.path.read_bytes()
    assert len(compacted(content)) >= len(content)
