import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from delivery.bundle import make, verify
from delivery.export import Plan
from delivery.gates import GateName
from exporters.quantize import Quantization
from training.digits import Digits
from training.task import Preprocessing
from workspace.errors import InputError

PLAN = Plan(
    quantizations=(Quantization.NONE, Quantization.INT8), calibration_samples=32,
    sources=("own_timer:SOURCE",), preset="quick",
)  # fmt: skip


@pytest.fixture
def bundle(network, tmp_path, own_timer):
    assert f"{own_timer.__name__}:SOURCE" in PLAN.sources
    make(network, PLAN, tmp_path / "bundle")
    return tmp_path / "bundle"


def files_of(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_it_has_all_that_an_app_needs(bundle):
    assert files_of(bundle) == [
        "README.md", "SHA256SUMS", "architecture.json", "examples.npz", "labels.txt",
        "latencies.json", "manifest.json", "models/network-fp32.tflite",
        "models/network-int8.tflite", "network.py", "preprocessing.json", "requirements.txt",
        "snippets/Classifier.kt", "snippets/classify.py", "snippets/pictures.py",
        "snippets/runtimes.py", "verify.py", "weights.safetensors",
    ]  # fmt: skip
    assert (bundle / "labels.txt").read_text().split() == list("0123456789")
    (fp32, int8) = json.loads((bundle / "latencies.json").read_text())["latencies"]
    assert (fp32["median_ms"], int8["median_ms"]) == (2.0, 1.0)
    assert fp32["ci_low_ms"] < fp32["median_ms"] < fp32["ci_high_ms"]
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert {each["gate"] for each in manifest["gates"]} >= {"parity", "accuracy", "int8-speed"}
    card = (bundle / "README.md").read_text()
    for said in ("test split of digits", "drawn for a test", "int8-speed: passed"):
        assert said in card
    assert "ai-edge-litert" in (bundle / "requirements.txt").read_text()


def test_it_verifies_and_a_moved_one_too(bundle, tmp_path):
    passed, lines = verify(bundle)
    assert passed, lines
    assert any("network.py" in line for line in lines)
    moved = tmp_path / "elsewhere"
    shutil.copytree(bundle, moved)
    assert verify(moved)[0]


@pytest.mark.parametrize(
    "name",
    ["models/network-int8.tflite", "weights.safetensors", "network.py", "labels.txt",
     "manifest.json", "SHA256SUMS", "examples.npz", "README.md"],
)  # fmt: skip
def test_one_changed_byte_is_found_and_nothing_of_it_is_run(bundle, name):
    path = bundle / name
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)
    passed, lines = verify(bundle)
    assert not passed
    failed = [line for line in lines if line.startswith("FAILED")]
    assert failed
    # A changed digit of one list of hashes is told by the other, whichever line it hits.
    assert name in failed[0] or name in ("manifest.json", "SHA256SUMS")
    assert not any("outputs" in line for line in lines)


def test_a_file_too_many_and_one_too_few_are_found(bundle):
    (bundle / "models" / "extra.tflite").write_bytes(b"")
    assert "extra.tflite" in verify(bundle)[1][0]
    (bundle / "models" / "extra.tflite").unlink()
    (bundle / "labels.txt").unlink()
    assert "labels.txt: is missing" in verify(bundle)[1][0]


def test_the_python_snippet_runs_a_model(bundle, tmp_path):
    """In a process that finds nothing of ours."""
    picture = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    np.save(tmp_path / "picture.npy", picture)
    done = subprocess.run(
        [sys.executable, "-E", "-s", str(bundle / "snippets/classify.py"), "picture.npy"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    assert len({label for _, label in found} & set("0123456789")) == 3
    probabilities = [float(probability) for probability, _ in found]
    assert 1 >= sum(probabilities) > 0
    assert probabilities == sorted(probabilities, reverse=True)


def test_kotlin_names_the_file_and_the_numbers_of_the_preprocessing(bundle):
    text = (bundle / "snippets/Classifier.kt").read_text()
    assert "network-fp32.tflite" in text
    assert "16" in text


class Middle(Digits):
    @property
    def preprocessing(self):
        return Preprocessing(channels=1, mean=(0.5,), std=(0.5,), crop=0.875)


def test_snippets_take_the_middle_of_a_picture_where_the_training_did(network, tmp_path):
    make(replace(network, task=Middle()), Plan(), tmp_path / "bundle")
    text = (tmp_path / "bundle/snippets/Classifier.kt").read_text()
    assert "createScaledBitmap(middle(picture), SIZE" in text
    assert "private fun middle(picture: Bitmap): Bitmap {" in text
    assert "const val CROP = 0.875f" in text
    assert "@" not in text.replace("@file", "")
    said = json.loads((tmp_path / "bundle/preprocessing.json").read_text())
    assert said["crop"] == 0.875


def test_its_own_program_needs_neither_us_nor_the_folder_it_was_made_in(bundle, tmp_path):
    moved = tmp_path / "moved"
    bundle.rename(moved)
    done = subprocess.run(
        [sys.executable, "-I", str(moved / "verify.py")],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    (moved / "labels.txt").write_text("other")
    done = subprocess.run(
        [sys.executable, "-I", str(moved / "verify.py")],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 1


@pytest.mark.slow
def test_it_verifies_in_a_fresh_environment_of_what_its_readme_names(bundle, tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    installed = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r",
         str(bundle / "requirements.txt")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if installed.returncode != 0 and "CI" not in os.environ:
        pytest.skip(f"pip cannot install what the bundle names: {installed.stderr[-200:]}")
    assert installed.returncode == 0, installed.stderr
    done = subprocess.run(
        [str(python), "-I", str(bundle / "verify.py"), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["passed"], report
    checked = {each["file"] for each in report["checks"]}
    assert checked >= {"models/network-fp32.tflite", "models/network-int8.tflite"}
    assert [each["file"] for each in report["not_run"]] == ["network.py"]  # torch is not there


def test_a_folder_that_holds_something_is_left_alone(network, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="there already"):
        make(network, Plan(), tmp_path)
    assert files_of(tmp_path) == ["mine.txt"]


def test_a_folder_that_cannot_be_made_is_told(network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be"):
        make(network, Plan(), tmp_path / "file" / "bundle")


def test_a_warning_stays_one_in_the_bundle_for_good(network, tmp_path, own_timer):
    own_timer.MILLISECONDS["int8"] = 3.0
    plan = Plan(
        quantizations=PLAN.quantizations, calibration_samples=32, preset="quick",
        sources=PLAN.sources, only_warn=frozenset({GateName.INT8_SPEED}),
    )  # fmt: skip
    make(network, plan, tmp_path / "bundle")
    assert "WARNING, did not pass" in Path(tmp_path / "bundle" / "README.md").read_text()
    assert verify(tmp_path / "bundle")[0]


def test_two_exporters_whose_files_would_have_one_name_are_refused(network, tmp_path):
    with pytest.raises(InputError, match=r"'a:Mine' and 'b:Mine' would have one name"):
        make(network, Plan(formats=("a:Mine", "b:Mine")), tmp_path / "bundle")
    assert files_of(tmp_path) == []


def test_a_bundle_of_int8_ends_verifies_and_its_snippets_round_and_restore(network, tmp_path):
    folder = tmp_path / "bundle"
    plan = Plan(
        quantizations=(Quantization.INT8,), calibration_samples=32, float_io=False,
        only_warn=frozenset(GateName),
    )  # fmt: skip
    make(network, plan, folder)
    (model,) = json.loads((folder / "manifest.json").read_text())["models"]
    (given,), (made,) = model["inputs"], model["outputs"]
    assert given["dtype"] == made["dtype"] == "int8"
    kotlin = (folder / "snippets/Classifier.kt").read_text()
    assert f"INPUT_SCALE = {given['scale']:.9g}f" in kotlin
    assert f"OUTPUT_ZERO = {made['zero_point']}" in kotlin
    assert "writeInt8(rounded(prepare(picture)))" in kotlin
    assert "@" not in kotlin.replace("@file", "")
    assert "scale * (number - zero_point)" in (folder / "README.md").read_text()
    np.save(tmp_path / "picture.npy", np.full((8, 8), 99, np.uint8))
    done = subprocess.run(
        [sys.executable, "-E", "-s", str(folder / "snippets/classify.py"), "picture.npy"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_a_readme_names_no_snippet_that_was_not_written(network, tmp_path):
    """Without data nobody knows how pictures are prepared."""
    make(replace(network, task=None), Plan(), tmp_path / "bundle")
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert not (tmp_path / "bundle/snippets/Classifier.kt").exists()
    assert "Classifier.kt" not in card
    assert "snippets/classify.py" in card


@pytest.mark.slow
def test_a_bundle_of_onnx_alone_has_a_snippet_that_runs(network, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    make(network, Plan(formats=("onnx",)), tmp_path / "bundle")
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "`numpy` and `onnxruntime`" in card
    assert "Classifier.kt" not in card
    np.save(tmp_path / "picture.npy", np.full((8, 8), 99, np.uint8))
    done = subprocess.run(
        [sys.executable, "-E", "-s", str(tmp_path / "bundle/snippets/classify.py"), "picture.npy"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
