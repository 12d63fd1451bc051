import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from pocketnas.training_plan import TrainingPlan, read_plan
from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem
from search_space.space import create as create_space
from training.cifar10 import Cifar10
from training.digits import Digits
from training.schedule import Decay, OptimizerName
from training.stages import TrainingStage
from training.training_log import read_log
from workspace.errors import InputError

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
pytest.importorskip("sklearn")

STAGES = """
version = 1
[[stages]]
until = 0.5
size = 8
mixup = 0.2
dropout = 0.3
[[stages]]
until = 1.0
size = 16
batch = 16
"""


@pytest.fixture(autouse=True)
def network(tmp_path):
    """A JSON file of a small network, and one of stages, where commands run."""
    stage = Stage(
        op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1, skip=Skip.NONE
    )
    architecture = ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=(stage,), head_filters=16, dropout=0.1
    )
    (tmp_path / "net.json").write_text(json.dumps(architecture.to_json()))
    (tmp_path / "stages.toml").write_text(STAGES)
    (tmp_path / "half.toml").write_text(STAGES.replace("1.0", "0.9"))
    (tmp_path / "small.toml").write_text(STAGES.replace("size = 8", "size = 3"))
    return architecture


TRAIN = ("train", "net.json", "--dataset=digits", "--threads=1", "--run=run")


def test_a_network_is_trained_evaluated_on_two_splits_and_kept(pocketnas, tmp_path):
    done = pocketnas(*TRAIN, "--epochs=6", "--batch=32", "--ema=0.99", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["folder"] == "run"
    assert found["samples"] == 6 * 1197
    assert set(found["evaluations"]) == {"validation", "test"}
    for split, figures in found["evaluations"].items():
        assert figures["split"] == split
        assert figures["examples"] == 300
        assert figures["accuracy"] > 0.5
        assert figures["top5"] >= figures["accuracy"]
        assert 0 <= figures["calibration_error"] <= 1
    assert found["schedule"]["ema"] == 0.99
    assert found["seconds"] > 0
    lines = read_log(tmp_path / "run" / "log.jsonl")
    on_the_way = [line for line in lines if line["kind"] == "evaluation"][:-2]
    assert len(on_the_way) == 5
    assert [line["split"] for line in lines[-2:]] == ["validation", "test"]


def test_what_was_trained_can_be_exported_with_its_weights(pocketnas, tmp_path):
    assert pocketnas(*TRAIN, "--epochs=3").code == 0
    done = pocketnas("export", "run", "--output=exported", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["weights"] == "trained: 3,591 images of digits, in run"
    (gate,) = [each for each in found["gates"] if each["gate"] == "accuracy"]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    said = f"{result['evaluations']['test']['accuracy']:.2%}"
    assert said in gate["text"]
    assert pocketnas("arch", "run", "--json").code == 0


def test_options_and_recipes_make_the_plan(pocketnas, tmp_path):
    done = pocketnas(
        *TRAIN,
        "--recipe=efficientnet",
        "--samples=640",
        "--batch=64",
        "--progressive=stages.toml",
        "--stage-batch=memory",
        "--clip=5",
        "--weight-decay=0.001",
        "--decay-epochs=0.1",
        "--seed=3",
        "--tensorboard",
    )
    assert done.code == 0, done.err
    plan = read_plan(tmp_path / "run")
    schedule = plan.schedule
    assert (schedule.optimizer, schedule.decay) == (OptimizerName.RMSPROP_TF, Decay.STAIRCASE)
    assert (schedule.samples, schedule.batch, schedule.learning_rate) == (640, 64, 0.004)
    assert (schedule.clip, schedule.weight_decay, schedule.decay_epochs) == (5.0, 0.001, 0.1)
    assert [part.batch for part in schedule.parts(16)] == [256, 16]
    assert plan.seed == 3
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert "stage 2 from image" in done.err
    assert "test " in done.out


def test_a_network_is_trained_with_another_activation_and_stochastic_depth(
    pocketnas, tmp_path, network
):
    first = (*TRAIN, "--samples=64")
    done = pocketnas(*first, "--stochastic-depth=0.2")
    assert done.code == 2
    assert "stochastic depth leaves out layers that add their input" in done.err
    added = replace(network.stages[0], stride=1, skip=Skip.IDENTITY)
    longer = replace(network, stages=(*network.stages, added))
    (tmp_path / "net.json").write_text(json.dumps(longer.to_json()))
    done = pocketnas(*first, "--activation=swish", "--stochastic-depth=0.2")
    assert done.code == 0, done.err
    document = read_plan(tmp_path / "run").architecture.to_json()
    assert (document["activation"], document["stochastic_depth"]) == ("swish", 0.2)
    key = read_plan(tmp_path / "run").architecture.key
    assert "1ch_swish" in key
    assert json.loads(pocketnas("show", "run", "--json").out)["key"] == key
    other = pocketnas(*first, "--activation=relu", "--resume")
    assert other.code == 2
    assert "another architecture" in other.err


def test_help_says_where_settings_come_from_and_names_all_decays(pocketnas):
    text = " ".join(pocketnas("train", "--help").out.split())
    assert "cosine, staircase, or drops" in text
    assert "0 for any. [default: (the recipe's)]" in text


def test_the_size_of_the_training_may_differ_from_that_of_the_network(pocketnas, tmp_path):
    done = pocketnas(*TRAIN, "--samples=320", "--size=20", "--train-size=12")
    assert done.code == 0, done.err
    plan = read_plan(tmp_path / "run")
    assert plan.size == 20
    assert plan.schedule.stages == (TrainingStage(until=1, size=12),)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--recipe=resnet",), ("unknown recipe 'resnet'", "proxy, efficientnet")),
        (("--optimizer=adam",), ("unknown optimizer 'adam'", "adamw, rmsprop-tf, sgd")),
        (("--decay=linear",), ("unknown decay 'linear'", "cosine, staircase")),
        (("--arithmetic=int8",), ("unknown arithmetic 'int8'", "fp32")),
        (("--arithmetic=fp16",), ("fp16 needs a GPU",)),
        (("--activation=gelu",), ("unknown activation 'gelu'", "relu, relu6, swish")),
        (("--stochastic-depth=1",), ("stochastic depth", "[0, 1)")),
        (("--anchor=4",), ("anchors are where a detector's boxes start", "'digits'")),
        (("--anchor=-1",), ("anchor of a training must be finite and at least 0, got -1.0",)),
        (("--decay=drops",), ("drops of a training must be at least one, as SpineNet's recipes",)),
        (("--ema=1",), ("ema of a training must be in [0, 1), got 1.0",)),
        (("--learning-rate=0",), ("learning rate of a training must be positive",)),
        (("--samples=5", "--epochs=1"), ("either of so many samples or epochs",)),
        (("--epochs=-1",), ("more than 0 epochs, got -1",)),
        (("--evaluate-epochs=-1",), ("evaluate epochs must be",)),
        (("--progressive=fast",), ("paper, code", "'fast'")),
        (("--progressive=half.toml",), ("half.toml: the last stage must end at 1",)),
        (("--progressive=small.toml",), ("stage 1 of 2 trains at 3 pixels", "at least 4")),
        (("--stage-batch=memory",), ("without effect", "--progressive")),
        (("--train-size=2",), ("stage 1 of 1 trains at 2 pixels", "at least 4 pixels")),
        (("--size=2",), ("at least 4 pixels",)),
        (("--dataset=cifar10",), ("takes 1 channels", "have 3")),
        (("--dataset=nothing",), ("unknown dataset 'nothing'",)),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    pocketnas, tmp_path, flags, words, monkeypatch
):
    if "--dataset=cifar10" in flags:
        monkeypatch.setattr(Cifar10, "examples", Digits.examples)
    done = pocketnas(*TRAIN, *flags)
    assert done.code == 2, done
    assert len(done.err.strip().splitlines()) == 1, done.err
    for word in words:
        assert word in done.err, done.err
    assert not (tmp_path / "run").exists()


def test_a_training_goes_on_only_as_the_one_that_it_is(pocketnas):
    assert pocketnas(*TRAIN, "--samples=320").code == 0
    assert "exists" in pocketnas(*TRAIN, "--samples=320").err
    done = pocketnas(*TRAIN, "--samples=320", "--resume", "--json")
    assert done.code == 0, done.err
    assert pocketnas("show", "run", "--json").out == done.out
    for flag, words in (
        ("--samples=640", "another samples: 320, and 640 was asked for"),
        ("--size=20", "another architecture: chain_16px"),
        ("--seed=1", "another seed: 0, and 1 was asked for"),
        ("--dataset=fashion-mnist", "another task: digits, and fashion-mnist was asked for"),
    ):
        arguments = [*TRAIN, "--samples=320", "--resume", flag]
        done = pocketnas(*arguments)
        assert (done.code, len(done.err.strip().splitlines())) == (2, 1), done.err
        assert words in done.err
    assert "--run, which is missing" in pocketnas(*TRAIN[:-1], "--resume").err
    assert "no training" in pocketnas(*TRAIN[:-1], "--run=other", "--resume").err
    assert pocketnas("resume", "run").code == 0


def test_a_folder_of_a_training_that_is_not_done_has_no_network_yet(pocketnas, network):
    from pathlib import Path

    from training.schedule import Schedule

    plan = TrainingPlan(
        name="net", architecture=network, dataset="digits", schedule=Schedule(samples=320)
    )
    Path("half").mkdir()
    plan.write(Path("half"))
    done = pocketnas("export", "half")
    assert done.code == 2
    assert "is not done: pocketnas resume half" in done.err
    assert "0 of 320 images" in pocketnas("show", "half").out
    assert json.loads(pocketnas("show", "half", "--json").out)["finished"] is False


def test_plans_survive_their_file_and_newer_ones_are_refused(tmp_path, network):
    from training.schedule import Schedule

    plan = TrainingPlan(
        name="net",
        architecture=network,
        dataset="digits",
        schedule=Schedule(samples=9, stages=(TrainingStage(until=1, size=8),)),
        board=True,
        notes=("--progressive paper without dropout",),
    )
    plan.write(tmp_path)
    assert read_plan(tmp_path) == plan
    path = tmp_path / "training.json"
    path.write_text(json.dumps({**plan.to_json(), "version": 2}))
    with pytest.raises(InputError, match="newer version: 2"):
        read_plan(tmp_path)
    path.write_text("{}")
    with pytest.raises(InputError, match=r"training.json' cannot be read: KeyError"):
        read_plan(tmp_path)


LONG = ("--epochs=8", "--progressive=stages.toml", "--optimizer=rmsprop-tf", "--ema=0.99")


def begun(folder, *more):
    command = [sys.executable, "-m", "pocketnas", *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def steps_of(folder):
    log = folder / "log.jsonl"
    return sum(line["kind"] == "step" for line in read_log(log)) if log.is_file() else 0


def wait_for(process, holds):
    deadline = time.monotonic() + 120
    while not holds() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_training_killed_at_random_moments_ends_with_the_same_bytes(pocketnas, tmp_path):
    arguments = [*TRAIN[:-1], *LONG, "--learning-rate=0.003", "--checkpoint-s=0.05"]
    assert pocketnas(*arguments, "--run=whole").code == 0
    draw, folder, killed = random.Random(7), tmp_path / "run", 0
    for sitting in range(3):
        more = ("resume", "run") if sitting else (*arguments, "--run=run")
        process = begun(tmp_path, *more)
        enough = steps_of(folder) + draw.randint(20, 120)
        wait_for(process, lambda enough=enough: steps_of(folder) >= enough)
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed == 3
    assert not (folder / "result.json").exists()
    done = pocketnas("resume", "run", "--json")
    assert done.code == 0, done.err
    whole, again = ((tmp_path / name / "weights.safetensors") for name in ("whole", "run"))
    assert whole.read_bytes() == again.read_bytes()
    evaluations = [
        json.loads((tmp_path / name / "result.json").read_text())["evaluations"]
        for name in ("whole", "run")
    ]
    assert evaluations[0] == evaluations[1]
    steps = [line["step"] for line in read_log(folder / "log.jsonl") if line["kind"] == "step"]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_ctrl_c_ends_a_training_and_says_how_to_go_on(tmp_path):
    process = begun(tmp_path, *TRAIN, "--epochs=200")
    wait_for(process, lambda: steps_of(tmp_path / "run") > 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "cut off; go on with: pocketnas resume run" in err.decode()
    assert "Traceback" not in err.decode()


def test_trained_weights_are_those_of_the_network(pocketnas, tmp_path, network):
    from search_space.architecture import Classifier

    assert pocketnas(*TRAIN, "--samples=320").code == 0
    module = network.build(Classifier(classes=10))
    before = module.classifier.weight.detach().clone()
    module.load_state_dict(safetensors.load_file(tmp_path / "run" / "weights.safetensors"))
    assert not torch.equal(before, module.classifier.weight)
    other = replace(network, head_filters=24).build(Classifier(classes=10))
    with pytest.raises(RuntimeError):
        other.load_state_dict(safetensors.load_file(tmp_path / "run" / "weights.safetensors"))


def test_a_detector_is_trained_evaluated_and_delivered_with_the_same_anchors(
    pocketnas, tmp_path, boxes
):
    for needed in ("pycocotools", "PIL"):
        pytest.importorskip(needed)
    from delivery.detection import decoding
    from pocketnas.exported import network_of
    from pocketnas.networks import resolve
    from training.anchors import LEVELS, cell_anchors
    from training.task import Split
    from training.task import create as create_task
    from training.trainer import Trainer

    small = {"filter_scale": "0.25", "endpoint_filters": "16", "head_filters": "16"}
    space = create_space("spinenet_mbconv", {**small, "head_convs": "1", "size": "128"})
    network = space.decode(space.points.sample(random.Random(0)))
    (tmp_path / "detector.json").write_text(json.dumps(network.to_json()))
    words = ("train", "detector.json", f"--dataset={boxes}", "--run=run", "--threads=1")
    options = ("--samples=16", "--batch=4", "--evaluate-epochs=0")
    done = pocketnas(*words, *options, "--anchor=4", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["evaluations"]["test"]
    for dataset in (None, boxes):
        found = network_of(resolve("run"), dataset=dataset)
        assert found.task is not None
        levels = json.loads(json.dumps(decoding(found)))["levels"]
        assert [each["anchors"] for each in levels] == [
            cell_anchors(level, 4.0).tolist() for level in LEVELS
        ]
        costs = [
            Trainer("cpu").examine(found.module, task, size=128, split=Split.TEST).loss
            for task in (found.task, create_task(boxes))
        ]
        assert costs[0] == pytest.approx(told["loss"], rel=1e-5)
        assert costs[1] != pytest.approx(told["loss"], rel=1e-3)
    refused = pocketnas(*words, *options, "--anchor=3", "--resume")
    assert refused.code == 2
    assert "another anchor: 4.0, and 3.0 was asked for" in refused.err
    bare = pocketnas(*words, *options, "--resume")
    assert "another anchor: 4.0, and 0.0 was asked for" in bare.err


def test_a_detector_is_trained_progressively_and_what_its_boxes_rule_out_is_said(
    pocketnas, tmp_path, boxes
):
    for needed in ("pycocotools", "PIL", "plotly"):
        pytest.importorskip(needed)
    small = {"filter_scale": "0.25", "endpoint_filters": "16", "head_filters": "16"}
    space = create_space("spinenet_mbconv", {**small, "head_convs": "1", "size": "160"})
    network = space.decode(space.points.sample(random.Random(0)))
    (tmp_path / "detector.json").write_text(json.dumps(network.to_json()))
    words = ("train", "detector.json", f"--dataset={boxes}", "--progressive=paper", "--run=run")
    done = pocketnas(*words, "--samples=16", "--batch=4", "--evaluate-epochs=0", "--threads=1")
    assert done.code == 0, done.err
    note = "--progressive paper without dropout, since detectors have no layer of it"
    assert done.err.count(note) == 1
    stages = read_plan(tmp_path / "run").schedule.stages
    assert [stage.size for stage in stages] == [128, 139, 149, 160]
    assert [stage.regularization.dropout for stage in stages] == [None] * 4
    assert stages[-1].regularization.randaugment == 15
    assert pocketnas("report", "run").code == 0
    assert note in (tmp_path / "run/report.html").read_text()
    stage = "version = 1\n[[stages]]\nuntil = 1.0\nsize = 128\ncutmix = 0.2\n"
    (tmp_path / "cut.toml").write_text(stage)
    others = ("train", "detector.json", f"--dataset={boxes}", "--progressive=cut.toml")
    refused = pocketnas(*others, "--samples=16", "--run=other")
    assert (refused.code, refused.out) == (2, "")
    assert "CutMix is not for the data set" in refused.err
    assert not (tmp_path / "other").exists()
