"""Which trial came from which, as told and drawn."""

import json

import pytest

from controller.guided_evolution import Guide
from pocketnas.lineage import (
    descent,
    lineage_charts,
    parent_cells,
    parent_columns,
    told_of_lineage,
)


def trial(index, parents=(), reward=0.5, guide=None, why=None):
    return {
        "index": index,
        "parents": list(parents),
        "reward": reward,
        "kind": "failed" if reward is None else "evaluated",
        "guide": guide,
        "guide_why": why,
    }


def run(*trials, best=None):
    return {"trials": list(trials), "best": None if best is None else {"index": best}}


LINE = run(
    trial(0, reward=0.1),
    trial(1, reward=0.2),
    trial(2, [1], 0.3, "weights"),
    trial(3, [0], 0.15, "nothing", "it was not trained to its end"),
    trial(4, [2], 0.6, "weights"),
    trial(5, [2], None, "weights"),
    best=4,
)


def test_the_line_of_a_trial_goes_back_to_one_without_parents():
    assert descent(LINE, 4) == [(1,), (2,), (4,)]
    assert descent(LINE, 0) == [(0,)]


def test_of_two_parents_both_begin_the_line():
    crossed = run(trial(0), trial(1), trial(2, [1]), trial(3, [0, 2]), trial(4, [3]), best=4)
    assert descent(crossed, 4) == [(0, 2), (3,), (4,)]
    assert told_of_lineage(crossed) == ["lineage of the best network: trial 0 and 2 → 3 → 4"]


def test_weights_of_trainings_that_were_stopped_early_are_counted_apart():
    stopped = run(trial(0), trial(1, [0], guide="weights"), trial(2, [0], guide=Guide.STOPPED))
    assert told_of_lineage(stopped)[-1] == (
        "of 2 mutations 1 by the learned weights of their parents' connections, 1 by those of "
        "parents whose trainings were stopped early were guided"
    )


def test_the_best_and_what_guided_are_told():
    best, guided = told_of_lineage(LINE)
    assert best == "lineage of the best network: trial 1 → 2 → 4"
    assert guided == (
        "of 4 mutations 3 by the learned weights of their parents' connections, 1 by nothing were "
        "guided (the last such parent, trial 0, so: it was not trained to its end)"
    )


def test_an_ablation_is_told_as_one():
    (_, told) = told_of_lineage(run(trial(0), trial(1, [0], guide="shuffled weights"), best=0))
    assert "shuffled weights (an ablation, not the method)" in told


def test_a_best_network_without_parents_is_told_as_one():
    (told,) = told_of_lineage(run(trial(0), trial(1, [0]), best=0))
    assert told == "lineage of the best network: trial 0, which has no parents"


def test_nothing_is_told_where_no_trial_has_parents():
    random = run(trial(0), trial(1), best=1)
    assert told_of_lineage(random) == []
    assert parent_columns(random) == parent_cells(random, 1) == ()
    assert lineage_charts(random) == []


def test_a_column_names_parents():
    assert parent_columns(LINE) == ("parent",)
    assert [parent_cells(LINE, index) for index in (0, 4)] == [("-",), ("2",)]


def test_the_chart_draws_parents_to_children_and_the_line_of_the_best():
    pytest.importorskip("plotly")
    ((heading, figure),) = lineage_charts(LINE)
    assert heading == "Lineage: parents to children"
    drawn = {trace.name: trace for trace in figure.data}
    assert list(drawn["lineage of the best"].x) == [1, 2, None, 2, 4, None]
    assert list(drawn["lineage of the best"].y) == [0.2, 0.3, None, 0.3, 0.6, None]
    assert list(drawn["parent to child"].x) == [0, 3, None]  # the failed one has no reward
    assert list(drawn["no parents"].x) == [0, 1]
    assert list(drawn["child"].x) == [2, 4]
    assert list(drawn["child, not guided"].x) == [3]
    assert drawn["child"].text[1] == "trial 4, evaluated, reward 0.6000, from trial 2"


def test_a_search_by_evolution_shows_its_parents(pocketnas, tmp_path):
    pytest.importorskip("plotly")
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=75", "--trials=12", "--algorithm=evolution",
        "--algorithm-option=population=3", "--algorithm-option=tournament=2", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(pocketnas("show", "run", "--json").out)
    parents = {one["index"]: one["parents"] for one in facts["trials"]}
    assert not any(parents[index] for index in range(3))
    assert all(len(parents[index]) == 1 for index in range(7, 12))
    shown = pocketnas("show", "run").out
    assert "lineage of the best network: trial" in shown
    assert "parent" in shown
    assert pocketnas("report", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Lineage: parents to children" in page
    assert "lineage of the best network: trial" in page


def test_a_guided_search_is_refused_where_connections_carry_no_weights(pocketnas, tmp_path):
    done = pocketnas(
        "search", "--space=mnasnet", "--latency=table:pixel1", "--dataset=digits",
        "--target-ms=75", "--algorithm=guided", "--run=run",
    )  # fmt: skip
    assert done.code == 2
    assert "connections carry weights" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
