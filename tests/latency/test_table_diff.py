import math

import pytest

from latency.table import Entry, LatencyTable
from latency.table_diff import Moved, TableDiff


def table(name="first", conditions=None, space="", classes=0, **ms):
    return LatencyTable(
        name=f"table:{name}",
        entries={key: Entry(ms=each, variance_ms2=0.0, count=1) for key, each in ms.items()},
        conditions=conditions or {},
        space=space,
        classes=classes,
    )


def test_a_table_is_like_itself():
    mine = table(a=1.0, b=2.0, c=0.0, conditions={"threads": 1}, space="proxyless")
    found = TableDiff.of(mine, mine)
    assert not found.conditions
    assert found.only_first == found.only_second == ()
    assert found.median_ratio == 1.0
    assert found.mad_log_ratio == 0.0
    assert found.spearman == pytest.approx(1.0)
    assert found.by_ratio(9) == found.by_ms(9) == ()


def test_what_one_of_them_lacks_is_told_in_the_order_of_the_other():
    found = TableDiff.of(table(d=1, b=1, a=1), table(c=1, b=2, e=1))
    assert found.only_first == ("d", "a")
    assert found.only_second == ("c", "e")
    assert found.common == (Moved(key="b", first_ms=1, second_ms=2),)


def test_ratios_are_those_of_the_second_over_the_first():
    found = TableDiff.of(table(a=1, b=2, c=4), table(a=2, b=3, c=4))
    assert found.median_ratio == pytest.approx(1.5)
    logs = [math.log(2), math.log(1.5), 0.0]
    assert found.mad_log_ratio == pytest.approx(min(logs[0] - logs[1], logs[1] - logs[2]))


def test_a_device_that_is_slower_throughout_has_one_ratio_and_the_same_order():
    ms = {"a": 0.3, "b": 5.0, "c": 1.0, "d": 2.0}
    found = TableDiff.of(table(**ms), table(**{key: 1.7 * each for key, each in ms.items()}))
    assert found.median_ratio == pytest.approx(1.7)
    assert found.mad_log_ratio == pytest.approx(0.0, abs=1e-12)
    assert found.spearman == pytest.approx(1.0)


def test_tables_in_opposite_order_are_correlated_the_other_way():
    assert TableDiff.of(table(a=1, b=2, c=3), table(a=3, b=2, c=1)).spearman == pytest.approx(-1.0)


def test_where_nothing_is_in_common_nothing_is_said_of_it():
    found = TableDiff.of(table(a=1), table(b=1))
    assert found.median_ratio is None
    assert found.mad_log_ratio is None
    assert found.spearman is None
    assert found.by_ratio(3) == ()


def test_one_entry_in_common_has_a_ratio_and_no_order():
    found = TableDiff.of(table(a=1), table(a=3))
    assert found.median_ratio == pytest.approx(3.0)
    assert found.mad_log_ratio == 0.0
    assert found.spearman is None


def test_what_moved_by_the_largest_ratio_either_way_comes_first():
    found = TableDiff.of(table(a=10, b=1, c=1, d=1), table(a=20, b=0.2, c=1, d=3))
    assert [each.key for each in found.by_ratio(9)] == ["b", "d", "a"]
    assert [each.key for each in found.by_ratio(2)] == ["b", "d"]
    assert [each.key for each in found.by_ms(9)] == ["a", "d", "b"]
    assert [each.by_ms for each in found.by_ms(9)] == pytest.approx([10, 2, -0.8])


def test_an_entry_that_took_no_time_has_no_ratio_and_comes_first():
    """Where it takes none in both, it has not moved."""
    found = TableDiff.of(table(a=0, b=1, c=0, d=1), table(a=2, b=0, c=0, d=4))
    assert [(each.key, each.log_ratio) for each in found.by_ratio(9)] == [
        ("a", math.inf),
        ("b", -math.inf),
        ("d", pytest.approx(math.log(4))),
    ]
    assert found.median_ratio == pytest.approx(4.0)
    assert found.common[2].log_ratio == 0.0


def test_tiny_times_have_ratios_too():
    """Whose quotient would be infinite, or nothing."""
    found = TableDiff.of(table(a=1e-300, b=1e200), table(a=1e200, b=1e-300))
    assert [each.log_ratio for each in found.common] == pytest.approx(
        [500 * math.log(10), -500 * math.log(10)]
    )


def test_conditions_that_differ_are_told_with_both_values():
    found = TableDiff.of(
        table(conditions={"threads": 1, "unit": "x", "soc": "s"}, a=1),
        table(conditions={"threads": 4, "unit": "x", "cores": [6, 7]}, a=1),
    )
    assert found.conditions == {
        "threads": "1 and 4",
        "soc": "'s' and not told",
        "cores": "not told and [6, 7]",
    }


def test_another_space_and_other_classes_are_other_conditions():
    found = TableDiff.of(
        table(space="mnasnet", classes=10, a=1), table(space="proxyless", classes=0, a=1)
    )
    assert found.conditions == {
        "space": "'mnasnet' and 'proxyless'",
        "classes": "10 and not told",
    }
