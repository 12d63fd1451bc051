import pytest

pytest.importorskip("torch")

from exporters.exporter import create
from exporters.testing import ExporterContract


@pytest.mark.usefixtures("own_exporters")
class TestOwnExporter(ExporterContract):
    """Any exporter can be held to the contract, from outside the project too."""

    @pytest.fixture
    def exporter(self):
        return create("own_exporter:Renaming")
