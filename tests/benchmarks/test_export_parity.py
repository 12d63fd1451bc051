import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")

import torch
from torch import nn


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
    monkeypatch.setattr(script, "DETECTOR_SIZES", (192,))
    monkeypatch.setattr(script, "REPEATED", 1)
    log = script.Log(tmp_path / "log.jsonl")
    found = script.compared_detectors(len(script.DETECTORS), tmp_path, onnx=1, log=log)
    assert found["networks"] == found["delegated"] == 1 + len(script.DETECTORS)
    assert 0 < found["mobile_error"] <= found["tolerance"]
    assert found["mobile_error"] <= found["max_error"]
    assert found["within"] == found["networks"]
    assert found["beyond"] == []
    assert 0 < found["max_exact_error"] < 3 * found["max_rounding"]
    assert found["onnx_max_error"] <= found["tolerance"]
    assert found["layout_operators"] == 0
    assert found["min_sensitivity"] > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "options"),
    [
        ("spinenet_mbconv", {"filter_scale": "0.25", "size": "128"}),
        ("spinenet_v2", {"filter_scale": "0.125", "endpoint_filters": "32", "size": "128"}),
    ],
)
def test_random_weights_hide_no_fault_of_any_batch_norm_of_a_detector(
    script, monkeypatch, space, options
):
    monkeypatch.setattr(script, "COCO", script.Detector(classes=2))
    made = script.create_space(space, options)
    network, inputs = script.drawn_detector(
        made.decode(made.points.sample(script.random.Random(0))), 0
    )
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    assert len(norms) > 100 > len(list(script.branch_ends(network))) > 10
    image = inputs[0].value
    with torch.inference_mode():
        right = network(image)
        for norm in norms:
            mean = norm.running_mean.clone()
            norm.running_mean.zero_()
            changes = [
                (one - other).abs().max() / other.abs().max()
                for one, other in zip(network(image), right, strict=True)
            ]
            assert max(changes) > 100 * script.TOLERANCE
            norm.running_mean.copy_(mean)


def test_what_was_found_of_a_detector_is_known_again_and_those_beyond_are_told(
    script, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "COCO", script.Detector(classes=2))
    monkeypatch.setattr(script, "REPEATED", 1)
    small = script.create_space("spinenet_mbconv", {"filter_scale": "0.25", "size": "128"})
    network = small.decode(small.points.sample(script.random.Random(0)))
    monkeypatch.setattr(script, "detectors", lambda _: iter([("small 128", network)]))
    log = script.Log(tmp_path / "log.jsonl")
    first = script.compared_detectors(1, tmp_path, onnx=0, log=log)
    assert (len(log), first["networks"], first["onnx_networks"]) == (1, 1, 0)
    assert first["max_error"] > 0 < first["max_rounding"]
    monkeypatch.setattr(script, "figures_of", None)
    log = script.Log(tmp_path / "log.jsonl")
    assert script.compared_detectors(1, tmp_path, onnx=0, log=log) == first
    monkeypatch.setattr(script, "TOLERANCE", first["max_error"] / 2)
    found = script.compared_detectors(1, tmp_path, onnx=0, log=log)
    assert found["within"] == 0
    (beyond,) = found["beyond"]
    assert beyond["network"] == "small 128"
    assert beyond["rounding"] == first["max_rounding"]
