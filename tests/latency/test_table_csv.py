import math
import random

import pytest

from latency.table import Entry, Known, LatencyTable, variance_of
from latency.table_csv import COLUMNS, from_csv, to_csv
from latency.table_file import load
from workspace.errors import InputError

MEASURED = Entry(
    ms=1.25,
    variance_ms2=variance_of(0.1),
    mad_ms=0.1,
    count=40,
    sessions=5,
    date="2026-11-23",
    raw=("0f3a", "77c1"),
)
PREDICTED = Entry(ms=0.75, variance_ms2=0.01, count=0, known=Known.PREDICTED)


def table(**entries):
    return LatencyTable(name="table:mine", entries=entries)


def read(text):
    return from_csv(text.encode(), "'mine.csv'")


def random_entry(rng):
    """Any that can be, of numbers that need all their digits."""
    mad_ms = rng.choice([None, 0.0, rng.uniform(0, 1)])
    follows = mad_ms is not None and rng.random() < 0.5
    known = rng.choice(list(Known))
    return Entry(
        ms=rng.choice([0.0, math.exp(rng.uniform(-30, 30))]),
        variance_ms2=variance_of(mad_ms or 0.0) if follows else rng.uniform(0, 1),
        mad_ms=mad_ms,
        count=rng.randint(1 if known is Known.MEASURED else 0, 10**6),
        sessions=rng.randint(0, 99),
        date=rng.choice(["", "2026-11-23", "2026-11-23T12:30:00+01:00"]),
        raw=tuple(f"{rng.getrandbits(64):016x}" for _ in range(rng.randint(0, 3))),
        known=known,
    )


@pytest.mark.parametrize("seed", range(20))
def test_entries_read_back_to_the_last_bit_and_in_their_order(seed):
    rng = random.Random(seed)
    entries = {f"layer-{rng.random()}": random_entry(rng) for _ in range(20)}
    found = read(to_csv(table(**entries)))
    assert found == entries
    assert list(found) == list(entries)


def test_the_published_table_reads_back():
    published = load("pixel1")
    assert read(to_csv(published)) == published.entries


@pytest.mark.parametrize("key", ['a,"b"', "a\nb", "café ☕", "#a", "=SUM(A1)", "a:b", "0"])
def test_keys_of_any_characters_read_back(key):
    assert read(to_csv(table(**{key: MEASURED}))) == {key: MEASURED}


def test_only_columns_that_say_something_are_written():
    bare = Entry(ms=1.5, variance_ms2=0.25, count=3)
    assert to_csv(table(a=bare)) == "key,mean_ms,variance_ms2,count\na,1.5,0.25,3\n"
    assert to_csv(table(a=MEASURED, b=PREDICTED)).splitlines() == [
        "key,median_ms,mad_ms,mean_ms,variance_ms2,count,sessions,date,known,raw",
        "a,1.25,0.1,,,40,5,2026-11-23,,0f3a 77c1",
        "b,,,0.75,0.01,0,,,predicted,",
    ]


def test_a_key_and_a_time_are_enough():
    assert read("key,mean_ms\na,1.5\n") == {"a": Entry(ms=1.5, variance_ms2=0.0, count=1)}
    assert read("median_ms,key\n1.5,a\n") == {
        "a": Entry(ms=1.5, variance_ms2=0.0, mad_ms=0.0, count=1)
    }


def test_a_spread_of_the_other_form_is_turned_over_as_a_normal_distribution_has_it():
    (mean,) = read("key,mean_ms,mad_ms\na,1.5,0.1\n").values()
    assert mean.mad_ms is None
    assert mean.variance_ms2 == pytest.approx(0.14826**2)
    (median,) = read("key,median_ms,variance_ms2\na,1.5,0.04\n").values()
    assert median.mad_ms == pytest.approx(0.2 / 1.4826)
    assert median.variance_ms2 == 0.04


def test_what_spreadsheets_add_is_no_fault():
    """A mark of the encoding, other line breaks, spaces around cells, an empty line."""
    text = "\ufeffkey, mean_ms ,count\r\na, 1.5 , 3 \r\n\r\nb,2.5,\r\n"
    assert read(text) == {
        "a": Entry(ms=1.5, variance_ms2=0.0, count=3),
        "b": Entry(ms=2.5, variance_ms2=0.0, count=1),
    }


def test_a_key_that_comes_twice_is_refused_with_both_lines():
    with pytest.raises(InputError, match="line 4, column key: 'a' is on line 2 already"):
        read("key,mean_ms\na,1\nb,2\na,1\n")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("mean_ms", "line 1, lacks the column key; it has mean_ms"),
        ("key", "line 1, lacks the column median_ms or mean_ms; it has key"),
        ("key,count", "lacks the column median_ms or mean_ms; it has key, count"),
        ("key,mean_ms,mean", f"the column 'mean' is unknown; there can be {', '.join(COLUMNS)}"),
        ("key,mean_ms,", "the column '' is unknown"),
        ("key,mean_ms,key", "the column 'key' comes twice"),
        ("key;mean_ms", "lacks the column key; it has key;mean_ms"),
        ("Key,mean_ms", "lacks the column key"),
    ],
)
def test_columns_that_are_missing_or_wrong_are_named(names, words):
    with pytest.raises(InputError, match=words) as refused:
        read(f"{names}\na,1\n")
    assert str(refused.value).startswith("'mine.csv'")


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("mean_ms", "-1.5", "'-1.5' must be finite and not negative"),
        ("mean_ms", "nan", "'nan' must be finite"),
        ("mean_ms", "inf", "'inf' must be finite"),
        ("mean_ms", "1e300", "'1e300' must be finite"),
        ("mean_ms", "fast", "'fast' is no number"),
        ("mean_ms", "1_000", "'1_000' is no number"),
        ("mean_ms", "1.5 ms", "'1.5 ms' is no number"),
        ("variance_ms2", "-0.1", "'-0.1' must be finite and not negative"),
        ("variance_ms2", "NaN", "'NaN' must be finite"),
        ("mad_ms", "-0.1", "'-0.1' must be finite and not negative"),
        ("count", "0", "'0' is no whole number from 1"),
        ("count", "-3", "'-3' is no whole number"),
        ("count", "2.5", "'2.5' is no whole number"),
        ("sessions", "-1", "'-1' is no whole number from 0"),
        ("sessions", "9" * 16, "is no whole number"),
        ("date", "23/11/2026", "'23/11/2026' is no date like 2026-11-23"),
        ("known", "guessed", "'guessed' is none of measured, predicted"),
        ("key", "", "'' is no key"),
        ("key", " a", "' a' is no key"),
        ("key", "pocketnas", "'pocketnas' is no key"),
    ],
)
def test_a_cell_that_cannot_be_is_refused_with_its_line_and_column(column, cell, words):
    cells = {"key": "b", "mean_ms": "1.5", column: cell}
    text = f"{','.join(cells)}\n{'a,1' + ',' * (len(cells) - 2)}\n{','.join(cells.values())}\n"
    with pytest.raises(InputError, match=words) as refused:
        read(text)
    assert str(refused.value).startswith(f"'mine.csv', line 3, column {column}: ")


@pytest.mark.parametrize("cells", ["a,,", "a,1,2"])
def test_a_row_has_one_time_and_one_only(cells):
    with pytest.raises(InputError, match="line 2, column mean_ms: a row needs median_ms or mean"):
        read(f"key,median_ms,mean_ms\n{cells}\n")


def test_a_row_without_its_only_time_is_refused():
    with pytest.raises(InputError, match="line 2, column median_ms: a row needs"):
        read("key,median_ms\na,\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"key,mean_ms\n", "has no rows"),
        (b"key,mean_ms\n\n\n", "has no rows"),
        (b"key,mean_ms\n\xff\xfe,1\n", "is no text in UTF-8"),
        (b'key,mean_ms\n"a,1\nb,2\n', "is no CSV"),
        (b'key,mean_ms\n"a"b,1\n', "line 2, is no CSV"),
        (b"key,mean_ms\na,1,2\n", "line 2, column mean_ms: 3 cells where line 1 has 2"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_is_wrong(content, words):
    with pytest.raises(InputError, match=words):
        from_csv(content, "'mine.csv'")


def test_a_file_cut_before_its_last_cell_is_refused_with_the_column_that_is_lost():
    text = to_csv(table(a=MEASURED, b=MEASURED))
    lines = text.splitlines()
    for column, lost in enumerate(lines[0].split(",")[1:], start=1):
        cut = "\n".join((*lines[:2], ",".join(lines[2].split(",")[:column])))
        with pytest.raises(InputError, match=f"line 3, column {lost}: {column} cells where"):
            read(cut)


def test_a_file_cut_anywhere_never_changes_the_rows_before_the_cut():
    entries = dict.fromkeys("abc", MEASURED)
    text = to_csv(table(**entries))
    kept = 0
    for end in range(len(text)):
        try:
            found = read(text[:end])
        except InputError:
            continue
        kept += 1
        whole = list(found.items())[:-1]
        assert all(entry == MEASURED for _, entry in whole)
        assert list(found) == list("abc")[: len(found)]
    assert kept > 0
