import hashlib
import itertools
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest

import latency.table
from latency.table import (
    Correction,
    Entry,
    Known,
    LatencyTable,
    TableMismatchError,
    Validation,
    differences,
    merged,
    require_covered,
    require_same,
)
from latency.table_file import PUBLISHED, load, read
from workspace.errors import InputError

FILE = Path(latency.table.__file__).parent / "tables" / "pixel1_proxylessnas.yaml"
GOOD = "a-layer:\n  count: 3\n  mean: 1.5\n  var: 0.25\n"


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "mine.yaml"
        path.write_text(content)
        return path

    return write


def test_the_published_table_is_there_whole_and_unchanged():
    table = load("pixel1")
    assert len(table.entries) == 72
    assert sum(key.startswith("expanded_conv") for key in table.entries) == 69
    assert table.entries["Conv-input:224x224x3-output:112x112x32"] == Entry(
        ms=4.397037934668071, variance_ms2=0.1562765530967112, count=949
    )
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert digest == "4f59d150083ed33cce79925a03c7cb14198ff14cb4dd1da2868c973933267035"


def test_it_says_what_is_known_of_its_conditions_and_what_is_not():
    table = load("pixel1")
    assert table.name == "table:pixel1"
    assert table.conditions["device_model"] == "Pixel 1"
    assert table.conditions["threads"] == 1
    assert table.conditions["statistic"] == "mean"
    assert "1812.00332" in str(table.conditions["source"])
    assert "runner_version" in table.unknown
    assert not set(table.unknown) & set(table.conditions)


def test_its_source_and_licence_ship_beside_it():
    for published in PUBLISHED.values():
        assert (FILE.parent / published.file).is_file()
        text = (FILE.parent / "README.md").read_text()
        assert published.file in text
        assert "MIT" in text


def test_it_is_read_in_no_time():
    load("pixel1")
    best = min(_seconds(lambda: load("pixel1")) for _ in range(5))
    assert best < 0.1


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_a_file_of_ones_own_is_read_with_its_conditions(file):
    header = "pocketnas:\n  version: 1\n  conditions: {device_model: My Phone, threads: 4}\n"
    path = file(header + GOOD)
    table = load(str(path))
    assert table.name == f"table:{path}"
    assert table.entries == {"a-layer": Entry(ms=1.5, variance_ms2=0.25, count=3)}
    assert table.conditions == {"device_model": "My Phone", "threads": 4}


def test_a_file_in_the_home_folder_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "lab-phone.yaml").write_text(GOOD)
    assert list(load("lab-phone").entries) == ["a-layer"]


@pytest.mark.parametrize("text", ["nowhere", "nowhere/at/all.yaml", "", "."])
def test_a_table_that_is_not_there_is_quoted(text, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    with pytest.raises(InputError, match=f"no table '{text}'; there is pixel1"):
        load(text)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must map keys"),
        ("- 1\n- 2\n", "must map keys"),
        ("a: [1, 2\n", "is no YAML"),
        ("\x00\x01", "is no YAML"),
        (GOOD + GOOD, "keys that come twice: a-layer"),
        ("a-layer:\n  count: 3\n  mean: 1.5\n  mean: 1.6\n  var: 1\n", "come twice: mean"),
        ("3:\n  count: 3\n  mean: 1.5\n  var: 0.25\n", "key that is no text: 3"),
        ("a-layer: 1.5\n", "entry 'a-layer' needs count, mean and var"),
        ("a-layer:\n  count: 3\n  mean: 1.5\n", "entry 'a-layer' needs count, mean and var"),
        (GOOD.replace("1.5", "-1.5"), "not be negative|not negative"),
        (GOOD.replace("1.5", ".nan"), "finite"),
        (GOOD.replace("1.5", ".inf"), "finite"),
        (GOOD.replace("1.5", "fast"), "'fast' is no number"),
        (GOOD.replace("1.5", "true"), "True is no number"),
        (GOOD.replace("0.25", "-0.25"), "not negative"),
        (GOOD.replace("3", "0"), "count at least 1"),
        (GOOD.replace("3", "2.5"), "count at least 1"),
        ("pocketnas: {version: 3}\n" + GOOD, "newer version"),
        ("pocketnas: new\n" + GOOD, "without a version"),
        (
            "pocketnas: {version: 1, conditions: {a: {b: 1}}}\n" + GOOD,
            "condition is text or whole",
        ),
        ("!!python/object/apply:os.system ['true']\n", "is no YAML"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_what_is_wrong(file, content, words):
    path = file(content)
    with pytest.raises(InputError, match=words) as refused:
        read(path, "mine")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_cut_in_the_middle_is_refused(file):
    text = FILE.read_text()
    with pytest.raises(InputError, match="needs count, mean and var"):
        read(file(text[: text.index("mean", 3000)]), "mine")


SESSIONS = Entry(ms=1.5, variance_ms2=0.25, count=40, sessions=5, date="2026-11-23")
ORDERED = (
    Entry(ms=1.0, variance_ms2=0.1, count=0, sessions=9, known=Known.PREDICTED),
    Entry(ms=1.0, variance_ms2=0.25, count=999),
    replace(SESSIONS, count=39),
    replace(SESSIONS, date="2026-11-22"),
    replace(SESSIONS, ms=1.6),
    replace(SESSIONS, variance_ms2=0.26),
    SESSIONS,
    replace(SESSIONS, mad_ms=0.1),
    replace(SESSIONS, mad_ms=0.1, raw=("77c1",)),
    replace(SESSIONS, sessions=6, date="2020-01-01", count=1),
)
"""Each is worth more than those before it."""


def table(name="first", **more):
    return LatencyTable(name=f"table:{name}", **{"entries": {"a": SESSIONS}, **more})


def test_tables_with_different_entries_merge_to_both():
    one = table(entries={"a": SESSIONS, "b": ORDERED[1]}, space="mnasnet")
    other = table("second", entries={"c": ORDERED[2], "b": ORDERED[0]}, classes=10)
    found = merged(one, other)
    assert found.entries == {"a": SESSIONS, "b": ORDERED[1], "c": ORDERED[2]}
    assert found.name == "table:first"
    assert (found.space, found.classes) == ("mnasnet", 10)


def test_of_a_key_in_both_the_better_entry_stays_whichever_comes_first():
    for worse, better in itertools.combinations(ORDERED, 2):
        pair = (table(entries={"a": worse}), table(entries={"a": better}))
        assert merged(*pair).entries == merged(*reversed(pair)).entries == {"a": better}


def test_merging_a_table_with_itself_changes_nothing():
    mine = table(
        conditions={"threads": 1},
        unknown=("soc",),
        space="mnasnet",
        made_by="0a1b",
        labels=("on the charger",),
        correction=Correction(scale=1.1, networks=("x",)),
        validations=(Validation(date="2026-11-23", numbers={"a": 1.0}, additivity_error=0.1),),
    )
    assert merged(mine, mine) == mine
    assert merged(merged(mine, mine), mine) == mine


def test_what_is_said_of_both_is_joined_and_the_better_founded_correction_stays():
    first = Validation(date="2026-11-23", numbers={"a": 1.0}, additivity_error=0.1)
    second = replace(first, date="2026-11-22")
    one = table(
        made_by="0a1b",
        labels=("warm", "old"),
        unknown=("soc",),
        validations=(first,),
        correction=Correction(scale=1.1, networks=("x",)),
    )
    other = table(
        made_by="2c3d 0a1b",
        labels=("old", "cold"),
        unknown=("unit",),
        validations=(second, first),
        correction=Correction(scale=1.2, networks=("x", "y")),
    )
    found = merged(one, other)
    assert found.made_by == "0a1b 2c3d"
    assert found.labels == ("warm", "old", "cold")
    assert found.unknown == ("soc", "unit")
    assert found.validations == (second, first)
    assert found.correction.scale == merged(other, one).correction.scale == 1.2


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ({"threads": 1}, {"threads": 4}, "threads: 1 and 4"),
        ({"threads": 1, "unit": "x"}, {"threads": 1}, "unit: told by one of them only"),
        ({}, {"cores": [6, 7]}, "cores: told by one of them only"),
        ({"cores": [6]}, {"cores": [6, 7]}, r"cores: \[6\] and \[6, 7\]"),
    ],
)
def test_tables_of_other_conditions_do_not_merge_and_each_is_named(mine, theirs, words):
    one, other = table(conditions=mine), table("second", conditions=theirs)
    for pair in ((one, other), (other, one)):
        with pytest.raises(TableMismatchError, match="are under different conditions"):
            merged(*pair)
    with pytest.raises(TableMismatchError, match=f"table:first and table:second .*{words}"):
        require_same(one, other)


def test_tables_of_other_spaces_or_classes_do_not_merge():
    one = table(space="mnasnet", classes=10)
    with pytest.raises(TableMismatchError, match="space: 'mnasnet' and 'proxyless'"):
        merged(one, table(space="proxyless"))
    with pytest.raises(TableMismatchError, match="classes: 10 and 1000"):
        merged(one, table(classes=1000))
    assert merged(table(), one).space == "mnasnet"


def test_only_what_both_tell_differs():
    assert differences({"a": 1, "b": "x", "c": 3}, {"a": 2, "b": "x", "d": 4}) == {"a": "1 and 2"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"ms": -1.0},
        {"ms": math.nan},
        {"variance_ms2": -0.1},
        {"variance_ms2": math.inf},
        {"mad_ms": -0.1},
        {"count": 0},
        {"count": 2.0},
        {"count": True},
        {"sessions": -1},
        {"count": -1, "known": Known.PREDICTED},
    ],
)
def test_an_entry_that_cannot_be_is_refused_with_what_it_was(wrong):
    with pytest.raises(ValueError, match="times must be finite and not negative") as refused:
        replace(SESSIONS, **wrong)
    assert all(repr(value) in str(refused.value) for value in wrong.values())


@pytest.mark.parametrize("entries", [{}, {"pocketnas": SESSIONS}])
def test_a_table_of_no_entries_or_of_the_reserved_key_is_refused_by_its_name(entries):
    with pytest.raises(ValueError, match=r"a table needs entries, .*: table:first"):
        table(entries=entries)


def test_what_is_missing_is_named_as_far_as_it_can_be_read():
    require_covered("the table", (), "the space")
    with pytest.raises(InputError, match=r"the table lacks layers of the space: a, b$"):
        require_covered("the table", ("a", "b"), "the space")
    with pytest.raises(InputError, match=r"the space: a, b, c and 2 more$"):
        require_covered("the table", tuple("abcde"), "the space")
