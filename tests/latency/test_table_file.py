import errno
import math
import os
import random
from dataclasses import replace

import pytest

from latency.table import (
    Correction,
    Entry,
    Known,
    LatencyTable,
    Validation,
    merged,
    variance_of,
)
from latency.table_file import PUBLISHED, known_names, load, new_path, path_of, read, write
from latency.table_text import VERSION, to_text
from workspace.errors import InputError, OperationError

MEDIAN = Entry(
    ms=1.25,
    variance_ms2=variance_of(0.1),
    mad_ms=0.1,
    count=40,
    sessions=5,
    date="2026-11-23",
    raw=("0f3a", "77c1"),
)
MINE = LatencyTable(
    name="table:mine",
    entries={
        "median": MEDIAN,
        "spread": replace(MEDIAN, variance_ms2=0.5),
        "mean": Entry(ms=1.5, variance_ms2=0.25, count=3),
        "predicted": Entry(ms=0.75, variance_ms2=0.01, count=0, known=Known.PREDICTED),
        "nothing": Entry(ms=0.0, variance_ms2=0.0, mad_ms=0.0, count=1),
    },
    conditions={
        "device_model": 'Pixel 8: the "blue" one',
        "build": "2026-11-05",
        "runner_version": "1.10",
        "soc": "yes",
        "threads": 1,
        "cores": [6, 7],
        "on_this_computer": False,
    },
    unknown=("kernel",),
    space="mnasnet size=64",
    classes=10,
    made_by="0a1b 2c3d",
    labels=("on the charger", "not rooted: clocks are free"),
    correction=Correction(
        scale=1.1, constant_ms=-0.2, terms_ms={"mbconv": 0.1}, residual_share=0.02, networks=("x",)
    ),
    validations=(
        Validation(date="2026-11-23", numbers={"spearman": 0.99}, additivity_error=0.1),
        Validation(
            date="2026-11-24", numbers={"spearman": 1.0}, additivity_error=0.2, networks=("y",)
        ),
    ),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tables" / "mine.yaml"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    return tmp_path


def read_text(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    return read(path, "mine")


def test_a_table_that_was_written_reads_back_as_it_was(path):
    write(MINE, path)
    found = read(path, "mine")
    assert found == MINE
    assert list(found.entries) == list(MINE.entries)


@pytest.mark.parametrize("seed", range(20))
def test_numbers_read_back_to_the_last_bit(path, seed):
    rng = random.Random(seed)

    def number():
        return rng.choice([0.0, math.exp(rng.uniform(-300, 300)), rng.random(), 1e16, 5e-324])

    entries = {
        str(key): Entry(
            ms=number(), variance_ms2=number(), count=1, mad_ms=rng.choice([None, number()])
        )
        for key in range(20)
    }
    write(LatencyTable(name="table:mine", entries=entries), path)
    assert read(path, "mine").entries == entries


@pytest.mark.parametrize(
    "key",
    ["a: b", "#a", "- a", "? a", "[1]", "yes", "null", "1.5", "2026-11-23", "ключ", "a\tb\n", "'"],
)
def test_keys_that_mean_something_in_yaml_read_back(path, key):
    for entries in ({key: MEDIAN}, {"first": MEDIAN, key: MEDIAN}, {key * 900: MEDIAN}):
        write(LatencyTable(name="table:mine", entries=entries), path)
        assert list(read(path, "mine").entries) == list(entries)


def test_the_same_table_gives_the_same_bytes_and_an_entry_a_line(path):
    write(MINE, path)
    before = path.read_bytes()
    write(read(path, "mine"), path)
    assert path.read_bytes() == before
    assert before.decode() == to_text(MINE)
    lines = before.decode().splitlines()
    assert [line.split(":")[0] for line in lines[-len(MINE.entries) :]] == list(MINE.entries)


def test_a_file_cut_at_any_byte_is_refused(path):
    """With what is wrong, which is that it is damaged or cut."""
    few = {key: MINE.entries[key] for key in ("median", "mean")}
    whole = to_text(replace(MINE, entries=few, validations=MINE.validations[:1]))
    for end in range(len(whole)):
        with pytest.raises(InputError, match=r"mine\.yaml"):
            read_text(path, whole[:end])


def test_an_entry_that_was_lost_is_missed(path):
    lines = to_text(MINE).splitlines(keepends=True)
    with pytest.raises(
        InputError, match="has 4 entries where it says 5: it is cut off or damaged"
    ):
        read_text(path, "".join(lines[:-2] + lines[-1:]))


def test_a_newer_version_is_refused_with_what_helps(path):
    newer = to_text(MINE).replace(f"version: {VERSION}", f"version: {VERSION + 1}")
    with pytest.raises(InputError, match=f"form {VERSION + 1}.*update pocketnas to read it"):
        read_text(path, newer)


HEADER = "pocketnas: {{version: 2, entries: 1{}}}\n"
ENTRY = "a: {median: 1.5, mad: 0.1, count: 3}\n"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (", colour: red", "has 'colour' in 'pocketnas'; there are version, entries"),
        (", labels: hot", "damaged 'pocketnas' entry: 'hot' is no list"),
        (", labels: [1]", "1 is no text"),
        (", classes: ten", "'ten' is no whole number"),
        (", space: [a]", "is no text"),
        (", conditions: {threads: 1.5}", "condition is text or whole numbers, 'threads' is 1.5"),
        (", conditions: {cores: [six]}", "'cores' is"),
        (", correction: {scale: 0}", "needs finite numbers, a positive scale"),
        (", correction: {scale: .nan}", "nan is not finite"),
        (", correction: {slope: 1}", "'slope' is no part of a correction"),
        (", correction: {terms_ms: {conv: fast}}", "'fast' is no number"),
        (", validations: [{date: now}]", "damaged 'pocketnas' entry: 'numbers'"),
        (
            ", validations: [{date: now, numbers: {}, additivity_error: .inf}]",
            "inf is not finite",
        ),
    ],
)
def test_a_header_that_cannot_be_is_refused_with_what_is_wrong(path, more, words):
    with pytest.raises(InputError, match=words):
        read_text(path, HEADER.format(more) + ENTRY)


def test_a_header_of_version_2_says_how_many_entries_there_are(path):
    with pytest.raises(InputError, match="does not say how many entries it has"):
        read_text(path, "pocketnas: {version: 2}\n" + ENTRY)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{median: 1.5, count: 3}", "entry 'a' needs median, mad, count, got"),
        ("{median: 1.5, mad: -0.1, count: 3}", "not negative"),
        ("{median: .nan, mad: 0.1, count: 3}", "nan is not finite"),
        ("{median: 1.5, mad: 0.1, count: 3, mean: 1.5}", "'mean' is no part of it"),
        ("{mean: 1.5, var: 0.1, count: 3, mad: 0.1}", "'mad' is no part of it"),
        ("{median: 1.5, mad: 0.1, count: 3, sessions: -1}", "not negative"),
        ("{median: 1.5, mad: 0.1, count: 3, raw: x}", "'x' is no list"),
        ("{median: 1.5, mad: 0.1, count: 3, known: guessed}", "'guessed' is not a valid Known"),
        ("{median: 1.5, mad: 0.1, count: 0}", "count at least 1"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_with_what_is_wrong(path, entry, words):
    with pytest.raises(InputError, match=words):
        read_text(path, HEADER.format("") + f"a: {entry}\n")


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path):
    with pytest.raises(InputError, match=r"the table '.*nowhere\.yaml' cannot be read: .*No such"):
        read(tmp_path / "nowhere.yaml", "nowhere")


def test_on_a_full_disk_the_table_that_was_there_stays_and_nothing_beside_it(path, monkeypatch):
    write(MINE, path)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperationError, match=r"No space left on device\): make room, or") as no:
        write(replace(MINE, space="another"), path)
    assert str(path) in str(no.value)
    assert read(path, "mine") == MINE
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_refused_with_the_tables_name(path):
    write(MINE, path)
    with pytest.raises(OperationError, match=r"mine\.yaml/below\.yaml' cannot be written"):
        write(MINE, path / "below.yaml")


def test_a_name_stands_for_a_file_in_the_home_folder(home):
    assert path_of("lab-phone") == home / "tables" / "lab-phone.yaml"
    write(MINE, new_path("lab-phone"))
    assert load("lab-phone") == replace(MINE, name="table:lab-phone")


def test_all_tables_are_known_by_name_the_published_ones_first(home):
    assert known_names() == tuple(PUBLISHED)
    for name in ("b", "a", "pixel1"):
        write(MINE, path_of(name))
    (home / "tables" / "notes.txt").write_text("")
    assert known_names() == (*PUBLISHED, "a", "b")


def test_a_file_that_is_called_like_a_published_table_does_not_hide_it(home):
    write(MINE, path_of("pixel1"))
    assert home in path_of("pixel1").parents
    assert len(load("pixel1").entries) == 72


def test_a_new_table_cannot_have_a_published_ones_name(home):
    with pytest.raises(InputError, match="'pixel1' is the published table's name"):
        new_path("pixel1")
    assert not (home / "tables").exists()


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "-x", "x" * 101, "ключ"])
def test_a_name_that_is_no_file_name_is_refused(home, name):
    with pytest.raises(InputError, match="a table's name is letters, digits"):
        new_path(name)
    assert new_path("x" * 100).parent == home / "tables"


def test_a_path_that_is_too_long_for_a_file_is_no_table(home):
    assert home.is_dir()
    with pytest.raises(InputError, match="no table 'xxx"):
        load("x" * 5000)


def test_two_halves_of_a_table_merge_to_the_whole_and_read_back(path):
    keys = list(MINE.entries)
    halves = [
        replace(MINE, entries={key: MINE.entries[key] for key in part})
        for part in (keys[:3], keys[2:])
    ]
    write(merged(*halves), path)
    assert read(path, "mine") == MINE
