from dataclasses import replace

import pytest

from benchmarks.comparison.searches import best_of, searched
from controller.algorithm import AGAIN
from controller.reward import Reward, RewardMode
from controller.study import Study
from pocketnas.config import SearchConfig
from workspace.errors import InputError


def config(**more):
    """A search without torch: a table and a formula."""
    settings = {
        "space": "proxyless",
        "latency": "table:pixel1",
        "dataset": "analytic-standin",
        "algorithm": "random",
        "reward": "hard",
        "target_ms": 150.0,
        "trials": 20,
    }
    return SearchConfig.load(None, {**settings, **more})


def quiet(_text):
    pass


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "search"
    searched(folder, config(), 1, quiet)
    study = Study.in_folder(folder)
    yield list(study.candidates())
    study.close()


def placed(candidate, accuracy, latency_ms):
    return replace(
        candidate,
        latency=replace(candidate.latency, latency_ms=latency_ms),
        training=replace(candidate.training, accuracy=accuracy),
    )


def again(candidate, accuracy):
    """Another training of a candidate's network."""
    proposal = replace(candidate.proposal, index=100 + candidate.index, note={AGAIN: 1})
    training = replace(candidate.training, accuracy=accuracy)
    return replace(candidate, proposal=proposal, training=training)


def test_a_search_ends_with_its_best_within_the_target(tmp_path):
    said: list[str] = []
    found = searched(tmp_path / "search", config(), 3, said.append)
    assert len({one.key for one in found}) == 3
    study = Study.in_folder(tmp_path / "search")
    told = [one for one in study.candidates() if one.latency.latency_ms <= 150.0]
    study.close()
    best = sorted((one.training.accuracy for one in told), reverse=True)[:3]
    assert [one.training.accuracy for one in found] == best
    assert said[-1].startswith("20 of 20 trials, best reward 0.")


def test_a_finished_search_is_not_run_again(tmp_path):
    first = searched(tmp_path / "search", config(), 2, quiet)
    said: list[str] = []
    again = searched(tmp_path / "search", config(), 2, said.append)
    assert not said
    assert [one.key for one in again] == [one.key for one in first]


def test_a_search_that_was_cut_off_goes_on_to_the_same_end(tmp_path):
    whole = searched(tmp_path / "whole", config(), 20, quiet)

    def cut_off(_text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "cut", config(), 20, cut_off)
    assert [one.key for one in searched(tmp_path / "cut", config(), 20, quiet)] == [
        one.key for one in whole
    ]


def test_the_folder_of_another_search_is_refused(tmp_path):
    searched(tmp_path / "search", config(), 1, quiet)
    with pytest.raises(InputError, match="has other settings: give another --log"):
        searched(tmp_path / "search", config(target_ms=140.0), 1, quiet)


def test_who_was_trained_again_comes_before_who_was_lucky_once(candidates):
    reward = Reward(mode=RewardMode.HARD, target_ms=10.0)
    lucky, steady, worse = (
        placed(one, accuracy, 9.0)
        for one, accuracy in zip(candidates, (0.9, 0.8, 0.7), strict=False)
    )
    found = best_of(
        [lucky, steady, worse, again(steady, 0.82), again(worse, 0.86)], reward, count=3
    )
    assert [one.key for one in found] == [steady.key, worse.key, lucky.key]


def test_who_keeps_the_target_comes_first(candidates):
    reward = Reward(mode=RewardMode.HARD, target_ms=10.0)
    slow, fast = placed(candidates[0], 0.95, 10.1), placed(candidates[1], 0.5, 9.9)
    assert [one.key for one in best_of([slow, again(slow, 0.95), fast], reward, count=1)] == [
        fast.key
    ]
