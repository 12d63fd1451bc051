"""``table build`` and ``table validate``, on this computer and on a made-up device."""

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO

import pytest

from latency.table import Known
from latency.table_file import load, path_of, write
from pocketnas.cli.main import main

OWN = '''
"""A space of 216 networks of 21 layers, 32 pixels a side."""

from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.decisions import Choice, DecisionSpace


class Small:
    name = "own:SPACE"
    points = DecisionSpace(
        choices=tuple(
            Choice(name=f"{part}{place}", options=options)
            for place in range(3)
            for part, options in (("kernel", ("3", "5")), ("expansion", ("1", "2", "3")))
        )
    )
    count = points.count

    def decode(self, point):
        point = self.points.checked(point)
        stages = tuple(
            Stage(op=Op.MBCONV, kernel=(3, 5)[kernel], stride=2 - place % 2,
                  expansion=1 + expansion, filters=8 * (place + 1), repeats=1)
            for place, (kernel, expansion) in enumerate(zip(point[::2], point[1::2]))
        )
        return ChainArchitecture(
            size=32, channels=3, stem=Stem(filters=8), stages=stages, head_filters=32
        )

    def encode(self, architecture):
        return tuple(
            number
            for stage in architecture.stages
            for number in ((3, 5).index(stage.kernel), stage.expansion - 1)
        )


SPACE = Small()
'''


SPACE = ("--space", "own_space:SPACE", "--classes", "10")
BUILD = ("table", "build", *SPACE, "--sessions", "3", "--on", "made_up:DEVICE")
ON = ("--on", "made_up:DEVICE", "--networks", "5")
SLOWER = ("--on", "made_up:SLOWER", "--networks", "8")


@pytest.fixture
def own_space(tmp_path, monkeypatch):
    (tmp_path / "own_space.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture(scope="module")
def kept():
    """What the first builder of a module wrote and said, for all tests after it."""
    return {}


@pytest.fixture
def built(own_space, made_up_device, kept):  # noqa: ARG001 - both put modules in reach
    """``table:mine`` on a made-up device; what its builder said."""
    if not kept:
        out, err = StringIO(), StringIO()
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main([*BUILD, "--name", "mine"])
        assert not ended.value.code, err.getvalue()
        kept |= {"out": out.getvalue(), "err": err.getvalue(), "text": path_of("mine").read_text()}
    path_of("mine").parent.mkdir(parents=True, exist_ok=True)
    path_of("mine").write_text(kept["text"])
    return kept


def test_a_table_of_a_made_up_device_has_every_layer_and_says_how_good_it_is(built):
    assert "21 layers on 6 inputs, 16 networks to fit and 20 to validate" in built["err"]
    assert "63 of 63 files" in built["err"]
    assert "mine.yaml: 21 entries, 0 predicted" in built["out"]
    assert "20 networks it was not fitted to: 100% within 5 %" in built["out"]
    assert "use it: pocketnas search --latency table:mine" in built["out"]
    table = load("mine")
    assert (table.space, table.classes, table.predicted) == ("own_space:SPACE", 10, 0)
    assert table.conditions["device_stand_in"].startswith("no device")
    assert {entry.sessions for entry in table.entries.values()} == {3}


@pytest.mark.usefixtures("built")
def test_a_table_that_is_there_is_not_built_anew_unless_it_is_to_be(pocketnas):
    before = path_of("mine").read_text()
    refused = pocketnas(*BUILD, "--name", "mine")
    assert refused.code == 2
    assert "is there already" in refused.err
    assert path_of("mine").read_text() == before
    assert pocketnas(*BUILD, "--name", "mine", "--force").code == 0


@pytest.mark.usefixtures("own_space", "made_up_device")
def test_with_a_budget_the_rest_is_predicted_and_the_table_says_so(pocketnas):
    done = pocketnas(*BUILD, "--name", "some", "--budget", "4m")
    assert done.code == 0, done.err
    table = load("some")
    assert 0 < table.predicted < 21
    assert f"({table.predicted} more will be predicted)" in done.err
    assert f"label: {table.predicted} of 21 entries are predicted" in done.out
    assert {e.count for e in table.entries.values() if e.known is Known.PREDICTED} == {0}


@pytest.mark.usefixtures("built")
def test_a_table_shows_its_correction_its_validations_and_what_it_covers(pocketnas):
    text = pocketnas("table", "show", "mine", *SPACE[:2]).out
    assert "table:mine of own_space:SPACE: 21 entries measured, 0 predicted" in text
    assert "correction, of 16 networks" in text
    assert "20 networks, 100% within 10 %" in text
    assert "21 of 21 parts measured, 0 predicted, 0 missing; 100% of networks" in text
    other = pocketnas("table", "show", "mine", "--space", "proxyless").out
    assert "0 of 72 parts measured, 0 predicted, 72 missing; 0% of networks" in other
    assert other.count("    missing: ") == 5


@pytest.mark.usefixtures("built")
def test_a_device_that_is_as_the_table_says_passes_and_that_is_noted(pocketnas):
    done = pocketnas("table", "validate", "mine", *ON)
    assert done.code == 0, done.err
    assert "table:mine: 5 networks it was not fitted to" in done.out
    last = load("mine").validations[-1]
    assert (len(load("mine").validations), last.numbers["networks"]) == (2, 5.0)
    assert not set(last.networks) & set(load("mine").correction.networks)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("ending", ["png", "html"])
def test_a_device_that_has_drifted_ends_with_the_alarm_and_is_drawn(ending, pocketnas, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    plot = f"drift.{ending}"
    done = pocketnas("table", "validate", "table:mine", *SLOWER, "--plot", plot, "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["alarm"].startswith("the device has drifted: it takes +30.0% against the table")
    assert found["alarm"] in done.err
    assert found["bias"] == pytest.approx(0.3, abs=0.01)
    title = b"table:mine, device_model Fake 1, runner fake, delegate cpu, threads 1"
    assert title in (tmp_path / plot).read_bytes()
    assert len(load("mine").validations) == 2


@pytest.mark.usefixtures("built")
def test_a_plot_that_cannot_be_written_is_refused_before_anything_is_measured(pocketnas):
    done = pocketnas("table", "validate", "mine", *ON, "--plot", "nowhere/a.png")
    assert (done.code, done.out) == (2, "")
    assert "there is no folder 'nowhere'" in done.err
    assert "measuring" not in done.err
    assert len(load("mine").validations) == 1


@pytest.mark.usefixtures("built")
def test_a_device_under_other_conditions_is_refused_with_the_field_and_nothing_is_noted(pocketnas):
    before = path_of("mine").read_bytes()
    done = pocketnas("table", "validate", "mine", *ON, "--threads", "4")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("other conditions than the device at hand (threads: 1 and 4)\n")
    assert path_of("mine").read_bytes() == before


@pytest.mark.usefixtures("built")
def test_a_table_that_lacks_layers_of_its_space_is_refused_before_anything_is_measured(pocketnas):
    write(replace(load("mine"), space="proxyless size=64"), path_of("mine"))
    done = pocketnas("table", "validate", "mine", *ON)
    assert (done.code, done.out) == (2, "")
    assert "(the table is of 'proxyless size=64') lacks layers of the space" in done.err
    assert "measuring" not in done.err


@pytest.mark.usefixtures("built")
def test_a_table_of_another_space_is_refused_by_a_search(pocketnas, tmp_path):
    words = ("--space=proxyless", "--latency=table:mine", "--dataset=analytic-standin")
    done = pocketnas("search", *words, "--target-ms=1", "--trials=2", "--run=run")
    assert done.code == 2
    told = "table:mine (the table is of 'own_space:SPACE') lacks layers of the space 'proxyless'"
    assert told in done.err
    assert not (tmp_path / "run").exists()


SEARCH = ("search", *SPACE, "--dataset", "analytic-standin", "--target-ms", "0.3", "--run", "run")


@pytest.mark.usefixtures("built")
def test_a_search_by_a_table_of_ones_own_ends_with_predictions_and_the_stand_in_named(pocketnas):
    done = pocketnas(*SEARCH, "--latency", "table:mine", "--trials", "8", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {trial["latency"]["origin"] for trial in found["trials"]} == {"table"}
    assert {trial["latency"]["source"] for trial in found["trials"]} == {"table:mine"}
    assert found["stand_ins"] == [
        "accuracy from an analytic formula over the layers, a stand-in: nothing was trained"
    ]


@pytest.mark.usefixtures("built")
def test_a_hybrid_search_measures_what_may_join_the_front_and_predicts_the_rest(pocketnas):
    hybrid = ("--latency", "hybrid:mine,made_up:DEVICE")
    done = pocketnas(*SEARCH, *hybrid, "--trials", "30", "--window", "1", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    trials = found["trials"]
    predicted = [each for each in trials if each["latency"]["origin"] == "table"]
    assert 3 <= len(predicted) < len(trials)
    for each in predicted:
        assert any(
            other["accuracy"] >= each["accuracy"]
            and other["latency"]["latency_ms"] <= each["latency"]["ci_low_ms"]
            for other in trials[: each["index"]]
            if other["latency"]["origin"] == "measured"
        )
    assert all(member["measured_ms"] is not None for member in found["front"])
    check = found["predictions"]
    assert check["networks"] >= 3
    assert check["median_ratio"] == pytest.approx(1.0, abs=0.02)
    assert not check["alarm"]
    assert any("no device" in text for text in found["stand_ins"])


@pytest.mark.usefixtures("built")
def test_a_hybrid_of_a_table_and_another_device_is_refused_with_what_differs(pocketnas):
    write(replace(load("mine"), conditions={"device_model": "Pixel 1"}), path_of("mine"))
    done = pocketnas(*SEARCH, "--latency", "hybrid:mine,made_up:DEVICE", "--trials", "4")
    assert done.code == 2
    assert "device_model: 'Pixel 1' and 'Fake 1'" in done.err


@pytest.mark.slow
@pytest.mark.usefixtures("short_sessions", "own_space")
def test_a_table_is_built_and_refused_where_it_does_not_belong(pocketnas):
    """Of a space of 216 networks, really timed on this computer, three sessions each."""
    words = (*SPACE, "--sessions", "3", "--name", "mine")
    done = pocketnas("table", "build", *words, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["predicted"] == 0
    assert found["networks"] == 20.0
    table = load("mine")
    assert table.space == "own_space:SPACE"
    assert len(table.correction.networks) == 16
    assert table.conditions["runner"]

    write(replace(table, conditions={**table.conditions, "threads": 4}), path_of("other"))
    refused = pocketnas("table", "validate", "other", "--networks", "5")
    assert refused.code == 2
    assert "threads: 4 and 1" in refused.err

    space = ("--space", "proxyless", "--latency", "table:mine", "--dataset", "analytic-standin")
    lacking = pocketnas("search", *space, "--target-ms", "1", "--trials", "2")
    assert lacking.code == 2
    assert "lacks layers of the space 'proxyless'" in lacking.err


OF_DETECTORS = (
    "--space=spinenet_mbconv", "--space-option=size=128", "--space-option=filter_scale=0.125",
    "--space-option=stem_filters=8", "--space-option=endpoint_filters=8",
    "--space-option=head_filters=8", "--space-option=head_convs=1",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_a_table_of_detectors_is_built_validated_and_searched_with_the_device_beside(
    pocketnas, boxes
):
    pytest.importorskip("pycocotools")
    words = ("--head=detector", "--classes=1", "--sessions=3", "--on=made_up:DEVICE")
    done = pocketnas("table", "build", *OF_DETECTORS, *words, "--budget=5m", "--name=mine")
    assert done.code == 0, done.err
    table = load("mine")
    assert (table.head, table.classes, len(table.entries)) == ("detector", 1, 72)
    assert 0 < table.predicted < 60
    assert "of 72 entries are predicted" in done.out
    checked = pocketnas("table", "validate", "mine", *ON, "--json")
    assert json.loads(checked.out)["networks"] == 5.0
    done = pocketnas(
        "search", *OF_DETECTORS, f"--dataset={boxes}", "--samples=8", "--algorithm=random",
        "--latency=hybrid:mine,made_up:DEVICE", "--target-ms=0.4", "--trials=5", "--window=1",
        "--seed=1", "--run=run", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(pocketnas("show", "run", "--json").out)
    assert (facts["told"], facts["finished"], facts["metric"]) == (5, True, "AP")
    said = {trial["latency"]["origin"] for trial in facts["trials"]}
    assert said & {"measured", "stored"}
    assert said <= {"measured", "stored", "table"}
