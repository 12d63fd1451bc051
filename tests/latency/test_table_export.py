import dataclasses

import pytest
import yaml

from latency.table import Correction, Entry, Known, LatencyTable, Validation, variance_of
from latency.table_csv import from_csv
from latency.table_export import ExportForm, exported, left_out, untrue
from latency.table_file import load
from latency.table_reader import from_text
from workspace.errors import InputError

MEAN = Entry(ms=1.5, variance_ms2=0.25, count=949)
MEDIAN = Entry(
    ms=1.25,
    variance_ms2=variance_of(0.1),
    mad_ms=0.1,
    count=40,
    sessions=5,
    date="2026-11-23",
    raw=("0f3a",),
)
PREDICTED = Entry(ms=0.75, variance_ms2=0.01, count=0, known=Known.PREDICTED)


def table(*entries, **more):
    keys = (f"layer-{number}" for number in range(len(entries)))
    return LatencyTable(name="table:mine", entries=dict(zip(keys, entries, strict=True)), **more)


FULL = table(
    MEDIAN,
    MEDIAN,
    PREDICTED,
    conditions={"device_model": "Pixel 8", "threads": 1, "cores": [6, 7]},
    unknown=("soc",),
    space="proxyless",
    classes=1000,
    head="detector",
    made_by="abc",
    labels=("on the charger",),
    correction=Correction(scale=1.1, constant_ms=0.2, networks=("x",)),
    validations=(Validation(date="2026-11-23", numbers={"spearman": 1.0}, additivity_error=0.1),),
)


def read(text, name="table:mine"):
    return from_text(text.encode(), name, "the export")


@pytest.mark.parametrize("mine", [FULL, table(MEAN), table(MEDIAN, MEAN, PREDICTED)])
def test_as_ours_a_table_loses_nothing(mine):
    assert read(exported(mine, ExportForm.POCKETNAS)) == mine
    assert left_out(mine, ExportForm.POCKETNAS) == ()


def test_as_csv_all_entries_are_there_of_any_kind():
    mine = table(MEDIAN, MEAN, PREDICTED)
    assert from_csv(exported(mine, ExportForm.CSV).encode(), "x") == mine.entries


def test_means_of_measurements_are_written_as_proxylessnas_published_them():
    text = exported(table(MEAN, MEAN), ExportForm.PROXYLESS)
    assert yaml.safe_load(text) == {
        "layer-0": {"count": 949, "mean": 1.5, "var": 0.25},
        "layer-1": {"count": 949, "mean": 1.5, "var": 0.25},
    }


def test_the_published_table_is_the_same_again():
    published = load("pixel1")
    found = read(exported(published, ExportForm.PROXYLESS))
    assert found.entries == published.entries
    assert list(found.entries) == list(published.entries)


@pytest.mark.parametrize(
    ("entries", "misstated"),
    [
        ((MEDIAN, MEAN, MEDIAN), "2 medians,"),
        ((MEAN, PREDICTED), "1 predicted entries,"),
        ((MEDIAN, PREDICTED, PREDICTED), "1 medians and 2 predicted entries,"),
    ],
)
def test_what_proxylessnas_would_take_for_means_is_refused_with_what_it_is(entries, misstated):
    with pytest.raises(InputError, match=f"table:mine has {misstated} which would") as refused:
        exported(table(*entries), ExportForm.PROXYLESS)
    assert "say --lossy" in str(refused.value)
    assert "csv" in str(refused.value)


def test_it_is_written_all_the_same_if_it_may_be_lossy():
    """What is predicted has a count, as readers of that form divide by it."""
    text = exported(table(MEDIAN, PREDICTED), ExportForm.PROXYLESS, lossy=True)
    assert yaml.safe_load(text) == {
        "layer-0": {"count": 40, "mean": 1.25, "var": variance_of(0.1)},
        "layer-1": {"count": 1, "mean": 0.75, "var": 0.01},
    }


@pytest.mark.parametrize("form", [ExportForm.POCKETNAS, ExportForm.CSV])
def test_forms_that_misstate_nothing_refuse_nothing(form):
    assert exported(FULL, form, lossy=False) == exported(FULL, form, lossy=True)


def test_a_table_of_measured_means_has_nothing_untrue():
    assert untrue(table(MEAN)) == ()
    assert untrue(FULL) == ("2 medians", "1 predicted entries")


BESIDE_ENTRIES = (
    "space",
    "classes",
    "head",
    "made_by",
    "conditions",
    "unknown",
    "labels",
    "correction",
    "validations",
)


def test_what_a_form_has_no_place_for_is_told():
    assert left_out(FULL, ExportForm.CSV) == BESIDE_ENTRIES
    more = ("sessions and dates", "names of raw data")
    assert left_out(FULL, ExportForm.PROXYLESS) == (*BESIDE_ENTRIES, *more)


def test_what_is_left_out_is_all_that_a_table_read_back_lacks():
    """Whatever is not named is there again: no field of a table is forgotten here."""
    fields = {field.name for field in dataclasses.fields(LatencyTable)}
    assert fields - set(left_out(FULL, ExportForm.CSV)) == {"name", "entries"}


@pytest.mark.parametrize("form", ExportForm)
def test_of_a_table_that_tells_nothing_more_nothing_is_left_out(form):
    assert left_out(table(MEAN), form) == ()


@pytest.mark.parametrize("form", ExportForm)
def test_the_same_table_gives_the_same_text(form):
    assert exported(FULL, form, lossy=True) == exported(FULL, form, lossy=True)
    assert exported(FULL, form, lossy=True).endswith("\n")


def test_keys_of_any_length_and_characters_survive_every_form():
    keys = ("a: b", "ключ", "x" * 2000, "[1, 2]", "yes", "1.5")
    mine = LatencyTable(name="table:mine", entries=dict.fromkeys(keys, MEAN))
    for form in (ExportForm.POCKETNAS, ExportForm.PROXYLESS):
        assert list(read(exported(mine, form)).entries) == list(keys)
    assert list(from_csv(exported(mine, ExportForm.CSV).encode(), "x")) == list(keys)
