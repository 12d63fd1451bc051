import json
from dataclasses import replace

import pytest

from pocketnas.assembly import head_of
from pocketnas.config import SearchConfig
from pocketnas.heads import require_head
from search_space.architecture import Classifier, Detector
from search_space.catalog import resolve
from search_space.spinenet_networks import create
from workspace.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("pycocotools")


@pytest.fixture
def detector():
    """The smallest mobile SpineNet, smaller yet."""
    return replace(
        create("spinenet-mobile-49xs"),
        size=128,
        filter_scale=0.25,
        endpoint_filters=8,
        head_convs=1,
        head_filters=8,
    )


def test_a_chain_is_no_detector():
    chain = resolve("mnasnet-small")
    require_head(chain, Classifier(classes=3), "digits")
    with pytest.raises(InputError, match=r"'scenes' needs networks that end in Detector.*a chain"):
        require_head(chain, Detector(classes=3), "scenes")


def test_levels_of_other_sizes_are_refused(detector):
    require_head(detector, Detector(classes=3), "scenes")
    finer = replace(detector, stem=replace(detector.stem, reduction=2))
    with pytest.raises(
        InputError, match=r"levels for 128 pixels have \[\(16, 16\), .* got \[\(32"
    ):
        require_head(finer, Detector(classes=3), "scenes")


@pytest.mark.parametrize(
    ("dataset", "head"),
    [
        ("generated-fashion-scenes", "Detector(classes=10)"),
        ("generated-moving-fashion", "VideoClassifier(classes=12)"),
    ],
)
@pytest.mark.parametrize("command", [("train", "mnasnet-small"), ("search", "--target-ms=5")])
def test_commands_say_at_once_that_a_network_has_not_such_a_head(
    pocketnas, command, dataset, head, tmp_path
):
    done = pocketnas(*command, f"--dataset={dataset}", "--run=run")
    assert done.code == 2
    assert f"'{dataset}' needs networks that end in {head}" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_a_recipe_cannot_do_to_boxes_is_refused_before_anything_is_made(
    pocketnas, detector, boxes, tmp_path
):
    (tmp_path / "net.json").write_text(json.dumps(detector.to_json()))
    train = ("train", "net.json", "--run=run")
    done = pocketnas(*train, f"--dataset={boxes}", "--recipe=efficientnet")
    assert done.code == 2
    assert "label smoothing is for one label an image" in done.err
    done = pocketnas(*train, "--dataset=digits", "--recipe=spinenet-b")
    assert done.code == 2
    assert "scale jitter is for images with boxes, and the data set 'digits'" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("made_up_device")
def test_a_detector_is_trained_and_its_folder_says_its_ap(pocketnas, detector, boxes, tmp_path):
    (tmp_path / "net.json").write_text(json.dumps(detector.to_json()))
    train = ("train", "net.json", f"--dataset={boxes}", "--samples=32", "--batch=8", "--threads=1")
    done = pocketnas(*train, "--run=run")
    assert done.code == 0, done.err
    assert "test       AP " in done.out
    assert ", AP50 " in done.out
    assert ", of 2 images" in done.out
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert set(result["evaluations"]) == {"validation", "test"}
    assert {"accuracy", "ap50", "ap75"} <= set(result["evaluations"]["test"])
    assert "validation AP " in done.err
    bundle = pocketnas("export", "run", "--bundle", "--on=made_up:DEVICE", "-o", "bundle")
    assert bundle.code == 0, bundle.err
    assert (tmp_path / "bundle/labels.txt").read_text() == "square\n"
    found = json.loads((tmp_path / "bundle/preprocessing.json").read_text())
    assert (found["size"], found["colours"], found["padding"]) == (128, 3, 128)
    checked = pocketnas("verify", "bundle")
    assert checked.code == 0, checked.out
    assert "snippets/detect.py: " in checked.out


def test_a_search_of_detectors_takes_its_datasets_number_of_classes_alone(boxes):
    config = SearchConfig(dataset=boxes, space="spinenet_mbconv", target_ms=5.0, classes=1)
    assert head_of(config) == Detector(classes=1)
    other = config.model_copy(update={"classes": 3})
    with pytest.raises(InputError, match=r"of 1 classes.*leave out --classes, got 3"):
        head_of(other)
    own = other.model_copy(update={"train_command": "mine {job}"})
    assert head_of(own) == Detector(classes=3)


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_detectors_are_searched_and_the_best_can_be_exported_and_checked(
    pocketnas, boxes, tmp_path
):
    small = ("filter_scale=0.25", "endpoint_filters=8", "head_filters=8", "head_convs=1")
    done = pocketnas(
        "search",
        "--space=spinenet_mbconv",
        *(f"--space-option={option}" for option in small),
        f"--dataset={boxes}",
        "--size=128",
        "--samples=16",
        "--latency=made_up:DEVICE",
        "--target-ms=50",
        "--trials=2",
        "--algorithm=random",
        "--run=run",
        "--json",
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert 0 <= found["best"]["accuracy"] <= 1
    exported = pocketnas("export", "run:best", "--warn=delegation", "-o", "out")
    assert exported.code == 0, exported.err
    assert "box_codes_p7 [1, 1, 1, 36] float32" in exported.out
    assert "ok       accuracy " in exported.out
    assert list((tmp_path / "out").glob("*.tflite"))
