"""What all tests share: repeatable weights, loopback phones, a small real model file."""

import os
import shutil
import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    "controller.testing",
    "devices.testing",
    "exporters.testing",
    "latency.testing",
    "search_space.testing",
    "training.testing",
)


@pytest.fixture(autouse=True)
def repeatable_torch():
    """Weights are the same whatever ran before; one thread, as small networks are slower on more.

    Torch is not imported for it: a test that imports it first finds it as new.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def loopback_root() -> Path:
    """The loopback phones' root, built once and kept in the home folder of whoever runs this.

    Where loopback phones cannot be had the test is skipped and says why, but in CI it fails.
    """
    from devices.loopback import needs
    from devices.loopback.root import ensure_root

    lacking = needs.missing()
    if lacking and os.environ.get("CI") == "true":
        pytest.fail(lacking)
    if lacking:
        pytest.skip(lacking)
    return ensure_root()


@pytest.fixture(scope="session")
def fashion_mnist_data():
    """Fashion-MNIST is on this machine; where it is not the test is skipped, in CI it fails."""
    from training.fashion_mnist import folder

    if folder() is not None:
        return
    text = "Fashion-MNIST is not here: apt-get install dataset-fashion-mnist"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


MOVING_BARS = '''
"""Bars that move to the right or to the left, which no single frame tells."""

import numpy as np

from training.generated_clips import GeneratedClips
from training.schedule import Schedule
from training.task import Proxy, Split
from training.video import VideoClassification

COUNTS = {Split.TRAIN: 64, Split.VALIDATION: 32, Split.TEST: 32}


class MovingBars(VideoClassification):
    name, classes = "moving bars", 2
    proxy = Proxy(size=16, schedule=Schedule(samples=32, batch=8, learning_rate=0.01))

    def examples(self, split, size):
        count = COUNTS[split]
        rng = np.random.default_rng(list(Split).index(split))
        starts, labels = rng.integers(0, 16, count), np.arange(count) % 2
        clips = np.zeros((count, 4, 16, 16), np.uint8)
        for clip, start, label in zip(clips, starts, labels, strict=True):
            for frame in range(4):
                clip[frame, :, (start + (2 - 4 * label) * frame) % 16] = 255
        return GeneratedClips(clips, labels.astype(np.int64), size, frames=4)
'''


@pytest.fixture
def moving_bars(tmp_path, monkeypatch) -> str:
    """A small task of clips, by the name that commands and processes find it by."""
    pytest.importorskip("torch")
    (tmp_path / "bars.py").write_text(MOVING_BARS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "bars:MovingBars"


@pytest.fixture(scope="session")
def debian_adb() -> str:
    """The path of Debian's ``adb``; where it is not there the test is skipped, in CI it fails."""
    program = shutil.which("adb")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("adb is not installed: apt-get install adb")
    if program is None:
        pytest.skip("adb is not installed: apt-get install adb")
    return program


@pytest.fixture
def loopback_phones(loopback_root, tmp_path, monkeypatch):
    """Brings up as many phones as asked, in ``POCKETNAS_HOME=tmp_path/home``; down at the end.

    Use it as ``(phone,) = loopback_phones(1)``; ``phone.serial`` is what adb calls it.
    """
    from devices.loopback.phone import down, up

    shelter = tmp_path / "home" / "loopback"
    shelter.mkdir(parents=True)
    (shelter / loopback_root.name).symlink_to(loopback_root)

    def bring_up(count: int = 1):
        monkeypatch.setenv("POCKETNAS_HOME", str(shelter.parent))
        return up(count)

    yield bring_up
    monkeypatch.setenv("POCKETNAS_HOME", str(shelter.parent))
    down()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A real model file: one fully connected layer, [1, 128] to [1, 128] float32."""
    path: Path = tmp_path_factory.mktemp("models") / "tiny.tflite"
    path.write_bytes(_fully_connected(128))
    return path


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory) -> Path:
    """As ``tiny_model``, [1, 1024] to [1, 1024]: long enough for ratios of microseconds."""
    path: Path = tmp_path_factory.mktemp("models") / "wide.tflite"
    path.write_bytes(_fully_connected(1024))
    return path


def _fully_connected(width: int) -> bytes:
    """The flatbuffer of a model that multiplies by a matrix and adds a vector."""
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    random = np.random.default_rng(0)
    contents = [
        b"",
        random.standard_normal((width, width), dtype=np.float32).tobytes(),
        random.standard_normal(width, dtype=np.float32).tobytes(),
    ]
    model = schema.ModelT()
    model.version = 3
    model.description = "one fully connected layer"
    model.buffers = [schema.BufferT() for _ in contents]
    for buffer, content in zip(model.buffers, contents, strict=True):
        buffer.data = np.frombuffer(content, np.uint8) if content else None
    model.operatorCodes = [schema.OperatorCodeT()]
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    graph = schema.SubGraphT()
    tensors = (("in", [1, width], 0), ("w", [width, width], 1), ("b", [width], 2))
    graph.tensors = [_tensor(*each) for each in (*tensors, ("out", [1, width], 0))]
    graph.inputs, graph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [operator]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: list[int], buffer: int):
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
    tensor.type = schema.TensorType.FLOAT32
    return tensor
