import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")


@pytest.mark.slow
def test_thirty_networks_are_exported_right_in_both_formats(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SIZES", (64, 128))
    found = script.compared(24, tmp_path, onnx=30, largest=4_500_000)
    assert found["networks"] >= 30 + len(script.TIMM) - 1
    assert found["max_error"] <= found["tolerance"]
    assert found["onnx_max_error"] <= found["tolerance"]
    assert found["onnx_networks"] >= 30
    assert found["layout_operators"] == 0
    assert found["min_sensitivity"] > 0.05
    assert set(found["by_timm"]) == set(script.TIMM)
