from dataclasses import replace

import pytest

from training.analytic import AnalyticExecutor
from training.command_executor import CommandExecutor
from training.evaluation import Evaluation
from training.executor import ExecutorSettings, Look, Rung, TrainingResult, create
from training.job_document import job_from_json, job_to_json, result_from_json, result_to_json
from training.local_executor import LocalExecutor
from training.testing import ExecutorContract


class TestAnalyticExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return AnalyticExecutor()


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (ExecutorSettings(), LocalExecutor),
        (ExecutorSettings(command="true {arch} {result}"), CommandExecutor),
        (ExecutorSettings(stand_in=True), AnalyticExecutor),
    ],
)
def test_settings_choose_the_executor(settings, kind):
    executor = create(settings)
    executor.close()
    assert isinstance(executor, kind)


def test_jobs_and_results_survive_json(job):
    import json

    job = replace(job, rungs=(Rung(samples=100, least=1 / 3), Rung(samples=300)))
    assert job_from_json(json.loads(json.dumps(job_to_json(job)))) == job
    result = TrainingResult(
        accuracy=1 / 3,
        samples=3,
        seconds=0.1,
        feedback={"gates": (0.1, 0.2)},
        looks=(Look(samples=3, accuracy=1 / 3),),
        stopped=True,
        evaluation=Evaluation(split="test", examples=9, accuracy=1 / 3, loss=2.5, top5=0.75),
    )
    assert result_from_json(json.loads(json.dumps(result_to_json(result)))) == result


@pytest.mark.parametrize("accuracy", [-0.1, 1.1, float("nan")])
def test_an_impossible_accuracy_is_refused(accuracy):
    with pytest.raises(ValueError, match="accuracy must be in"):
        TrainingResult(accuracy=accuracy, samples=1, seconds=1.0)


@pytest.mark.parametrize(("samples", "least"), [(0, 0.5), (10, float("nan"))])
def test_a_rung_needs_samples_and_an_accuracy(samples, least):
    with pytest.raises(ValueError, match="a rung needs at least 1 sample"):
        Rung(samples=samples, least=least)


def test_a_training_is_not_stopped_for_no_reason():
    with pytest.raises(ValueError, match="needs the look that ended it"):
        TrainingResult(accuracy=0.5, samples=1, seconds=1.0, stopped=True)
