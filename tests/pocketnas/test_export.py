import json
import random
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from delivery.export import Delivered
from delivery.tensors import safetensors
from devices.device import ClockTier, Delegate
from devices.pool import Found as FoundDevice
from exporters.artifact import Artifact, ModelFormat, Precision
from pocketnas import exported
from pocketnas.cli.export import _at_hand
from pocketnas.config import SearchConfig
from pocketnas.networks import resolve
from search_space.architecture import Classifier
from search_space.space import create as create_space
from workspace.errors import InputError, OperationError
from workspace.files import sha256_of, sha256_of_folder

torch = pytest.importorskip("torch")

SMALL = ("mnasnet-small", "--size", "32")


def refused(done, *words):
    assert done.code == 2, done
    assert done.out == ""
    (line,) = done.err.strip().splitlines()
    for word in words:
        assert word in line


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """A search of two networks on the digits whose latency source is a fake."""
    from pocketnas.cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("POCKETNAS_HOME", str(folder / "home"))
        with pytest.raises(SystemExit) as ended:
            main(
                ["search", "--dataset=digits", "--latency=host", "--target-ms=1", "--trials=2",
                 "--algorithm=random", "--run=run", "--seed=1", "--preset=quick",
                 "--final-preset=quick"]
            )  # fmt: skip
    assert ended.value.code == 0
    return folder / "run"


def test_each_file_is_named_with_its_gates(pocketnas, tmp_path):
    done = pocketnas(
        "export", *SMALL, "--classes", "10", "--quantize", "none,fp16", "-o", "out"
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "ok       parity" in done.out
    assert "not run  accuracy" in done.out
    assert "untrained" in done.out
    assert len(list((tmp_path / "out").glob("*.tflite"))) == 2


def test_as_json_every_gate_has_its_figure(pocketnas):
    done = pocketnas("export", *SMALL, "--dataset", "digits", "-o", "out", "--json")
    found = json.loads(done.out)
    gates = {each["gate"]: each for each in found["gates"]}
    assert set(gates) == {"parity", "layout", "delegation", "macs", "size", "accuracy"}
    assert 0 < gates["parity"]["figures"]["max_error"] < 1e-4
    assert gates["accuracy"]["figures"]["accuracy"] == gates["accuracy"]["figures"]["torch"]
    assert [each["gate"] for each in found["not_run"]] == ["latency"]


@pytest.mark.slow
def test_a_runs_best_network_becomes_a_bundle_that_verifies(pocketnas, trained_run, tmp_path):
    pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")
    done = pocketnas(
        "export", f"{trained_run}:best", "--quantize", "none,int8", "--bundle", "--on", "host",
        "--preset", "quick", "--warn", "latency", "--warn", "int8-speed", "--warn", "accuracy",
        "-o", "bundle",
    )  # fmt: skip
    assert done.code == 0, done.err
    card = (tmp_path / "bundle" / "README.md").read_text()
    for said in ("seed: 1", "trial: ", "run: run", "dataset digits", "host"):
        assert said in card
    (fp32, int8) = json.loads((tmp_path / "bundle" / "latencies.json").read_text())["latencies"]
    assert fp32["conditions"]["device_model"] == int8["conditions"]["device_model"]
    assert "warning" in done.out or "ok       latency" in done.out
    verified = pocketnas("verify", "bundle", "--dataset", "digits", "--json")
    assert verified.code == 0, verified.err
    assert json.loads(verified.out)["passed"] is True
    labels = tmp_path / "bundle" / "labels.txt"
    labels.write_bytes(labels.read_bytes().replace(b"0", b"O"))
    spoilt = pocketnas("verify", "bundle")
    assert spoilt.code == 1
    assert "labels.txt" in spoilt.err
    assert len(spoilt.err.strip().splitlines()) == 1


SQUARES = '''
"""Bright squares on noise, each anywhere, in 64 images of each split."""

import numpy as np

from training.detection import BoxedImages, ObjectDetection
from training.schedule import Schedule
from training.task import Proxy, Split


class Squares(ObjectDetection):
    name, labels, classes, anchor, most = "squares", ("square",), 1, 1.5, 10
    proxy = Proxy(size=128, schedule=Schedule(samples=64))

    def examples(self, split, size):
        rng = np.random.default_rng(list(Split).index(split))
        images = rng.integers(0, 120, (64, 64, 64), dtype=np.uint8)
        boxes = np.zeros((64, 1, 5), np.float32)
        for image, box in zip(images, boxes):
            side = int(rng.integers(12, 40))
            left, top = rng.integers(0, 64 - side, 2)
            image[top : top + side, left : left + side] = 220
            box[0, 1:] = np.array((left, top, left + side, top + side)) / 64
        return BoxedImages(lambda numbers: [images[each] for each in numbers], boxes, size)


SQUARES = Squares()
'''


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_a_detector_that_was_trained_becomes_a_bundle_with_an_int8_file_that_verifies(
    pocketnas, tmp_path
):
    for needed in ("ai_edge_quantizer", "pycocotools"):
        pytest.importorskip(needed)
    (tmp_path / "own_squares.py").write_text(SQUARES)
    options = {"filter_scale": "0.25", "endpoint_filters": "16", "head_filters": "16"}
    more = {"head_convs": "1", "size": "128", "channels": "1"}
    space = create_space("spinenet_mbconv", {**options, **more})
    network = space.decode(space.points.sample(random.Random(0)))
    (tmp_path / "detector.json").write_text(json.dumps(network.to_json()))
    data = "--dataset=own_squares:SQUARES"
    words = ("train", "detector.json", data, "--samples=640", "--batch=16", "--anchor=2")
    done = pocketnas(*words, "--threads=1", "--evaluate-epochs=0", "--run=trained")
    assert done.code == 0, done.err
    done = pocketnas(
        "export", "trained", data, "--quantize=none,int8", "--bundle",
        "--calibration-samples=64", "--on=made_up:DEVICE", "--warn=accuracy", "-o", "bundle",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "of their standard deviation" in done.out
    verified = pocketnas("verify", "bundle", data, "--json")
    assert verified.code == 0, verified.err
    checks = {each["file"]: each["passed"] for each in json.loads(verified.out)["checks"]}
    assert checks["models/network-int8.tflite"] is True
    assert checks["snippets/detect.py"] is True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "tflite,coreml"), ("'coreml'", "tflite", "onnx")),
        (("--quantize", "int4"), ("'int4'", "none, fp16, dynamic, int8")),
        (("--quantize", "int8"), ("--dataset",)),
        (("--quantize", "int8", "--dataset", "digits", "--calibration-samples", "2"), ("got 2",)),
        (("--warn", "colour"), ("'colour'", "parity")),
        (("--preset", "slow"), ("'slow'", "quick")),
        (("--dataset", "imagenet"), ("'imagenet'", "digits")),
        (("--on", "table:pixel1"), ("'table:pixel1'", "a device")),
        (("--on", "adb:any"), ("'adb:any'", "adb:SERIAL")),
        (("--int8-io",), ("--quantize int8",)),
        (
            ("--int8-io", "--quantize", "int8", "--format", "onnx", "--dataset", "digits"),
            ("ONNX", "--int8-io"),
        ),
    ],
)
def test_wrong_use_is_told_in_one_sentence_and_writes_nothing(pocketnas, tmp_path, words, told):
    refused(pocketnas("export", "mnasnet-small", *words, "-o", "out"), *told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["0", "-1"])
def test_a_size_of_no_pixels_is_refused(pocketnas, tmp_path, size):
    done = pocketnas("export", "mnasnet-small", "--size", size, "-o", "out")
    assert done.code == 2
    assert "size" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [(), ("--bundle",)])
def test_a_folder_that_cannot_be_written_is_told(pocketnas, tmp_path, more):
    (tmp_path / "file").write_text("")
    refused(pocketnas("export", *SMALL, "-o", "file/out", *more), "file")


def test_a_bundle_goes_into_no_folder_that_holds_something(pocketnas, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    refused(pocketnas("export", *SMALL, "--bundle", "-o", "out"), "'out'", "new folder")
    assert (tmp_path / "out" / "mine").read_text() == "mine"


def test_a_folder_that_is_no_bundle_is_refused(pocketnas, tmp_path):
    refused(pocketnas("verify", str(tmp_path)), "is no bundle")


def test_an_exporter_of_ones_own_is_named_like_ours(pocketnas, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            """
            from exporters.tflite import TFLiteExporter

            class Mine(TFLiteExporter):
                pass
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    done = pocketnas("export", *SMALL, "--format", "mine:Mine", "-o", "out", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["files"][0]["exporter"] == "mine:Mine"


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_network_is_timed_in_the_number_format_that_was_asked_for(pocketnas, precision):
    words = ("--classes", "10", "--preset", "quick", "--precision", precision, "--json")
    done = pocketnas("measure", *SMALL, *words)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["conditions"]["precision"] == precision


@pytest.mark.slow
def test_a_profile_names_the_blocks_and_their_times_sum_up(pocketnas):
    done = pocketnas("measure", *SMALL, "--classes", "10", "--profile", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert len(found["blocks"]) > 5
    total = sum(block["ms"] for block in found["blocks"])
    assert total == pytest.approx(found["whole_ms"], rel=0.25)
    assert all(block["operators"] for block in found["blocks"])


@pytest.fixture
def searched(tmp_path):
    """A network of a run that has kept its configuration alone."""

    def make(index=3, **settings):
        run = tmp_path / "run"
        (run / "best").mkdir(parents=True, exist_ok=True)
        lines = {"target_ms": 1.0, "dataset": "digits", **settings}
        (run / "config.toml").write_text(
            "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
        )
        found = resolve("mnasnet-small", size=32, classes=10)
        return replace(found, run=run, index=index)

    return make


def keep(found, name):
    """Weights of its own, under a name in the run's folder ``best``."""
    module = found.architecture.build(found.head)
    state = {key: value + 1 for key, value in module.state_dict().items()}
    (found.run / "best" / name).write_bytes(safetensors(state))
    return state


def is_trained(found):
    module, words = exported._with_weights(found)
    return module, words.startswith("trained")


def test_kept_weights_are_those_of_the_trial_in_their_name(searched):
    found = searched(index=3)
    state = keep(found, "weights-3.safetensors")
    module, trained = is_trained(found)
    assert trained
    key = next(iter(state))
    assert torch.equal(module.state_dict()[key], state[key])
    assert not is_trained(replace(found, index=4))[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target_ms": 5.0}, {"target_ms": 5.0}),
        ({"reward": "macs", "target_macs": 4e8}, {"reward": "macs", "target_macs": 4e8}),
        ({"reward": "training-aware"}, {"reward": "training-aware"}),
    ],
)
def test_what_a_search_aimed_at_goes_with_its_network(settings, said):
    config = SearchConfig.load(None, settings)
    assert exported._aim_of(config, "") == {**said, "latency_source": "host"}


def test_weights_of_older_runs_are_known_by_export_json_alone(searched):
    found = searched(index=3)
    keep(found, "weights.safetensors")
    assert not is_trained(found)[1]
    (found.run / "best" / "export.json").write_text('{"index": 3}')
    assert is_trained(found)[1]
    assert not is_trained(replace(found, index=4))[1]


def test_weights_do_not_fit_a_head_of_another_number_of_classes(searched):
    found = searched(index=3)
    keep(found, "weights-3.safetensors")
    with pytest.raises(InputError, match=r"classes=10.*classes=5.*leave out --classes"):
        exported._with_weights(replace(found, head=Classifier(classes=5)))


@pytest.mark.parametrize("content", ["broken", "of another network"])
def test_weights_that_cannot_be_loaded_are_told_in_one_sentence(searched, content):
    found = searched(index=3)
    path = found.run / "best" / "weights-3.safetensors"
    if content == "broken":
        path.write_bytes(b"no weights")
    else:
        keep(replace(found, architecture=resolve("mobilenet-v2").architecture), path.name)
    with pytest.raises(InputError, match="has no weights for trial 3") as raised:
        exported._with_weights(found)
    assert "\n" not in str(raised.value)


def delivered(path):
    """What a file or folder is, named after nothing in particular."""
    digest = sha256_of_folder(path) if path.is_dir() else sha256_of(path)
    artifact = Artifact(
        path=path, format=ModelFormat.TFLITE, sha256=digest, inputs=(), outputs=(), tool=""
    )
    return Delivered(artifact=artifact, exporter="tflite")


@pytest.fixture
def made(tmp_path):
    """A file and a folder that are to be put."""
    work = tmp_path / "work"
    (work / "b.savedmodel").mkdir(parents=True)
    (work / "a.tflite").write_text("a")
    (work / "b.savedmodel" / "part").write_text("b")
    (tmp_path / "out").mkdir()
    return delivered(work / "a.tflite"), delivered(work / "b.savedmodel")


def test_files_are_put_all_or_none(made, tmp_path):
    file, folder = made
    lost = folder.at(tmp_path / "work" / "lost.savedmodel")
    out = tmp_path / "out"
    (out / "a.tflite").write_text("another")
    with pytest.raises(OperationError, match=r"cannot be written to .*lost"):
        exported._put_all((file, folder, lost), out, tmp_path / "work" / "aside")
    assert [path.name for path in out.iterdir()] == ["a.tflite"]
    assert (out / "a.tflite").read_text() == "another"


def test_a_folder_of_that_name_and_another_content_is_not_trusted(made, tmp_path):
    out = tmp_path / "out"
    (out / "b.savedmodel").mkdir()
    (out / "b.savedmodel" / "part").write_text("spoilt")
    put = exported._put_all(made, out, tmp_path / "work" / "aside")
    assert [each.artifact.path for each in put] == [out / "a.tflite", out / "b.savedmodel"]
    assert (out / "b.savedmodel" / "part").read_text() == "b"
    assert sha256_of_folder(out / "b.savedmodel") == put[1].artifact.sha256


def test_the_device_of_the_run_is_the_chosen_one(searched, monkeypatch):
    there = (
        FoundDevice(id="host", kind="computer", description=""),
        FoundDevice(id="adb:A", kind="phone", description=""),
        FoundDevice(id="adb:B", kind="phone", description="", problem="it is off"),
    )
    monkeypatch.setattr("devices.pool.discover", lambda: there)
    assert _at_hand(searched(latency="adb:A")) == ("adb:A", "host")
    assert _at_hand(searched(latency="adb:GONE")) == ("adb:GONE", "host", "adb:A")
    for other in ("host", "adb:any", "table:pixel1"):
        assert _at_hand(searched(latency=other)) == ("host", "adb:A")
    alone = resolve("mnasnet-small")
    assert _at_hand(alone) == ("host", "adb:A")


def test_this_computer_is_timed_on_its_cpu_where_a_run_used_a_phones_gpu(searched):
    run = searched(latency="adb:A", delegate="gpu", clock_tier="T2", threads=4)
    settings = exported.host_settings_of(run)
    assert (settings.threads, settings.delegate) == (4, Delegate.CPU)
    assert settings.clock_tier is ClockTier.FREE
    assert exported.settings_of(run).delegate is Delegate.GPU


@pytest.mark.parametrize(
    ("precision", "dataset", "made"),
    [
        ("fp32", None, [Precision.FP32]),
        ("fp16", None, [Precision.FP16, Precision.FP32]),
        ("int8", None, [Precision.FP32]),
    ],
)
def test_a_runs_best_is_exported_in_the_precision_of_its_search(
    tmp_path, precision, dataset, made
):
    network = exported.network_of(resolve("mnasnet-small", size=32, classes=10), dataset=dataset)
    parts: Any = SimpleNamespace(config=SimpleNamespace(exporter="tflite", precision=precision))
    said: list[str] = []
    found, left_out = exported._export_in(network, parts, tmp_path, said.append)
    assert [each.artifact.precision for each in found.delivery.files] == made
    assert found.to_json()["not_run"]
    if precision == "int8":
        assert "stand-in" in left_out["int8"]
        assert left_out["int8"] in said[0]
