"""Where a network's time goes: kept beside a run's best network, and told in its report."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from latency import profile
from latency.presets import exactly
from pocketnas.networks import resolve
from pocketnas.profiled import keep

SMALL = ("mobilenet-v2", "--size", "32", "--classes", "10")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A search of two networks on the digits."""
    from pocketnas.cli.main import main

    folder = tmp_path_factory.mktemp("profiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("POCKETNAS_HOME", str(folder / "home"))
        with pytest.raises(SystemExit) as ended:
            main(
                ["search", "--dataset=digits", "--samples=64", "--latency=host", "--target-ms=1",
                 "--trials=2", "--preset=quick", "--final-preset=quick", "--algorithm=random",
                 "--run=run"]
            )  # fmt: skip
    assert ended.value.code == 0
    return folder / "run"


@pytest.fixture
def short(monkeypatch):
    """Three sessions of a moment: what becomes of them is tested, not the times."""
    brief = replace(exactly(profile.PROTOCOL, 3), warmup_min_s=0.01, timed_min_s=0.03)
    monkeypatch.setattr(profile, "PROTOCOL", brief)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_profile_of_a_run_s_best_network_is_kept_and_shown_in_its_report(pocketnas, run):
    pytest.importorskip("plotly")
    done = pocketnas("measure", f"{run}:best", "--profile")
    assert done.code == 0, done.err
    assert f"kept in {run / 'best' / 'profile.json'}" in done.out
    kept = json.loads((run / "best" / "profile.json").read_text())
    assert kept["index"] == json.loads((run / "best" / "export.json").read_text())["index"]
    assert json.loads(pocketnas("show", str(run), "--json").out)["profile"] == kept
    assert pocketnas("report", str(run)).code == 0
    text = (run / "report.html").read_text()
    assert "<h2>Where its time goes</h2>" in text
    for block in kept["blocks"]:
        assert f"<td>{block['name']}</td><td>{block['ms']:.4g}" in text


@pytest.mark.slow
def test_a_profile_of_another_size_head_or_trial_is_not_kept_as_the_best_s(run):
    path = run / "best" / "profile.json"
    path.unlink(missing_ok=True)
    best = resolve(f"{run}:best")
    assert best.index is not None
    others = (
        resolve(f"{run}:best", size=32),
        resolve(f"{run}:best", classes=7),
        resolve(f"{run}:{1 - best.index}"),
        resolve("mobilenet-v2"),
    )
    for found in others:
        assert keep(found, {"whole_ms": 1.0}) is None
    assert not path.exists()
    assert keep(best, {"whole_ms": 1.0}) == path
    assert json.loads(path.read_text()) == {"index": best.index, "whole_ms": 1.0}


@pytest.mark.loopback
@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_a_phone_whose_runner_has_no_profiler_is_timed_by_differences(pocketnas, loopback_phones):
    (phone,) = loopback_phones(1)
    done = pocketnas("measure", *SMALL, "--profile", "--on", f"adb:{phone.serial}", "--json")
    assert done.code == 0, done.err
    assert "timing by differences" in done.err
    found = json.loads(done.out)
    assert found["method"] == "differences"
    assert found["device"] == f"adb:{phone.serial}"
    assert sum(block["share"] for block in found["blocks"]) == pytest.approx(1.0)
    assert "not Google's binary" in found["conditions"]["runner_stand_in"]
