"""Searches on the published Pixel 1 table; accuracies are the analytic stand-in's."""

import pytest

from controller.evaluation import Evaluation, EvaluationSettings
from controller.evolution import RegularizedEvolution
from controller.finish import best
from controller.reward import Reward, RewardMode
from controller.search import Search, SearchSettings
from controller.settings import EvolutionSettings
from controller.study import Study
from latency.table_file import load
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from training.analytic import AnalyticExecutor
from training.schedule import Schedule


@pytest.mark.parametrize(("target_ms", "trials"), [(75.0, 300), (60.0, 300), (45.0, 1000)])
def test_a_search_ends_inside_its_target(target_ms, trials, lab, tmp_path):
    space, reward = ProxylessSpace(), Reward(mode=RewardMode.HARD, target_ms=target_ms)
    settings = EvaluationSettings(
        task="analytic-standin", head=Classifier(classes=1000), schedule=Schedule(samples=1)
    )
    study = Study.in_folder(tmp_path, config="[a search]")
    evaluation = Evaluation(
        settings, TableSource(load("pixel1")), AnalyticExecutor(), reward, study
    )
    algorithm = RegularizedEvolution(space.points, EvolutionSettings(), seed=0)
    try:
        Search(
            SearchSettings(trials=trials), space, algorithm, evaluation, study, lab.Notebook()
        ).run()
        chosen = best(study, reward)
    finally:
        evaluation.close()
        study.close()
    assert 0.9 * target_ms < chosen.latency.latency_ms <= target_ms
