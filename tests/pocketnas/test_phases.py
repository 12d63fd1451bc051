"""Searches in phases, as a person would run them."""

import json

import pytest

PARTS = '''
"""A space with phases, and a source for it."""

from latency.measurement import Verdict
from latency.source import LatencyEstimate, NetworkSubject, Origin
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.decisions import Choice, DecisionSpace
from search_space.phases import Phase
from workspace.errors import InputError

FILTERS, LAYERS = (8, 16, 24, 32), (1, 2, 3, 4)


class Widths:
    """Three stages, whose filters are decided before their layers."""

    name = "widths"
    points = DecisionSpace(
        choices=tuple(
            Choice(name=f"stage{stage}.{what}", options=tuple(map(str, options)))
            for what, options in (("filters", FILTERS), ("layers", LAYERS))
            for stage in range(3)
        )
    )
    count = points.count
    phases = (
        Phase(name="filters", decisions=(0, 1, 2)),
        Phase(name="layers", decisions=(3, 4, 5)),
    )
    plain = (0, 0, 0, 1, 1, 1)

    def decode(self, point):
        chosen = self.points.checked(point)
        stages = tuple(
            Stage(
                op=Op.MBCONV, kernel=3, stride=2, expansion=3,
                filters=FILTERS[chosen[stage]], repeats=LAYERS[chosen[3 + stage]],
            )
            for stage in range(3)
        )
        return ChainArchitecture(
            size=32, channels=3, stem=Stem(filters=8), stages=stages, head_filters=32
        )

    def encode(self, architecture):
        stages = architecture.stages
        filters = (FILTERS.index(stage.filters) for stage in stages)
        return (*filters, *(LAYERS.index(stage.repeats) for stage in stages))


SPACE = Widths()


class Source:
    """A fake: a millisecond for each filter and layer."""

    name = "made up"
    lanes = 1
    on_this_computer = False

    def estimate(self, requests):
        for request in requests:
            if not isinstance(request.subject, NetworkSubject):
                raise InputError("this source knows networks, not files")
            stages = request.subject.architecture.stages
            latency_ms = float(sum(stage.filters / 8 + stage.repeats for stage in stages))
            yield LatencyEstimate(
                request_id=request.id, latency_ms=latency_ms, low_ms=latency_ms,
                high_ms=latency_ms, origin=Origin.PREDICTED, source=self.name, coverage=1.0,
                verdict=Verdict.STABLE,
            )

    def close(self):
        pass


SOURCE = Source()
'''

SEARCH = (
    "search", "--space=phased_parts:SPACE", "--latency=phased_parts:SOURCE", "--target-ms=14",
    "--dataset=analytic-standin", "--run=run",
)  # fmt: skip

PHASES = ("--trials=60", "--phase=filters=30", "--phase=layers")


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    (tmp_path / "phased_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


def shown(pocketnas):
    done = pocketnas("show", "run", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize("algorithm", ["random", "evolution", "nsga2", "surrogate", "tpe", "ppo"])
def test_every_algorithm_searches_in_phases_and_is_replayed(pocketnas, algorithm):
    pytest.importorskip("torch")
    done = pocketnas(*SEARCH, *PHASES, f"--algorithm={algorithm}", "--confirm=4")
    assert done.code == 0, done.err
    trials = shown(pocketnas)["trials"]
    assert [trial["phase"] for trial in trials] == ["filters"] * 30 + ["layers"] * 26 + [""] * 4
    assert {tuple(trial["point"][3:]) for trial in trials[:30]} == {(1, 1, 1)}
    assert len({tuple(trial["point"][:3]) for trial in trials[30:56]}) == 1
    assert len({tuple(trial["point"][3:]) for trial in trials[30:56]}) > 3
    assert pocketnas("replay", "run").code == 0


def test_show_and_report_say_which_phase_a_trial_is_of(pocketnas, tmp_path):
    pytest.importorskip("plotly")
    assert pocketnas(*SEARCH, *PHASES).code == 0
    facts = shown(pocketnas)
    first, second = facts["phases"]
    assert (first["name"], first["first"], first["trials"], first["from"]) == (
        "filters", 0, 30, None,
    )  # fmt: skip
    assert (second["name"], second["first"], second["trials"]) == ("layers", 30, 30)
    assert second["from"] in range(30)
    rewards = [trial["reward"] for trial in facts["trials"]]
    assert second["reward"] == max(rewards[30:]) == rewards[second["best"]]
    said = f"phase layers: trials 30 to 59, from trial {second['from']}; its best is trial "
    text = pocketnas("show", "run").out
    assert said in text
    assert any(line.split()[-3:] == ["verdict", "parent", "phase"] for line in text.splitlines())
    assert pocketnas("report", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert said in page
    assert "<th>phase</th>" in page


def test_a_search_at_once_has_no_phases(pocketnas):
    assert pocketnas(*SEARCH, "--trials=8").code == 0
    facts = shown(pocketnas)
    assert facts["phases"] == []
    assert {trial["phase"] for trial in facts["trials"]} == {""}
    assert "phase" not in pocketnas("show", "run").out.replace("phased_parts", "")


@pytest.mark.slow
def test_a_search_that_is_killed_in_each_phase_goes_on_to_the_same_trials(
    pocketnas, started, kill_after, tmp_path
):
    many = ("--trials=200", "--phase=filters=100", "--phase=layers")
    process = started(*SEARCH, *many)
    for told in (30, 130):
        kill_after(process, tmp_path / "run", told)
        process = started("resume", "run")
    process.communicate(timeout=300)
    assert process.returncode == 0
    trials = shown(pocketnas)["trials"]
    assert [trial["index"] for trial in trials] == list(range(200))
    assert [trial["phase"] for trial in trials] == ["filters"] * 100 + ["layers"] * 100
    assert pocketnas(*SEARCH[:-1], "--run=whole", *many).code == 0
    whole = json.loads(pocketnas("show", "whole", "--json").out)["trials"]
    assert [one["point"] for one in trials] == [one["point"] for one in whole]
    assert [one["parents"] for one in trials] == [one["parents"] for one in whole]


def test_a_warm_start_is_of_use_in_phases_or_refused(pocketnas):
    assert pocketnas(*SEARCH, *PHASES).code == 0
    known = {tuple(trial["point"]) for trial in shown(pocketnas)["trials"][:30]}
    warm = (*SEARCH[:-1], "--run=warm", "--trials=20", "--phase=filters=10", "--phase=layers")
    done = pocketnas(*warm, "--warm-start=run", "--algorithm=random")
    assert done.code == 2
    assert "random search has no use for a warm start" in done.err
    assert pocketnas(*warm, "--warm-start=run", "--algorithm=evolution").code == 0
    trials = json.loads(pocketnas("show", "warm", "--json").out)["trials"]
    assert {tuple(trial["point"]) for trial in trials[:4]} <= known
    assert pocketnas("replay", "warm").code == 0


def test_phases_are_settings_of_a_file_too(pocketnas, tmp_path):
    (tmp_path / "search.toml").write_text(
        'space = "phased_parts:SPACE"\nlatency = "phased_parts:SOURCE"\ntarget_ms = 14\n'
        'dataset = "analytic-standin"\ntrials = 12\nphases = ["layers=5", "filters=7"]\n'
    )
    assert pocketnas("search", "search.toml", "--run=run").code == 0
    assert [one["name"] for one in shown(pocketnas)["phases"]] == ["layers", "filters"]


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        (["--phase=filters"], "'mnasnet' has no phases"),
        (
            ["--space=spinenet", "--phase=graph=3", "--phase=kinds"],
            "graph, adjustments, each once",
        ),
        (["--space=spinenet", "--phase=graph=3", "--phase=adjustments=3"], "leave 4 of 10 trials"),
        (["--space=spinenet", "--phase=graph=10", "--phase=adjustments"], "at least 1 of the 0"),
        (
            ["--phase=graph", "--algorithm=guided", "--dataset=digits"],
            "guided changes connections and blocks together",
        ),
    ],
)
def test_phases_that_do_not_fit_are_told_in_one_sentence(pocketnas, tmp_path, phases, said):
    done = pocketnas(
        "search", "--dataset=analytic-standin", "--target-ms=5", "--trials=10", "--run=run",
        *phases,
    )  # fmt: skip
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
