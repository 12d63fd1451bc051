"""Two real processes share the batches of a training, in touch by Gloo."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from search_space.chain import ChainArchitecture, Op, Stage, Stem
from training.training_log import read_log

pytest.importorskip("torch")
pytest.importorskip("sklearn")

TASK = '''
"""Digits without augmentation, which each process would draw for itself."""

from training.classification import LabelledImages
from training.digits import Digits


class Plain(Digits):
    def examples(self, split, size):
        examples = super().examples(split, size)
        return Still(examples)


class Still:
    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def batch(self, indices, generator):
        return self.examples.batch(indices, None)
'''

TRAIN = ("train", "net.json", "--dataset=plain_digits:Plain", "--threads=1", "--batch=50")


@pytest.fixture(autouse=True)
def files(tmp_path):
    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=3, filters=8, repeats=2)
    architecture = ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=(stage,), head_filters=16, dropout=0.0
    )
    (tmp_path / "net.json").write_text(json.dumps(architecture.to_json()))
    (tmp_path / "plain_digits.py").write_text(TASK)


def begun(folder, *command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def losses(folder):
    return [line["loss"] for line in read_log(folder / "log.jsonl") if line["kind"] == "step"]


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_at_an_equal_batch(pocketnas, tmp_path):
    # At higher rates the last bits of fp32 sooner tip a ReLU over: in fp64 the same steps agree
    # to 1e-15, at any rate.
    arguments = [*TRAIN, "--samples=525", "--learning-rate=0.005", "--evaluate-epochs=0.2"]
    assert pocketnas(*arguments, "--run=one").code == 0
    code, out, err = ended(
        begun(tmp_path, "pocketnas", *arguments, "--run=two", "--processes=2", "--json")
    )
    assert code == 0, err
    assert json.loads(out)["processes"] == 2
    alone, shared = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(alone) == 11
    assert shared == pytest.approx(alone, rel=1e-5)
    found, expected = (
        json.loads((tmp_path / name / "result.json").read_text())["evaluations"]["test"]
        for name in ("two", "one")
    )
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.slow
def test_torchrun_may_start_them_and_a_killed_training_ends_with_the_same_bytes(tmp_path):
    run = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "pocketnas")
    arguments = (*TRAIN, "--dataset=digits", "--epochs=4", "--checkpoint-s=0.1")
    whole = begun(tmp_path, *run, *arguments, "-o", "whole")
    code, out, err = ended(whole)
    assert code == 0, err
    assert out.count("validation") == 1  # of the first process alone
    killed = begun(tmp_path, *run, *arguments, "-o", "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    deadline = time.monotonic() + 60
    while len(list(checkpoints.glob("*.json"))) < 2 and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    kill_with_children(killed)
    assert not (tmp_path / "run" / "result.json").exists()
    code, _, err = ended(begun(tmp_path, *run, *arguments, "-o", "run", "--resume"))
    assert code == 0, err
    first, again = ((tmp_path / name / "weights.safetensors") for name in ("whole", "run"))
    assert first.read_bytes() == again.read_bytes()


def kill_with_children(process):
    import psutil

    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in family:
        one.kill()
    process.communicate()
    psutil.wait_procs(family, timeout=10)


@pytest.mark.slow
def test_ctrl_c_ends_all_of_them_and_says_how_to_go_on(tmp_path):
    process = begun(tmp_path, "pocketnas", *TRAIN, "--epochs=500", "--run=run", "--processes=2")
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "log.jsonl").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130, err
    assert "cut off; go on with: pocketnas resume run" in err
    assert "Traceback" not in err


def test_a_batch_that_is_smaller_than_they_are_many_is_refused(pocketnas, tmp_path):
    done = pocketnas(*TRAIN[:-1], "--batch=1", "--processes=2", "--run=run")
    assert done.code == 2
    assert "a batch of 1 cannot be shared by 2 processes" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_one_that_fails_is_told(tmp_path):
    arguments = (*TRAIN, "--samples=500", "--learning-rate=1e30", "--processes=2", "--run=run")
    code, _, err = ended(begun(tmp_path, "pocketnas", *arguments))
    assert code == 1
    assert "it diverged" in err
    assert "ended with exit code 1" in err
    assert "go on with: pocketnas resume run" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "result.json").exists()
