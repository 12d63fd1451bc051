from dataclasses import replace

import numpy as np
import pytest

from latency.correction import Whole, corrected_ms, short
from latency.signatures import distinct, parts_of
from latency.table import Condition, Correction, Entry, LatencyTable
from latency.table_plan import random_networks
from latency.table_validation import compare, require_conditions, validate
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

SUBJECTS = random_networks(ProxylessSpace(size=64), Classifier(classes=10), 40, seed=3)
PARTS = [parts_of(each.architecture, each.head) for each in SUBJECTS]
TABLE = LatencyTable(
    name="table:mine",
    entries={
        part.key: Entry(ms=1e-3 + part.macs / 2e7, variance_ms2=0.0, count=1)
        for part in distinct(PARTS)
    },
    correction=Correction(scale=1.1, constant_ms=0.1, residual_share=0.01, networks=("x",)),
)


def measured(factor=1.0, noise=0.01, count=40):
    rng = np.random.default_rng(0)
    return [
        Whole(
            key=subject.architecture.key,
            parts=parts,
            latency_ms=factor
            * corrected_ms(TABLE.correction, TABLE.entries, parts)
            * float(rng.lognormal(0, noise)),
        )
        for subject, parts in zip(SUBJECTS, PARTS, strict=True)
    ][:count]


def test_a_table_of_a_device_that_is_as_it_was_raises_no_alarm():
    found = compare(TABLE, measured())
    assert found.alarm == ""
    assert found.accuracy.within_5 == 1.0
    assert found.accuracy.spearman > 0.99
    assert abs(found.bias) < 0.01
    assert found.additivity_error > 0.08  # the plain sums lack a scale of 1.1


@pytest.mark.parametrize("factor", [1.05, 0.95, 1.5])
def test_a_device_that_has_drifted_raises_the_alarm_with_by_how_much(factor):
    alarm = compare(TABLE, measured(factor)).alarm
    assert f"it takes {compare(TABLE, measured(factor)).bias:+.1%} against the table" in alarm
    assert "build the table again" in alarm


def test_a_table_that_is_off_now_this_way_now_that_raises_the_alarm_too():
    assert "off by up to" in compare(TABLE, measured(noise=0.12)).alarm


def test_a_validation_is_kept_beside_the_earlier_ones():
    once = validate(TABLE, measured())
    twice = validate(once, measured(count=10))
    assert [v.numbers["networks"] for v in twice.validations] == [40, 10]
    assert twice.validations[0] == once.validations[0]
    assert twice.validations[0].networks == tuple(short(w.key) for w in measured())


def test_networks_that_it_was_fitted_to_cannot_validate_it():
    one = measured()[7]
    fitted = replace(TABLE, correction=Correction(networks=(short(one.key),)))
    with pytest.raises(InputError, match="was fitted to chain_64px"):
        compare(fitted, measured())


def test_too_few_networks_are_refused():
    with pytest.raises(InputError, match="at least 5 networks, got 4"):
        compare(TABLE, measured(count=4))


CONDITIONS: dict[str, Condition] = {
    "device_model": "Pixel 8",
    "unit": "a",
    "threads": 1,
    "core_khz": [1, 2],
}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("threads", 4, "threads: 1 and 4"),
        ("device_model", "Pixel 9", "device_model: 'Pixel 8' and 'Pixel 9'"),
        ("core_khz", [1, 3], r"core_khz: \[1, 2\] and \[1, 3\]"),
        ("unit", "b", "unit: 'a' and 'b'"),
    ],
)
def test_a_table_of_other_conditions_is_refused_with_the_field_that_differs(name, value, words):
    table = replace(TABLE, conditions=CONDITIONS)
    with pytest.raises(InputError, match=f"other conditions than the device at hand .{words}"):
        require_conditions("table:mine", table.conditions, {**CONDITIONS, name: value})


def test_a_table_of_several_units_is_one_of_each():
    table = replace(TABLE, conditions={**CONDITIONS, "unit": "a b"})
    require_conditions("table:mine", table.conditions, {**CONDITIONS, "unit": "b"})
    with pytest.raises(InputError, match="unit: 'a b' and 'c'"):
        require_conditions("table:mine", table.conditions, {**CONDITIONS, "unit": "c"})


def test_a_condition_that_a_published_table_does_not_tell_is_no_difference():
    require_conditions("table:mine", {"threads": 1}, CONDITIONS)
