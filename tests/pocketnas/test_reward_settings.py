"""Searches by rewards that weigh no latency."""

import json

import pytest

from controller.objectives import parse
from pocketnas.config import SearchConfig
from pocketnas.reward_settings import checked, objectives_of_reward
from training.task import create as create_task
from workspace.errors import InputError

TABLE = (
    "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
    "--run=run",
)  # fmt: skip
MACS = ("--reward=macs", "--target-macs=3e8")
BATCH = create_task("digits").proxy.schedule.batch


def test_a_reward_of_latency_needs_what_it_always_did():
    assert checked({"target_ms": 5.0}) == {"target_ms": 5.0}
    assert objectives_of_reward("hard") == parse(["accuracy", "latency_ms"])


def test_a_front_is_of_what_the_reward_weighs_unless_others_are_named():
    assert SearchConfig.load(None, {"reward": "macs", "target_macs": 3e8}).objectives == [
        "accuracy",
        "macs",
    ]
    trained = {"reward": "training-aware"}
    wanted = ["accuracy", "train_step_ms", "params"]
    assert SearchConfig.load(None, trained).objectives == wanted
    named = {**trained, "objectives": ["accuracy", "size_mb"]}
    assert SearchConfig.load(None, named).objectives == ["accuracy", "size_mb"]


@pytest.mark.parametrize("settings", [{"reward": "macs", "target_macs": 3e8},
                                      {"reward": "training-aware"}])  # fmt: skip
def test_a_configuration_survives_toml(settings, tmp_path):
    made = SearchConfig.load(None, settings)
    (tmp_path / "config.toml").write_text(made.to_toml())
    assert SearchConfig.load(tmp_path / "config.toml", {}) == made


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"reward": "macs"}, "no target: reward macs needs --target-macs.*4e8"),
        ({"reward": "macs", "target_macs": 3e8, "target_ms": 5.0}, "so that 'target_ms' would"),
        ({"reward": "macs", "target_macs": 3e8, "skip_above": 2.0}, "so that 'skip_above' would"),
        ({"reward": "macs", "target_macs": 3e8, "fleet": [{}]}, "so that 'fleet' would"),
        ({"reward": "training-aware", "target_macs": 3e8}, "'target_macs' is for reward macs"),
        ({"reward": "hard", "target_macs": 3e8, "target_ms": 5.0}, "and the reward is hard"),
        ({"target_macs": 3e8}, "'target_macs' is for reward macs, and the reward is soft"),
        ({"reward": "macs", "target_macs": 0}, "'target_macs': .* greater than 0, got 0"),
        ({"reward": "macs", "target_macs": float("inf")}, "'target_macs': .* finite"),
    ],
)  # fmt: skip
def test_targets_that_the_reward_does_not_weigh_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        SearchConfig.load(None, settings)


@pytest.mark.parametrize("algorithm", ["evolution", "surrogate", "nsga2"])
def test_a_search_by_multiply_adds_is_shown_reported_and_replayed(pocketnas, tmp_path, algorithm):
    done = pocketnas(*TABLE, *MACS, "--trials=25", f"--algorithm={algorithm}")
    assert done.code == 0, done.err
    assert "table:pixel1, target 300,000,000 multiply-adds (macs)" in done.out
    assert "front of accuracy, macs of " in done.out
    facts = json.loads(pocketnas("show", "run", "--json").out)
    assert facts["objectives"] == ["accuracy", "macs"]
    for trial in facts["trials"]:
        told = trial["objectives"]
        wanted = told["accuracy"] * (told["macs"] / 3e8) ** -0.07
        assert trial["reward"] == pytest.approx(wanted)
    assert facts["best"]["reward"] == max(trial["reward"] for trial in facts["trials"])
    assert pocketnas("replay", "run").code == 0
    pytest.importorskip("plotly")
    assert pocketnas("report", "run").code == 0
    assert "Accuracy against macs" in (tmp_path / "run" / "report.html").read_text()


def test_a_search_by_multiply_adds_is_gone_on_with(pocketnas):
    whole = pocketnas(*TABLE, *MACS, "--trials=12", "--json")
    assert whole.code == 0, whole.err
    again = pocketnas("resume", "run", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["best"] == json.loads(whole.out)["best"]


def test_the_best_by_multiply_adds_may_lie_beside_a_front_of_others(pocketnas):
    objectives = ("--objective=accuracy", "--objective=latency_ms")
    done = pocketnas(*TABLE, *MACS, *objectives, "--trials=25")
    assert done.code == 0, done.err
    facts = json.loads(pocketnas("show", "run", "--json").out)
    assert facts["best"]["reward"] == max(trial["reward"] for trial in facts["trials"])
    assert "the most of any trial" in facts["hypervolume_box"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--reward=macs",), ("no target", "--target-macs")),
        (
            ("--reward=macs", "--target-macs=1e6"),
            ("no network of the space 'proxyless' has at most 1,000,000", "raise --target-macs"),
        ),
        (("--reward=training-aware",), ("nobody tells train_step_ms", "analytic-standin")),
        ((*MACS, "--objective=accuracy", "--objective=train_step_ms"), ("nobody tells train_s",)),
        (
            ("--reward=training-aware", "--dataset=digits", "--stop-early"),
            ("train_step_ms is told at the end of a training", "--stop-early"),
        ),
    ],
)
def test_a_search_that_could_not_be_rated_makes_no_folder(pocketnas, tmp_path, flags, words):
    done = pocketnas(*TABLE, "--trials=3", *flags)
    assert done.code == 2, done
    assert len(done.err.strip().splitlines()) == 1
    for word in words:
        assert word in done.err
    assert not (tmp_path / "run").exists()


def test_the_training_step_of_a_training_command_is_weighed(pocketnas, tmp_path):
    (tmp_path / "train.py").write_text(
        "import json, sys, time\n"
        "time.sleep(0.05)\n"
        "json.dump({'accuracy': 0.5, 'samples': 640}, open(sys.argv[2], 'w'))\n"
    )
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=digits",
        "--classes=1000", "--reward=training-aware", "--trials=3", "--run=run", "--json",
        "--train-command=python train.py {arch} {result}",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    for trial in facts["trials"]:
        told = trial["objectives"]
        step_ms, params = told["train_step_ms"], told["params"]
        assert step_ms >= 50 / (640 / BATCH)
        wanted = 0.5 * step_ms**-0.07 * (params / 1e6) ** -0.05
        assert trial["reward"] == pytest.approx(wanted)
