"""The command ``table``; what is built or validated here is timed on this computer."""

import json
from dataclasses import replace

import pytest

from latency import presets
from latency.presets import TABLE
from latency.table import LatencyTable
from latency.table_file import load, path_of, write

OWN = '''
"""A space of four networks of two layers."""

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


def exported(pocketnas, name="pixel1", form="csv"):
    done = pocketnas("table", "export", name, "--form", form, "--out", f"{name}.{form}")
    assert done.code == 0, done.err
    return f"{name}.{form}"


def imported(pocketnas, *words, name="mine"):
    file = exported(pocketnas)
    return pocketnas("table", "import", file, "--form", "csv", "--name", name, *words)


def test_all_tables_are_listed_and_damaged_ones_with_what_is_wrong(pocketnas, tmp_path):
    assert imported(pocketnas).code == 0
    (tmp_path / "home" / "tables" / "broken.yaml").write_text("a: {count: 1")
    listed = json.loads(pocketnas("table", "show", "--json").out)["tables"]
    assert [each["name"] for each in listed] == ["pixel1", "broken", "mine"]
    assert "is no YAML" in listed[1]["problem"]
    assert "mine" in pocketnas("table", "show").out


def test_a_table_tells_conditions_what_is_unknown_and_how_much_of_a_space_it_covers(pocketnas):
    words = ("table", "show", "pixel1", "--space", "proxyless", "--largest", "2", "--json")
    found = json.loads(pocketnas(*words).out)
    assert found["conditions"]["device_model"] == "Pixel 1"
    assert "runner_version" in found["unknown"]
    assert (found["coverage"]["parts"], found["coverage"]["networks"]) == (72, 1.0)
    assert len(found["largest"]) == 2
    text = pocketnas(*words[:-1]).out
    assert "72 of 72 parts measured" in text
    assert "no correction" in text


def test_a_table_that_is_exported_and_imported_answers_the_same(pocketnas):
    done = imported(pocketnas, "--condition", "device_model=Pixel 1", "--condition", "threads=1")
    assert done.code == 0
    assert "72 entries" in done.out
    assert "not told: runner" in done.out
    mine, theirs = load("mine"), load("pixel1")
    assert {key: entry.ms for key, entry in mine.entries.items()} == {
        key: entry.ms for key, entry in theirs.entries.items()
    }
    found = json.loads(pocketnas("table", "diff", "pixel1", "mine", "--json").out)
    assert (found["common"], found["median_ratio"], found["only_first"]) == (72, 1.0, [])


def test_two_tables_are_told_apart_by_conditions_and_entries(pocketnas):
    table = load("pixel1")
    slower = {
        key: replace(entry, ms=1.5 * entry.ms) for key, entry in list(table.entries.items())[:60]
    }
    write(
        LatencyTable(name="table:b", entries=slower, conditions={"device_model": "Pixel 2"}),
        path_of("b"),
    )
    done = pocketnas("table", "diff", "pixel1", "b")
    assert done.code == 0
    assert "device_model: 'Pixel 1' and 'Pixel 2'" in done.out
    assert "60 entries in both, 12 in the first alone, 0 in the second alone" in done.out
    assert "median 1.5" in done.out


def test_a_table_that_is_there_is_kept_unless_it_is_to_be_changed(pocketnas):
    assert imported(pocketnas).code == 0
    again = imported(pocketnas)
    assert again.code == 2
    assert "is there already" in again.err
    assert imported(pocketnas, "--force").code == 0
    assert "72 entries, 72 with those that were there" in imported(pocketnas, "--merge").out
    both = imported(pocketnas, "--merge", "--force")
    assert (both.code, "give one of them" in both.err) == (2, True)


def test_tables_of_other_conditions_are_not_merged(pocketnas):
    assert imported(pocketnas, "--condition", "threads=1").code == 0
    done = imported(pocketnas, "--condition", "threads=4", "--merge")
    assert done.code == 1
    assert "threads: 1 and 4" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "nowhere"), "no table 'nowhere'"),
        (("show", "pixel1", "--space", "nospace"), "unknown space 'nospace'"),
        (("export", "pixel1", "--form", "xml", "--out", "x"), "unknown form 'xml'"),
        (("diff", "pixel1", "nowhere"), "no table 'nowhere'"),
        (("import", "x.csv", "--name", "a/b"), "a table's name is letters"),
        (("import", "x.csv", "--name", "pixel1"), "the published table's name"),
        (("import", "x.csv", "--name", "a", "--form", "csv"), "cannot be read"),
        (("import", "x.csv", "--name", "a", "--condition", "speed=1"), "no condition 'speed'"),
        (("build", "--space", "mnasnet", "--budget", "soon"), "takes a time such as 20m"),
        (("build", "--space", "mnasnet", "--budget", "1m", "--dry-run"), "at least 6 minutes"),
        (("build", "--space", "mnasnet", "--name", "a/b"), "needs a name of its own"),
        (("build", "--space", "mnasnet", "--on", "table:pixel1"), "only a device measures"),
        (("build", "--space", "mnasnet", "--sessions", "1", "--dry-run"), "at least 3 sessions"),
        (("validate", "pixel1"), "does not say which space it is of"),
        (("validate", "pixel1", "--plot", "a.pdf"), "a plot is a .png or .html file"),
    ],
)
def test_wrong_use_is_refused_in_one_sentence(words, told, pocketnas):
    done = pocketnas("table", *words)
    assert done.code == 2
    assert told in done.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("key,count\na,1\n", "lacks the column median_ms or mean_ms"),
        ("key,mean_ms,count\na,nan,1\n", "line 2"),
        ("key,mean_ms,count\na,-1,1\n", "line 2"),
        ("key,mean_ms,count\na,1,1\na,2,1\n", "line 3"),
    ],
)
def test_a_csv_that_is_no_table_is_refused_with_the_line(content, told, pocketnas, tmp_path):
    (tmp_path / "a.csv").write_text(content)
    done = pocketnas("table", "import", "a.csv", "--form", "csv", "--name", "a")
    assert done.code == 2
    assert told in done.err
    assert not path_of("a").exists()


def test_the_whole_mnasnet_space_at_224_is_stated_to_take_at_most_eight_hours(pocketnas):
    words = ("table", "build", "--space", "mnasnet", "--dry-run", "--json")
    found = json.loads(pocketnas(*words).out)
    assert found["layers"] == found["measured"] == 2600
    assert found["device_hours"] <= 8
    less = json.loads(pocketnas(*words, "--budget", "30m").out)
    assert less["measured"] < 400
    assert less["device_hours"] <= 0.5


@pytest.fixture
def short_sessions(monkeypatch):
    """Of a fraction of a second: figures are noisy, and the way to them is the same."""
    pytest.importorskip("torch")
    short = replace(TABLE, warmup_min_s=0.02, timed_min_s=0.05, timed_runs=5, sentinel_every=0)
    monkeypatch.setattr("pocketnas.table_building.TABLE", short)
    monkeypatch.setitem(presets._BY_NAME, "table", short)


@pytest.mark.slow
@pytest.mark.usefixtures("short_sessions")
def test_a_table_is_built_and_refused_where_it_does_not_belong(pocketnas, tmp_path, monkeypatch):
    """Of a space of 216 networks, really timed on this computer, three sessions each."""
    (tmp_path / "own_space.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("--space", "own_space:SPACE", "--classes", "10", "--sessions", "3", "--name", "mine")
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
