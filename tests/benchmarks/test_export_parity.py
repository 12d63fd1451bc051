import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")


@pytest.mark.slow
def test_thirty_networks_are_exported_right_in_both_formats(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SIZES", (64, 128))
    found = script.compared(script.modules(24, 4_500_000), tmp_path, onnx=30)
    assert found["networks"] >= 30 + len(script.TIMM) - 1
    assert found["max_error"] <= found["tolerance"]
    assert found["onnx_max_error"] <= found["tolerance"]
    assert found["onnx_networks"] >= 30
    assert found["layout_operators"] == 0
    assert found["min_sensitivity"] > 0.05
    assert set(found["by_timm"]) == set(script.TIMM)


@pytest.mark.slow
def test_detectors_of_every_scale_permuted_space_are_exported_right_and_delegated(
    script, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "DETECTOR_SIZES", (128, 224))
    found = script.compared_detectors(len(script.DETECTORS), tmp_path, onnx=1)
    assert found["networks"] == found["delegated"] == 1 + len(script.DETECTORS)
    assert 0 < found["mobile_error"] <= found["max_error"] <= found["tolerance"]
    assert found["onnx_max_error"] <= found["tolerance"]
    assert found["layout_operators"] == 0
    assert found["min_sensitivity"] > 0.05
