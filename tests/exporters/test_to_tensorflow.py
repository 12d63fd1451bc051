import importlib.util

import pytest

pytest.importorskip("torch")
if importlib.util.find_spec("tensorflow") is None:  # importing it takes five seconds
    pytest.skip("the extra 'tensorflow' is not installed", allow_module_level=True)

from exporters.artifact import ModelFormat
from exporters.exporter import ExportError, create
from exporters.saved_model_runtime import SavedModel
from exporters.testing import ExporterContract, SmallNetwork, random_inputs, randomize
from exporters.to_tensorflow import TensorFlowLiteExporter
from exporters.verify import layout_operators
from workspace.errors import InputError
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


def test_a_saved_model_of_a_folder_that_is_not_there_is_an_error(network, tmp_path):
    with pytest.raises(ExportError, match="no folder"):
        create("savedmodel").export(network, random_inputs(IMAGE), tmp_path / "none")


def test_a_folder_that_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no SavedModel"):
        SavedModel(tmp_path)


def test_the_converter_s_file_needs_no_transposes(network, tmp_path):
    artifact = create("tensorflow").export(network, random_inputs(IMAGE), tmp_path)
    assert layout_operators(artifact.path) == ()
