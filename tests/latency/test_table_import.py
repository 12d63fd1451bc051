from pathlib import Path

import numpy as np
import pytest

import latency.table_file
from exporters.graph import Convolution, Dense, Graph, Mean, Node, Padding
from latency.signatures import Signature
from latency.table import Condition, Entry, Known, LatencyTable, variance_of
from latency.table_conditions import TO_BE_KNOWN
from latency.table_file import load, write
from latency.table_import import ImportForm, import_table
from latency.table_profile import LABEL
from workspace.errors import InputError

PUBLISHED = (
    "a-layer:\n  count: 3\n  mean: 1.5\n  var: 0.25\nb-layer: {count: 2, mean: 1, var: 0}\n"
)
MEANS = {
    "a-layer": Entry(ms=1.5, variance_ms2=0.25, count=3),
    "b-layer": Entry(ms=1.0, variance_ms2=0.0, count=2),
}
MEDIAN = Entry(ms=1.25, variance_ms2=variance_of(0.1), mad_ms=0.1, count=40, sessions=5)
MINE = LatencyTable(
    name="table:mine",
    entries={"a-layer": MEDIAN},
    conditions={"device_model": "Pixel 8", "threads": 1, "statistic": "median"},
    unknown=("soc", "build"),
    space="proxyless",
    classes=10,
    labels=("on the charger",),
)


@pytest.fixture
def file(tmp_path):
    def make(content):
        path = tmp_path / "theirs"
        path.write_text(content)
        return path

    return make


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "ours.yaml"
    write(MINE, path)
    return path


def test_a_table_of_ours_comes_with_all_that_it_says_under_its_new_name(ours):
    found = import_table(ours, ImportForm.POCKETNAS, "lab", {})
    assert found.name == "table:lab"
    assert found.entries == MINE.entries
    assert found.conditions == MINE.conditions
    assert (found.space, found.classes, found.labels) == ("proxyless", 10, MINE.labels)


def test_conditions_that_are_given_come_to_those_of_the_file(ours):
    found = import_table(ours, ImportForm.POCKETNAS, "lab", {"soc": "Tensor G3", "threads": 1})
    assert found.conditions == {**MINE.conditions, "soc": "Tensor G3"}


def test_conditions_that_contradict_the_file_are_refused_each_with_both_values(ours):
    given: dict[str, Condition] = {"threads": 4, "device_model": "Pixel 9", "soc": "x"}
    with pytest.raises(InputError, match="is of other conditions than those that were") as refused:
        import_table(ours, ImportForm.POCKETNAS, "lab", given)
    assert "device_model: 'Pixel 8' and 'Pixel 9'; threads: 1 and 4" in str(refused.value)
    assert "soc" not in str(refused.value)
    assert str(ours) in str(refused.value)


def test_what_should_be_known_and_is_not_is_said(ours):
    found = import_table(ours, ImportForm.POCKETNAS, "lab", {"soc": "x", "cores": [6, 7]})
    assert found.unknown[0] == "build"  # which the file said
    assert set(found.unknown) == set(TO_BE_KNOWN) - found.conditions.keys()
    assert len(found.unknown) == len(set(found.unknown))


def test_tables_as_proxylessnas_published_them_are_means(file):
    found = import_table(file(PUBLISHED), ImportForm.PROXYLESS, "lab", {"threads": 1})
    assert found.entries == MEANS
    assert found.conditions == {"statistic": "mean", "threads": 1}
    assert found.unknown == tuple(name for name in TO_BE_KNOWN if name != "threads")


def test_the_published_table_comes_in_whole():
    path = Path(latency.table_file.__file__).parent / "tables" / "pixel1_proxylessnas.yaml"
    found = import_table(path, ImportForm.PROXYLESS, "lab", {})
    assert found.entries == load("pixel1").entries


def test_medians_are_not_of_the_form_that_proxylessnas_published(file, ours):
    """Which the table would call means, as nothing in this file tells otherwise."""
    bare = "a-layer: {median: 1.25, mad: 0.1, count: 40}\n"
    for path in (file(bare), ours):
        with pytest.raises(InputError, match="'a-layer' is a median, and the form") as refused:
            import_table(path, ImportForm.PROXYLESS, "lab", {})
        assert "take the form pocketnas" in str(refused.value)


def test_a_file_that_is_told_to_be_of_medians_and_is_of_means_is_refused(file):
    with pytest.raises(InputError, match="statistic: 'mean' and 'median'"):
        import_table(file(PUBLISHED), ImportForm.PROXYLESS, "lab", {"statistic": "median"})


@pytest.mark.parametrize(
    ("text", "statistic"),
    [
        ("key,mean_ms,variance_ms2\na,1.5,0.1\nb,1,0.1\n", "mean"),
        ("key,median_ms,mad_ms\na,1.5,0.1\n", "median"),
        ("key,median_ms,mad_ms,mean_ms\na,1.5,0.1,\nb,,0.1,1.5\n", None),
        (
            "key,median_ms,mad_ms,mean_ms,known\na,1.5,0.1,,\nb,,0.1,1.5,predicted\n",
            "median",
        ),
        ("key,mean_ms,variance_ms2,known\na,1.5,0.1,predicted\n", None),
    ],
)
def test_csv_says_which_statistic_it_has_where_all_that_is_measured_has_the_same(
    file, text, statistic
):
    found = import_table(file(text), ImportForm.CSV, "lab", {})
    assert found.conditions.get("statistic") == statistic
    assert found.labels == ()


def test_csv_without_a_spread_says_for_how_many_entries(file):
    text = "key,mean_ms,variance_ms2\na,1.5,0.1\nb,1,\nc,1,\n"
    found = import_table(file(text), ImportForm.CSV, "lab", {})
    assert found.labels == ("2 of 3 entries came without a spread, so intervals are too narrow",)


def test_a_fault_in_csv_is_told_with_the_file_and_where_it_is(file):
    path = file("key,mean_ms\na,-1\n")
    with pytest.raises(InputError, match="line 2, column mean_ms: '-1' must be") as refused:
        import_table(path, ImportForm.CSV, "lab", {})
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("form", [form for form in ImportForm if form is not ImportForm.PROFILE])
def test_a_file_that_is_not_there_is_refused_with_its_name(form, tmp_path):
    with pytest.raises(InputError, match=r"nowhere' cannot be read: .*No such file"):
        import_table(tmp_path / "nowhere", form, "lab", {})


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        (ImportForm.POCKETNAS, "key,mean_ms\na,1\n", "must map keys of layers"),
        (ImportForm.PROXYLESS, "key,mean_ms\na,1\n", "must map keys of layers"),
        (ImportForm.CSV, PUBLISHED, "line 1, lacks the column key; it has a-layer:"),
        (ImportForm.POCKETNAS, PUBLISHED.replace("1.5", "-1.5"), "not negative"),
        (ImportForm.PROXYLESS, PUBLISHED.replace("1.5", ".nan"), "nan is not finite"),
        (ImportForm.PROXYLESS, PUBLISHED[:33], "needs count, mean and var"),
        (ImportForm.PROXYLESS, PUBLISHED[:40], "does not end with a line break"),
        (ImportForm.PROXYLESS, PUBLISHED + PUBLISHED, "come twice: a-layer, b-layer"),
        (ImportForm.POCKETNAS, "pocketnas: {version: 9}\n" + PUBLISHED, "newer version"),
    ],
)
def test_a_file_of_another_form_or_a_damaged_one_is_refused(file, form, content, words):
    with pytest.raises(InputError, match=words):
        import_table(file(content), form, "lab", {})


def convolution(source, output, name, channels):
    operator = Convolution(
        weights=np.zeros((4, 1, 1, channels), np.float32),
        bias=np.zeros(4, np.float32),
        stride=(1, 1),
        dilation=(1, 1),
        padding=Padding.SAME,
    )
    return Node(operator=operator, inputs=(source,), output=output, name=name)


GRAPH = Graph(
    shapes=((1, 8, 8, 3), (1, 8, 8, 4), (1, 8, 8, 4), (1, 4), (1, 10)),
    nodes=(
        convolution(0, 1, "stem.0", 3),
        convolution(1, 2, "blocks.0.conv", 4),
        Node(operator=Mean(axes=(1, 2), keep=False), inputs=(2,), output=3, name="mean"),
        Node(
            operator=Dense(weights=np.zeros((10, 4), np.float32), bias=np.zeros(10, np.float32)),
            inputs=(3,),
            output=4,
            name="classifier",
        ),
    ),
    inputs=(("image", 0),),
    outputs=(("scores", 4),),
)


def part(key, macs):
    return Signature(
        key=key,
        kind="conv",
        macs=macs,
        params=0,
        input_elements=0,
        hidden_elements=0,
        output_elements=0,
    )


PARTS = (part("Conv", 64 * 12), part("conv", 64 * 16), part("Logits", 40))

PROFILE = """Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
AllocateTensors, 0, 0.029, 0.029, 100%, 100%, 0, 1, AllocateTensors/0

1 nodes observed


Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
CONV_2D, 0, 0.11, 0.5, 50%, 50%, 0, 1, [stem.0]:0
CONV_2D, 0.5, 0.034, 0.25, 25%, 75%, 0, 1, [blocks.0.conv]:1
MEAN, 0.75, 0.026, 0.125, 12.5%, 87.5%, 0, 1, [mean]:2
FULLY_CONNECTED, 0.875, 0.03, 0.125, 12.5%, 100%, 0, 1, [scores]:3

============================== Top by Computation Time ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
CONV_2D, 0, 0.11, 0.5, 50%, 50%, 0, 1, [stem.0]:0

"""


def test_a_profile_is_a_table_of_the_networks_parts_that_says_what_it_is(file):
    found = import_table(file(PROFILE), ImportForm.PROFILE, "lab", {"threads": 1}, (GRAPH, PARTS))
    assert {key: entry.ms for key, entry in found.entries.items()} == {
        "Conv": 0.5,
        "conv": 0.25,
        "Logits": 0.25,
    }
    assert found.labels == (LABEL,)
    assert found.conditions == {"statistic": "mean", "threads": 1}
    assert {entry.known for entry in found.entries.values()} == {Known.MEASURED}


def test_a_profile_without_its_network_is_refused(file):
    with pytest.raises(InputError, match="tells nothing without the network"):
        import_table(file(PROFILE), ImportForm.PROFILE, "lab", {})


@pytest.mark.parametrize("form", [form for form in ImportForm if form is not ImportForm.PROFILE])
def test_a_network_beside_a_file_that_is_of_no_one_network_is_refused(form, file):
    with pytest.raises(InputError, match=f"of the form {form}, is of no one network"):
        import_table(file(PUBLISHED), form, "lab", {}, (GRAPH, PARTS))


@pytest.mark.parametrize("content", [PROFILE[:-400], "", "key,mean_ms\na,1\n"])
def test_a_file_that_is_no_whole_profile_is_refused_with_how_one_is_written(file, content):
    with pytest.raises(InputError, match="is no whole profile of operators") as refused:
        import_table(file(content), ImportForm.PROFILE, "lab", {}, (GRAPH, PARTS))
    assert "--enable_op_profiling=true --profiling_output_csv_file=FILE" in str(refused.value)


def test_a_profile_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\xff\xfe\x00TFL3")
    with pytest.raises(InputError, match="is no whole profile of operators"):
        import_table(path, ImportForm.PROFILE, "lab", {}, (GRAPH, PARTS))
