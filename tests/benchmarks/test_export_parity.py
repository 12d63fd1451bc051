import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")


@pytest.fixture(scope="module")
def export_parity():
    path = Path(__file__).parents[2] / "benchmarks" / "export_parity.py"
    spec = importlib.util.spec_from_file_location("export_parity", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["export_parity"] = module
    assert spec.loader is not None
    spec.loader.exec_module(module)
    yield module
    del sys.modules["export_parity"]


@pytest.mark.slow
def test_thirty_networks_are_exported_right_in_both_formats(export_parity, tmp_path, monkeypatch):
    monkeypatch.setattr(export_parity, "SIZES", (64, 96))
    names = len(export_parity.SCALED) + len(export_parity.catalog.names())
    found = export_parity.compared(max(30 - names, 8), tmp_path, onnx=30)
    assert found["networks"] >= 30 + len(export_parity.TIMM) - 1
    assert found["max_error"] <= found["tolerance"]
    assert found["onnx_max_error"] <= found["tolerance"]
    assert found["onnx_networks"] >= 30
    assert found["layout_operators"] == 0
    assert found["min_sensitivity"] > 0.05
    assert set(found["by_timm"]) == set(export_parity.TIMM)
