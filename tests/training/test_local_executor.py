import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from PIL import Image
from safetensors.torch import load_file

from search_space.spinenet_networks import create
from training.coco_document import CocoBox, CocoImage, document_of
from training.executor import TrainingError, TrainingTimeoutError
from training.local_executor import LocalExecutor
from training.stages import TrainingStage
from training.testing import ExecutorContract
from workspace.errors import InputError

SLOW_TASK = """
import time
from training.digits import Digits

class Slow(Digits):
    def examples(self, split, size):
        time.sleep(600)

class Broken(Digits):
    def examples(self, split, size):
        raise ZeroDivisionError("by design")
"""


GATED_TASK = """
from search_space.blocks import ChainNetwork
from training.digits import Digits

class Gated(Digits):
    pass

ChainNetwork.gates = lambda network: {"head": network.state_dict()["classifier.bias"].sigmoid()}
"""
"""Gives every chain that is trained after it gates: the sigmoids of its last layer's biases."""


@pytest.fixture
def own_tasks(tmp_path, monkeypatch):
    (tmp_path / "own_tasks.py").write_text(SLOW_TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def executor():
    made = LocalExecutor()
    yield made
    made.close()


@pytest.fixture
def workers():
    """What finds this test's workers; what an earlier test left does not count, dead or alive."""
    earlier = {child.pid for child in psutil.Process().children(recursive=True)}

    def found():
        children = psutil.Process().children(recursive=True)
        new = [child for child in children if child.pid not in earlier]
        return [child for child in new if "training.worker" in child.cmdline()]

    return found


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, executor):
        return executor


def test_closing_leaves_no_process(executor, job, workers):
    executor.submit(job).result(timeout=60)
    assert len(workers()) == 1
    executor.close()
    assert workers() == []


@pytest.mark.usefixtures("own_tasks")
def test_a_job_past_its_deadline_is_killed_and_the_next_one_runs(executor, job):
    slow = replace(job, task="own_tasks:Slow", deadline_s=8.0)
    with pytest.raises(TrainingTimeoutError, match="killed at its deadline of 8 s"):
        executor.submit(slow).result(timeout=30)
    assert executor.submit(job).result(timeout=60).accuracy > 0


def test_a_worker_that_dies_is_a_stated_failure_and_is_replaced(executor, job, workers):
    executor.submit(job).result(timeout=60)
    (worker,) = workers()
    future = executor.submit(replace(job, schedule=replace(job.schedule, samples=640_000)))
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match="signal 9"):
        future.result(timeout=30)
    assert executor.submit(job).result(timeout=60).accuracy > 0


@pytest.mark.usefixtures("own_tasks")
def test_what_a_users_task_raises_is_told(executor, job):
    with pytest.raises(TrainingError, match="ZeroDivisionError: by design"):
        executor.submit(replace(job, task="own_tasks:Broken")).result(timeout=60)
    with pytest.raises(InputError, match="unknown dataset 'nothing'"):
        executor.submit(replace(job, task="nothing")).result(timeout=60)


def test_what_a_network_learned_of_its_connections_comes_out_of_the_process(
    executor, job, tmp_path, monkeypatch
):
    (tmp_path / "gated_task.py").write_text(GATED_TASK)
    monkeypatch.syspath_prepend(str(tmp_path))
    weights = tmp_path / "weights.safetensors"
    result = executor.submit(
        replace(job, task="gated_task:Gated", checkpoint=str(weights))
    ).result(timeout=120)
    learned = load_file(weights)["classifier.bias"].sigmoid()
    assert result.feedback == {"head": tuple(learned.tolist())}
    assert len(set(result.feedback["head"])) == 10


def test_this_process_does_not_import_torch_for_it():
    code = (
        "import sys; from training.executor import ExecutorSettings, create; "
        "create(ExecutorSettings()).close(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_a_stage_smaller_than_the_network_can_take_is_refused_before_training(executor, job):
    stages = (TrainingStage(until=0.5, size=3), TrainingStage(until=1, size=16))
    staged = replace(job, schedule=replace(job.schedule, stages=stages))
    with pytest.raises(InputError, match="stage 1 of 2 trains at 3 pixels"):
        executor.submit(staged).result(timeout=60)


def test_a_detector_is_trained_too(executor, job, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    (tmp_path / "set/train").mkdir(parents=True)
    box = CocoBox(label=0, corners=(20, 20, 50, 50))
    names = [f"{number}.png" for number in range(20)]
    for name in names:
        Image.new("RGB", (64, 64)).save(tmp_path / "set/train" / name)
    told = [CocoImage(path=name, width=64, height=64, boxes=(box,)) for name in names]
    (tmp_path / "set/train.json").write_text(json.dumps(document_of(told, ("thing",), "")))
    network = replace(
        create("spinenet-mobile-49xs"),
        size=128,
        filter_scale=0.25,
        endpoint_filters=8,
        head_convs=0,
    )
    boxed = replace(
        job,
        architecture=network,
        task=f"coco:{tmp_path}/set",
        schedule=replace(job.schedule, samples=16, batch=8),
    )
    result = executor.submit(boxed).result(timeout=120)
    assert result.accuracy == result.evaluation.accuracy
    assert result.evaluation.ap50 >= result.accuracy
    chain = replace(boxed, architecture=job.architecture)
    with pytest.raises(InputError, match="a chain of stages has only a classifier as its head"):
        executor.submit(chain).result(timeout=60)
