import importlib.util

import pytest

pytest.importorskip("torch")
if importlib.util.find_spec("litert_torch") is None:  # importing it takes seconds
    pytest.skip("the extra 'litert' is not installed", allow_module_level=True)

from exporters.litert import LiteRtTorchExporter
from exporters.testing import ExporterContract

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of jax and torch.export


class TestLiteRtTorchExporter(ExporterContract):
    @pytest.fixture
    def exporter(self):
        return LiteRtTorchExporter()
