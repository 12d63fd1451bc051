import importlib.util
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
if importlib.util.find_spec("tensorflow") is None:  # importing it takes five seconds
    pytest.skip("the extra 'tensorflow' is not installed", allow_module_level=True)

from exporters import saved_model_runtime
from exporters.artifact import ModelFormat
from exporters.child import in_child, started
from exporters.exporter import ExportError, NotWrittenError, create
from exporters.graph import Binary, BinaryKind, Constant, Graph, Node, Unary, UnaryKind
from exporters.saved_model_runtime import SavedModel
from exporters.testing import ExporterContract, SmallNetwork, random_inputs, randomize
from exporters.to_tensorflow import TensorFlowLiteExporter, convert, save
from exporters.verify import layout_operators
from search_space.architecture import Classifier
from workspace.errors import InputError, OperationError
from workspace.files import sha256_of_folder

IMAGE = (1, 3, 16, 20)
pytestmark = pytest.mark.filterwarnings("ignore")  # of TensorFlow and what it imports


class TestTensorFlowLiteExporter(ExporterContract):
    @pytest.fixture
    def exporter(self):
        return TensorFlowLiteExporter()


@pytest.fixture
def network():
    module = SmallNetwork()
    randomize(module, random_inputs(IMAGE))
    return module


def test_a_saved_model_computes_what_torch_does(network, tmp_path):
    from exporters.testing import expected, feeds
    from exporters.verify import parity

    inputs = random_inputs(IMAGE)
    artifact = create("savedmodel").export(network, inputs, tmp_path)
    assert artifact.format is ModelFormat.SAVED_MODEL
    outputs = SavedModel(artifact.path).run(feeds(artifact, inputs))
    assert parity(outputs, expected(network, artifact, inputs)).passed
    assert artifact.sha256 == sha256_of_folder(artifact.path)
    assert list(tmp_path.iterdir()) == [artifact.path]


def test_a_saved_efficientnet_does_too(efficient, tmp_path):
    from exporters.testing import expected, feeds
    from exporters.verify import parity

    inputs = random_inputs((1, 3, 32, 32))
    network = efficient.build(Classifier(classes=10))
    randomize(network, inputs)
    artifact = create("savedmodel").export(network, inputs, tmp_path)
    outputs = SavedModel(artifact.path).run(feeds(artifact, inputs))
    assert parity(outputs, expected(network, artifact, inputs)).passed


def test_a_saved_model_of_a_folder_that_is_not_there_is_an_error(network, tmp_path):
    with pytest.raises(ExportError, match="no folder"):
        create("savedmodel").export(network, random_inputs(IMAGE), tmp_path / "none")


def test_a_folder_that_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no SavedModel"):
        SavedModel(tmp_path)


def test_the_converter_s_file_needs_no_transposes(network, tmp_path):
    artifact = create("tensorflow").export(network, random_inputs(IMAGE), tmp_path)
    assert layout_operators(artifact.path) == ()


@pytest.fixture
def impossible():
    """A graph that TensorFlow's own shape inference refuses."""
    values = np.zeros((1, 3), np.float32), np.zeros((1, 5), np.float32)
    add = Binary(kind=BinaryKind.ADD)
    nodes = (
        *(Node(operator=Constant(value=v), inputs=(), output=1 + n, name="c")
          for n, v in enumerate(values)),
        Node(operator=add, inputs=(1, 2), output=3, name="add"),
        Node(operator=add, inputs=(0, 3), output=4, name="sum"),
    )  # fmt: skip
    shapes = ((1, 3), (1, 3), (1, 5), (1, 3), (1, 3))
    return Graph(shapes=shapes, nodes=nodes, inputs=(("image", 0),), outputs=(("out", 4),))


def test_what_tensorflow_raises_comes_back_as_ours_and_imports_no_tensorflow(impossible, tmp_path):
    with pytest.raises(ExportError, match="Dimensions must be equal") as raised:
        in_child(save, impossible, tmp_path / "model")
    assert not isinstance(raised.value, NotWrittenError)
    with pytest.raises(ExportError, match=r"converter cannot|cannot save"):
        in_child(convert, impossible)
    assert "tensorflow" not in sys.modules


def test_a_folder_that_refuses_a_saved_model_is_said(tmp_path):
    """In a process of its own: a file stands where the folder should be."""
    file = tmp_path / "file"
    file.touch()
    graph = Graph(
        shapes=((1, 3), (1, 3)),
        nodes=(Node(operator=Unary(kind=UnaryKind.RELU), inputs=(0,), output=1, name="relu"),),
        inputs=(("image", 0),),
        outputs=(("out", 1),),
    )
    with pytest.raises(
        NotWrittenError, match=r"TensorFlow cannot save the network: .*is not a directory"
    ):
        in_child(save, graph, file / "model")


def test_a_process_of_tensorflow_that_died_is_an_operation_error(network, tmp_path, monkeypatch):
    processes = []

    def kept(*args):
        connection, process = started(*args)
        processes.append(process)
        return connection, process

    artifact = create("savedmodel").export(network, random_inputs(IMAGE), tmp_path)
    monkeypatch.setattr(saved_model_runtime, "started", kept)
    model = SavedModel(artifact.path)
    (process,) = processes
    process.kill()
    process.wait()
    for _ in range(2):
        with pytest.raises(OperationError, match=r"process in which TensorFlow runs .* died"):
            model.run({artifact.inputs[0].name: np.zeros(artifact.inputs[0].shape, np.float32)})
