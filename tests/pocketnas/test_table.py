"""The command ``table``, without what is built or validated (``test_table_building.py``)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import latency.table_file
from latency.table import LatencyTable
from latency.table_file import PUBLISHED, load, path_of, write

YAML = Path(latency.table_file.__file__).parent / "tables" / PUBLISHED["pixel1"].file
POINT = "proxyless:[0,0,6,6,6,0,6,6,6,0,6,6,6,0,6,6,6,0,6,6,6,0]"
NETWORK = ("mnasnet-small", "--size", "32", "--classes", "10")


def exported(pocketnas, name="pixel1", form="csv"):
    done = pocketnas("table", "export", name, "--form", form, "--out", f"{name}.{form}")
    assert done.code == 0, done.err
    return f"{name}.{form}"


def imported(pocketnas, *words, name="mine"):
    file = exported(pocketnas)
    return pocketnas("table", "import", file, "--form", "csv", "--name", name, *words)


def answer(pocketnas, source, *network):
    done = pocketnas("measure", *network, "--on", source, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_all_tables_are_listed_and_damaged_ones_with_what_is_wrong(pocketnas, tmp_path):
    assert imported(pocketnas).code == 0
    (tmp_path / "home" / "tables" / "broken.yaml").write_text("a: {count: 1")
    listed = json.loads(pocketnas("table", "show", "--json").out)["tables"]
    assert [each["name"] for each in listed] == ["pixel1", "broken", "mine"]
    assert "is no YAML" in listed[1]["problem"]
    listed_text = pocketnas("table", "show").out.splitlines()
    assert listed_text[0].split() == ["table", "entries", "device", "space", "validated"]
    assert listed_text[1].split() == ["pixel1", "72", "Pixel", "1", "-", "-"]
    assert "is no YAML" in listed_text[2]
    assert listed_text[3].split() == ["mine", "72", "-", "-", "-"]
    damaged = pocketnas("table", "show", "broken")
    assert (damaged.code, damaged.out, damaged.err.count("\n")) == (2, "", 1)
    assert "broken.yaml" in damaged.err


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


def test_a_table_as_proxylessnas_published_it_answers_as_the_one_that_ships(pocketnas):
    words = ("--form", "proxyless", "--name", "mine", "--condition", "device_model=Pixel 1")
    found = json.loads(pocketnas("table", "import", str(YAML), *words, "--json").out)
    assert (found["imported"], found["merged"]) == (72, False)
    assert found["path"] == str(path_of("mine"))
    assert found["conditions"] == {"statistic": "mean", "device_model": "Pixel 1"}
    assert "threads" in found["unknown"]
    mine, theirs = (answer(pocketnas, f"table:{name}", POINT) for name in ("mine", "pixel1"))
    assert mine["median_ms"] == theirs["median_ms"]
    assert (mine["ci_low_ms"], mine["source"]) == (theirs["ci_low_ms"], "table:mine")


def test_a_table_goes_out_as_proxylessnas_reads_it_and_comes_back_the_same(pocketnas):
    words = ("export", "pixel1", "--form", "proxyless", "--out", "p.yaml", "--json")
    found = json.loads(pocketnas("table", *words).out)
    assert (found["entries"], found["form"]) == (72, "proxyless")
    assert found["left_out"] == ["conditions", "unknown"]
    back = pocketnas("table", "import", "p.yaml", "--form", "proxyless", "--name", "mine")
    assert back.code == 0, back.err
    assert load("mine").entries == load("pixel1").entries


def test_medians_go_to_a_form_of_means_only_if_that_is_said_to_be_all_right(pocketnas, tmp_path):
    (tmp_path / "a.csv").write_text("key,median_ms,mad_ms\na,1.5,0.1\n")
    assert pocketnas("table", "import", "a.csv", "--form", "csv", "--name", "mine").code == 0
    words = ("table", "export", "mine", "--form", "proxyless", "--out", "a.yaml")
    refused = pocketnas(*words)
    assert (refused.code, (tmp_path / "a.yaml").exists()) == (2, False)
    assert "has 1 medians" in refused.err
    done = pocketnas(*words, "--lossy")
    assert "1 entries of table:mine, as proxyless" in done.out
    assert "left out, for want of a place: conditions, unknown" in done.out
    assert "mean: 1.5" in (tmp_path / "a.yaml").read_text()


def test_a_table_of_another_computer_comes_with_all_that_it_says(pocketnas):
    first = replace(load("pixel1"), space="proxyless", classes=1000, labels=("on the charger",))
    write(first, path_of("first"))
    assert (
        pocketnas("table", "export", "first", "--form", "pocketnas", "--out", "f.yaml").code == 0
    )
    done = pocketnas("table", "import", "f.yaml", "--name", "second", "--condition", "soc=SD821")
    assert done.code == 0, done.err
    found = load("second")
    assert (found.space, found.classes, found.labels) == ("proxyless", 1000, ("on the charger",))
    assert found.entries == first.entries
    assert found.conditions == {**first.conditions, "soc": "SD821"}


def profile_of(network):
    """What ``benchmark_model`` would write of a network, with made-up times: powers of two.

    Returns:
        The text, and the time of all operators in milliseconds.
    """
    from controller.counted_figures import example_inputs
    from exporters.flatbuffer import tensor_names
    from exporters.trace import to_graph
    from pocketnas.networks import resolve

    found = resolve(network[0], size=int(network[2]), classes=int(network[4]))
    inputs = example_inputs(found.architecture)
    graph = to_graph(found.architecture.build(found.head).eval(), inputs)
    names = dict(enumerate(tensor_names(graph))) | {t: name for name, t in graph.outputs}
    times_ms = [2.0 ** -(number % 8) for number in range(len(graph.nodes))]
    rows = (
        f"CONV_2D, {ms}, {ms}, {100 * ms / sum(times_ms)}%, 0%, 0, 1, [{names[node.output]}]:{at}"
        for at, (node, ms) in enumerate(zip(graph.nodes, times_ms, strict=True))
    )
    text = (
        "Operator-wise Profiling Info for Regular Benchmark Runs:\n"
        "============================== Run Order ==============================\n"
        "node type, first, avg_ms, %, cdf%, mem KB, times called, name\n"
        f"{chr(10).join(rows)}\n\n{len(times_ms)} nodes observed\n\n"
    )
    return text, sum(times_ms)


def test_a_profile_of_a_network_becomes_a_table_that_gives_its_time_again(pocketnas, tmp_path):
    pytest.importorskip("torch")
    text, total_ms = profile_of(NETWORK)
    (tmp_path / "profile.csv").write_text(text)
    words = ("--form", "profile", "--name", "mine", "--arch", *NETWORK)
    done = pocketnas("table", "import", "profile.csv", *words)
    assert done.code == 0, done.err
    table = load("mine")
    assert f"{len(table.entries)} entries" in done.out
    assert "times operators one by one" in table.labels[0]
    found = answer(pocketnas, "table:mine", *NETWORK)
    assert found["median_ms"] == pytest.approx(total_ms)
    wrong = pocketnas(
        "table", "import", "profile.csv", *words[:4], "--arch", "mnasnet-a1", "--force"
    )
    assert wrong.code == 2
    assert "operators are not those of this network" in wrong.err


def test_entries_that_come_later_are_added_and_the_better_known_one_stays(pocketnas, tmp_path):
    (tmp_path / "a.csv").write_text("key,median_ms,sessions\na,1,3\nb,2,9\n")
    (tmp_path / "b.csv").write_text("key,median_ms,sessions\nb,3,5\nc,4,5\n")
    words = ("--form", "csv", "--name", "mine")
    assert pocketnas("table", "import", "a.csv", *words).code == 0
    done = pocketnas("table", "import", "b.csv", *words, "--merge", "--json")
    found = json.loads(done.out)
    assert (found["imported"], found["entries"], found["merged"]) == (2, 3, True)
    assert {key: each.ms for key, each in load("mine").entries.items()} == {"a": 1, "b": 2, "c": 4}


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
    found = json.loads(pocketnas("table", "diff", "pixel1", "b", "--count", "2", "--json").out)
    assert (len(found["only_first"]), found["only_second"], found["common"]) == (12, [], 60)
    assert [each["ratio"] for each in found["by_ratio"]] == pytest.approx([1.5, 1.5])
    largest = max(key_ms.ms for key_ms in slower.values())
    assert found["by_ms"][0]["second_ms"] == largest
    assert found["spearman"] == pytest.approx(1.0)


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
        (("show", "--space", "mnasnet"), "--space would be without effect, since no table is"),
        (("show", "pixel1", "--classes", "10"), "--classes would be without effect, since no --s"),
        (("import", "x.csv", "--name", "a", "--size", "64"), "--size would be without effect"),
        (("export", "pixel1", "--form", "xml", "--out", "x"), "unknown form 'xml'"),
        (("diff", "pixel1", "nowhere"), "no table 'nowhere'"),
        (("import", "x.csv", "--name", "a/b"), "a table's name is letters"),
        (("import", "x.csv", "--name", "pixel1"), "the published table's name"),
        (("import", "x.csv", "--name", "a", "--form", "csv"), "cannot be read"),
        (("import", "x.csv", "--name", "a", "--form", "xml"), "unknown form 'xml'"),
        (("import", "x.csv", "--name", "a", "--form", "profile"), "without the network"),
        (
            ("import", "x.csv", "--name", "a", "--form", "profile", "--arch", "mnasnet-a2"),
            "unknown network 'mnasnet-a2'",
        ),
        (("import", "x.csv", "--name", "a", "--condition", "threads"), "takes NAME=VALUE"),
        (("import", "x.csv", "--name", "a", "--condition", "threads=two"), "needs whole numbers"),
        (("import", "x.csv", "--name", "a", "--condition", "speed=1"), "no condition 'speed'"),
        (("build", "--space", "mnasnet", "--budget", "soon"), "takes a time such as 20m"),
        (("build", "--space", "mnasnet", "--budget", "0m"), "takes a time such as 20m"),
        (("build", "--space", "mnasnet", "--budget", "-2h"), "takes a time such as 20m"),
        (("build", "--space", "nospace", "--dry-run"), "unknown space 'nospace'"),
        (("build", "--space", "mnasnet", "--name", "a" * 101), "at most 100"),
        (("build", "--space", "mnasnet", "--name", "pixel1"), "the published table's name"),
        (("build", "--space", "mnasnet", "--precision", "int4"), "there are fp32, fp16 and int8"),
        (("build", "--space", "mnasnet", "--clock-tier", "T9"), "there are T1, T2, T3"),
        (("build", "--space", "mnasnet", "--budget", "1m", "--dry-run"), "at least 6 minutes"),
        (("build", "--space", "mnasnet", "--name", "a/b"), "a table's name is letters"),
        (("build", "--space", "mnasnet", "--on", "table:pixel1"), "only a device measures"),
        (("build", "--space", "mnasnet", "--sessions", "1", "--dry-run"), "at least 3 sessions"),
        (("build", "--space", "spinenet", "--head", "box", "--dry-run"), "unknown head 'box'"),
        (("build", "--space", "proxyless", "--head", "detector", "--dry-run"), "in a classifier"),
        (("validate", "pixel1"), "does not say which space it is of"),
        (("validate", "pixel1", "--plot", "a.pdf"), "a plot is a .png or .html file"),
    ],
)
def test_wrong_use_is_refused_in_one_sentence(words, told, pocketnas):
    done = pocketnas("table", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert not path_of("a").exists()


def test_an_export_that_cannot_be_written_could_not_be_done(pocketnas):
    done = pocketnas("table", "export", "pixel1", "--out", "nowhere/a.csv")
    assert done.code == 1
    assert "'nowhere/a.csv' cannot be written: No such file or directory" in done.err


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
    assert not path_of("mnasnet-host").exists()
    assert found["layers"] == found["measured"] == 2600
    assert found["device_hours"] <= 8
    less = json.loads(pocketnas(*words, "--budget", "30m").out)
    assert less["measured"] < 400
    assert less["device_hours"] <= 0.5
    assert pocketnas(*words[:-1]).out.split()[:4] == ["layers", "2600", "measured", "2600"]


def test_a_table_of_a_space_of_streams_has_each_of_their_parts_and_ends_in_scores(pocketnas):
    words = ("table", "build", "--space", "assemblenet_mobile", "--dry-run", "--json")
    found = json.loads(pocketnas(*words).out)
    assert found["measured"] == found["layers"] == 1894
    assert found["device_hours"] <= 8
    few = [f"--space-option={each}" for each in ("nodes=1", "stems=rgb", "repeats=1,1,1,1")]
    fewer = json.loads(pocketnas(*words, *few).out)
    assert fewer["layers"] < 150
    done = pocketnas(*words, "--head", "classifier")
    assert done.code == 2
    assert "only a classifier of videos as its head" in done.err


@pytest.mark.parametrize("head", ["classifier", "detector"])
def test_a_table_of_a_scale_permuted_space_has_every_way_from_place_to_place(pocketnas, head):
    words = ("table", "build", "--space", "spinenet_mbconv", "--space-option", "size=128")
    done = pocketnas(*words, "--head", head, "--classes", "10", "--dry-run", "--json")
    found = json.loads(done.out)
    # Levels 1 to 7; the stem's places are among them, so that 49 resamplings lead to 7 blocks;
    # five outputs, each with an endpoint and a further feature that may be added; and five parts
    # of a head: a detector's nets at each level, or four levels that join the fifth, and its mean.
    assert found["layers"] == 1 + 49 + 7 + 5 + 5 + 5
    assert found["measured"] == found["layers"]
