import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from delivery import bundle as bundles
from delivery import examination, kotlin
from delivery.bundle import make, verify
from delivery.carried import detect, pictures
from delivery.carried.verify import unlike
from delivery.detection import decoding, picture_of
from delivery.export import Plan
from delivery.file_gates import runtime_of
from delivery.gates import GateName
from delivery.int8_ends import int8_ends
from delivery.network import compared, outputs_of
from delivery.preprocessing import preparation_of
from exporters.exporter import create
from exporters.quantize import Quantization, quantize
from exporters.verify import channels_last
from search_space.architecture import Detector
from training.framing import framed, moved, whole
from training.task import Split
from workspace.errors import InputError, OperationError


@pytest.fixture
def bundle(detector, tmp_path):
    plan = Plan(formats=("tflite", "onnx"), preset="quick")
    make(detector(sure=-3.0), plan, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("sure", [0.0, -3.0, -6.0, -60.0])
def test_the_snippet_finds_what_the_tasks_own_decoding_finds(detector, sure):
    """From equal outputs: everywhere, in places, hardly, and not at all."""
    network = detector(sure=sure)
    settings = decoding(network)
    inputs = compared(network).inputs
    outputs = outputs_of(network, inputs)
    wanted = network.task.predictions(tuple(outputs.values()), 128).numpy()
    assert (wanted[..., 5] >= 0).any() is np.bool_(sure > -60)
    for index, boxes in enumerate(wanted):
        one = {
            name: channels_last(value[index : index + 1].numpy())
            for name, value in outputs.items()
        }
        found = detect.decoded(one, settings)
        assert len(found) == (boxes[:, 5] >= 0).sum()
        np.testing.assert_allclose(found, boxes[: len(found)], atol=2e-3)


@pytest.mark.parametrize("shape", [(96, 96), (60, 128), (200, 150), (33, 20)])
def test_pictures_are_framed_as_in_evaluation_and_boxes_come_back_in_their_pixels(
    detector, shape, monkeypatch
):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (8, 8), dtype=np.uint8)
    picture = np.kron(small, np.ones((25, 25), np.uint8))[: shape[0], : shape[1]]
    settings = preparation_of(detector()).to_json()
    wanted = framed(picture, whole(shape, 128), 128) / 127.5 - 1
    made = pictures.prepare(picture, settings)[0, :, :, 0]
    np.testing.assert_allclose(made, wanted, atol=2.01 / 127.5)  # Pillow rounds twice
    box = np.array([[3, 0.25, 0.5, 0.75, 1.0]], np.float32)
    ((_, *in_input),) = moved(box, whole(shape, 128), 128, least=0.0)
    monkeypatch.setattr(detect, "settings_of", lambda _: settings)
    monkeypatch.setattr(detect, "run", lambda *_: {})
    monkeypatch.setattr(detect, "decoded", lambda *_: np.array([[*in_input, 0.9, 3]], np.float32))
    ((*found, score, label),) = detect.detect(Path("model"), picture)
    height, width = shape
    assert found == pytest.approx([0.25 * width, 0.5 * height, 0.75 * width, height], rel=1e-5)
    assert (score, label) == (pytest.approx(0.9), 3)


def test_a_picture_is_the_bytes_that_an_input_was_made_of(digit_scenes):
    (images,), _ = digit_scenes.examples(Split.TEST, 96).batch(torch.arange(2), None)
    again = picture_of(images[1])
    assert again.dtype == np.uint8
    assert again.shape == (96, 96)
    np.testing.assert_allclose(again / 127.5 - 1, images[1, 0].numpy(), atol=1e-6)


def test_a_bundle_of_a_detector_has_what_an_app_needs_and_verifies(bundle):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert names >= {
        "detection.json", "labels.txt", "preprocessing.json", "models/network-fp32.tflite",
        "models/network-fp32.onnx", "snippets/Detector.kt", "snippets/detect.py",
        "snippets/pictures.py", "snippets/runtimes.py", "verify.py", "network.py",
    }  # fmt: skip
    assert not {"snippets/classify.py", "snippets/Classifier.kt"} & names
    settings = json.loads((bundle / "detection.json").read_text())
    assert [len(level["anchors"]) for level in settings["levels"]] == [9] * 5
    assert settings["levels"][0]["scores"] == "class_logits_p3"
    assert json.loads((bundle / "manifest.json").read_text())["anchor"] == 1.5
    card = (bundle / "README.md").read_text()
    for said in ("| test AP |", "snippets/detect.py PICTURE", "`box_codes_p7`", "detection.json"):
        assert said in card
    passed, lines = verify(bundle)
    assert passed, lines
    (told,) = (line for line in lines if "snippets/detect.py" in line)
    assert "0 are found otherwise" in told
    assert not told.startswith("ok       snippets/detect.py: 0 boxes")


@pytest.mark.parametrize(("told", "anchor"), [({"anchor": 4.0}, 4.0), ({}, 1.5)])
def test_accuracy_is_found_again_with_the_anchors_of_the_bundle(
    detector, digit_scenes, tmp_path, monkeypatch, told, anchor
):
    """A bundle of an older version tells none: they were the data set's."""
    document = detector().architecture.to_json()
    (tmp_path / "architecture.json").write_text(json.dumps(document))
    monkeypatch.setattr("training.task.create", lambda _: digit_scenes)
    monkeypatch.setattr(examination, "check_accuracy", lambda _, task, *__: task)
    manifest = {"dataset": "digit-scenes", "torch_accuracy": 0.5, **told}
    models: list[Any] = ["a file"]
    (task,) = examination._accuracies(tmp_path, manifest, models, "digit-scenes")
    assert task.anchor == anchor


def test_the_snippet_prints_things_with_labels_and_places(bundle, tmp_path):
    """In a process that finds nothing of ours."""
    with np.load(bundle / "examples.npz") as kept:
        np.save(tmp_path / "picture.npy", kept["picture"])
        wanted = kept["detections"][kept["pictured"]]
    for model in ("network-fp32.tflite", "network-fp32.onnx"):
        done = subprocess.run(
            [sys.executable, "-E", "-s", str(bundle / "snippets/detect.py"), "picture.npy",
             str(bundle / "models" / model)],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        assert len(lines) == (wanted[:, 5] >= 0).sum() > 0
        assert [float(line[0]) for line in lines] == pytest.approx(
            wanted[: len(lines), 4].tolist(), abs=1e-3
        )
        assert lines[0][1] == str(int(wanted[0, 5]))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("detection.json", '"stride": 8', '"stride": 9'),
        ("snippets/detect.py", "halves = np.exp(", "halves = 1.1 * np.exp("),
        ("snippets/pictures.py", 'settings["scale"]', '0.9 * settings["scale"]'),
    ],
)
def test_a_snippet_that_finds_something_else_keeps_a_bundle_from_being_delivered(
    detector, tmp_path, monkeypatch, name, old, new
):
    write = bundles._put

    def spoiled(path, text):
        is_it = path.as_posix().endswith(name)
        assert not is_it or old in text
        write(path, text.replace(old, new) if is_it else text)

    monkeypatch.setattr(bundles, "_put", spoiled)
    with pytest.raises(OperationError, match=r"snippets/detect.py: .* are found otherwise"):
        make(detector(sure=-3.0), Plan(), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_kotlin_reads_int8_outputs_by_their_own_scales(detector, tmp_path):
    network = detector()
    made = create("tflite").export(network.module, network.example_inputs, tmp_path)
    rng = np.random.default_rng(0)
    feeds = [{"image": rng.normal(size=(1, 128, 128, 1)).astype(np.float32)} for _ in range(16)]
    artifact = quantize(made, Quantization.INT8, tmp_path, calibration=feeds, float_io=False)
    preparation = preparation_of(network)
    assert preparation is not None
    text = kotlin.detector(preparation, artifact)
    assert "@" not in text.replace("@Suppress", "")
    assert 'listOf("class_logits_p3", "class_logits_p4"' in text
    assert "restored(outputs[it].readInt8(), it)" in text
    scales = [int8_ends(artifact)[spec.name].scale for spec in artifact.outputs]
    assert f"SCALES = floatArrayOf({', '.join(f'{scale:.9g}f' for scale in scales)})" in text


@pytest.mark.slow
def test_an_int8_detector_is_delivered_and_its_bundle_finds_what_its_own_outputs_say(
    detector, tmp_path
):
    pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")
    network, folder = detector(sure=-3.0), tmp_path / "bundle"
    plan = Plan(
        quantizations=(Quantization.NONE, Quantization.INT8),
        calibration_samples=16,
        only_warn=frozenset({GateName.ACCURACY}),
        float_io=False,
    )
    delivery = make(network, plan, folder)
    gate = delivery.of(GateName.PARITY, "network-int8.tflite")
    assert gate is not None
    assert gate.passed
    assert "standard deviation" in gate.text
    assert delivery.accuracy_of("network-int8.tflite") is not None
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [each.get("measure") for each in manifest["models"]] == [None, "deviation"]
    passed, lines = verify(folder)
    assert passed, lines
    assert any("of their deviation" in line for line in lines)
    with np.load(folder / "examples.npz") as kept:
        np.save(tmp_path / "picture.npy", kept["picture"])
    settings = json.loads((folder / "detection.json").read_text())
    image = pictures.prepare(np.load(tmp_path / "picture.npy"), settings_of(folder))
    (_, int8) = delivery.files
    outputs = runtime_of(int8.artifact)({"image": image})
    wanted = detect.decoded(outputs, settings)
    done = subprocess.run(
        [sys.executable, "-E", "-s", str(folder / "snippets/detect.py"), "picture.npy",
         str(folder / "models/network-int8.tflite")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [float(line.split()[0]) for line in done.stdout.splitlines()]
    assert found == pytest.approx(wanted[: len(found), 4].tolist(), abs=1e-3)
    assert len(found) > 0


def settings_of(folder):
    return json.loads((folder / "preprocessing.json").read_text())


def test_a_detector_without_a_dataset_has_no_bundle(detector, tmp_path):
    with pytest.raises(InputError, match=r"anchors that its dataset decides.*give --dataset"):
        make(replace(detector(), task=None), Plan(), tmp_path / "bundle")


def test_a_task_that_keeps_its_boxes_to_itself_has_none_either(detector, tmp_path):
    class Own:
        name, head, labels = "own", Detector(classes=10), tuple("0123456789")

    with pytest.raises(InputError, match="keeps that to itself"):
        make(replace(detector(), task=Own()), Plan(), tmp_path / "bundle")


def test_boxes_that_one_side_lacks_are_counted_once_each_way():
    settings = {"size": 100, "count": 3, "least_score": 0.05}
    boxes = np.array([[0, 0, 50, 50, 0.9, 1], [10, 10, 30, 30, 0.5, 2]], np.float32)
    padded = np.vstack([boxes, [0, 0, 0, 0, 0, -1]])
    assert unlike(boxes, padded, settings) == 0
    assert unlike(boxes[:1], padded, settings) == 1
    assert unlike(boxes + np.array([0, 0, 2, 0, 0, 0]), padded, settings) == 4
    barely = np.vstack([boxes, [60, 60, 70, 70, 0.052, 3]])
    assert unlike(barely, padded, settings) == 0
