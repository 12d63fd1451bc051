"""What bundles carry does what the training did, and needs nothing of ours."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from delivery.carried import pictures as snippet
from delivery.carried import verify
from delivery.preprocessing import preparation_of
from training.classification import LabelledImages
from training.image_folder import CROP
from training.pictures import central_square

CARRIED = Path(verify.__file__).parent
BESIDE = {"pictures", "runtimes"}
ALLOWED = {"numpy", "ai_edge_litert", "onnxruntime", "tensorflow", "torch", "PIL"}


@pytest.mark.parametrize("size", [16, 8, 5, 28])
def test_pictures_are_prepared_as_in_training(network, size):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 16, 16), dtype=np.uint8)
    trained = LabelledImages(pictures, np.zeros(4, np.int64), size)
    (wanted,), _ = trained.batch(torch.arange(4), None)
    settings = {**preparation_of(network).to_json(), "size": size}
    for picture, image in zip(pictures, wanted, strict=True):
        made = snippet.prepare(picture, settings)
        assert made.dtype == np.float32
        np.testing.assert_allclose(made[0, :, :, 0], image[0].numpy(), atol=1e-5)


def test_colours_are_prepared_as_in_training():
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (1, 20, 12, 3), dtype=np.uint8)
    trained = LabelledImages(pictures, np.zeros(1, np.int64), 9)
    (wanted,), _ = trained.batch(torch.arange(1), None)
    settings = {
        "is_known": True, "size": 9, "channels": 3, "colours": 3, "scale": 1 / 255,
        "mean": [0.5] * 3, "std": [0.5] * 3,
    }  # fmt: skip
    made = snippet.prepare(pictures[0], settings)
    np.testing.assert_allclose(np.moveaxis(made[0], -1, 0), wanted[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (7, 9)])
def test_the_middle_of_a_picture_is_prepared_as_in_evaluation(height, width, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pillow.fromarray(picture).save(tmp_path / "picture.png")
    made = central_square(tmp_path / "picture.png", 12, CROP)
    settings = {
        "is_known": True, "size": 12, "channels": 3, "colours": 3, "scale": 1 / 255,
        "mean": [0.0] * 3, "std": [1.0] * 3, "crop": CROP,
    }  # fmt: skip
    prepared = snippet.prepare(picture, settings)[0]
    np.testing.assert_allclose(prepared, made / 255, atol=1.01 / 255)  # Pillow rounds twice


@pytest.mark.parametrize("kind", ["npy", "pgm", "ppm", "png"])
def test_pictures_are_read(kind, tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    shape = (3, 5, 3) if kind == "ppm" else (3, 5)
    picture = rng.integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"picture.{kind}"
    if kind == "npy":
        np.save(path, picture)
    elif kind == "png":
        image = pytest.importorskip("PIL.Image")
        image.fromarray(picture).save(path)
        (tmp_path / "preprocessing.json").write_text('{"colours": 1}')
        monkeypatch.setattr(snippet, "BUNDLE", tmp_path)
    else:
        magic = "P6" if kind == "ppm" else "P5"
        path.write_bytes(f"{magic}\n# a comment\n5 3\n255\n".encode() + picture.tobytes())
    np.testing.assert_array_equal(snippet.read_picture(path), picture)


def test_a_picture_of_other_colours_is_refused(network):
    settings = preparation_of(network).to_json()
    with pytest.raises(SystemExit, match="grey picture is needed"):
        snippet.prepare(np.zeros((4, 4, 3), np.uint8), settings)


@pytest.mark.parametrize("path", sorted(CARRIED.glob("[!_]*.py")), ids=lambda path: path.name)
def test_they_import_nothing_that_a_bundles_readme_does_not_name(path):
    """But each other, which a bundle has side by side."""
    tree = ast.parse(path.read_text().replace("from delivery.carried.", "from "))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    assert found <= ALLOWED | BESIDE | sys.stdlib_module_names


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "models/../../a", "a\\b", ""])
def test_names_that_lead_out_of_a_bundle_are_none(name):
    assert not verify._is_inside(name)


@pytest.fixture
def small_bundle(tmp_path):
    """A network that doubles, and a model that is no model; enough for verify.py."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    one = np.ones((2, 3), np.float32)
    arrays = {"input:image": one, "output:output": 2 * one}
    np.savez(bundle / "examples.npz", **arrays)  # type: ignore[arg-type] # named arrays
    (bundle / "network.py").write_text(
        "import sys, torch\nprint('I say something')\nassert 'tensorflow' not in sys.modules\n"
        "def load():\n    return lambda image: 2 * image\n"
    )
    (bundle / "bad.tflite").write_bytes(b"no model")
    listed(bundle)
    return bundle


def listed(bundle):
    """With its hashes."""
    names = ("examples.npz", "network.py", "bad.tflite")
    sums = {name: verify._digest(bundle / name) for name in names}
    model = {"file": "bad.tflite", "format": "tflite", "tolerance": 1, "inputs": [], "outputs": []}
    manifest = {
        "files": {name: {"sha256": digest} for name, digest in sums.items()},
        "examples": {"file": "examples.npz"}, "models": [model],
    }  # fmt: skip
    (bundle / verify.MANIFEST).write_text(json.dumps(manifest))
    sums[verify.MANIFEST] = verify._digest(bundle / verify.MANIFEST)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    (bundle / verify.SUMS).write_text(lines)


def test_a_model_that_does_not_run_fails_alone_and_the_network_is_run_apart(small_bundle):
    report = verify.check(small_bundle)
    found = {each["file"]: each for each in report["checks"]}
    assert not found["bad.tflite"]["passed"]
    assert "cannot be run: ValueError" in found["bad.tflite"]["text"]
    assert found["network.py"]["passed"], found
    assert not (small_bundle / "__pycache__").exists()


@pytest.mark.parametrize(
    ("code", "said"), [("1 / 0\n", "ZeroDivisionError"), ("import os\nos._exit(7)\n", "with 7")]
)
def test_a_network_that_does_not_run_fails_with_what_it_said(small_bundle, code, said):
    (small_bundle / "network.py").write_text(code)
    listed(small_bundle)
    found = {each["file"]: each for each in verify.check(small_bundle)["checks"]}
    assert not found["network.py"]["passed"]
    assert said in found["network.py"]["text"]


def test_examples_that_cannot_be_read_fail(small_bundle):
    (small_bundle / "examples.npz").write_bytes(b"no archive")
    listed(small_bundle)
    found = {each["file"]: each for each in verify.check(small_bundle)["checks"]}
    assert not found["examples.npz"]["passed"]


def test_a_link_that_leads_nowhere_is_one_line(small_bundle):
    (small_bundle / "bad.tflite").unlink()
    (small_bundle / "bad.tflite").symlink_to("nowhere")
    assert verify.changes(small_bundle) == {
        "bad.tflite": "cannot be read: No such file or directory"
    }
