from dataclasses import replace
from types import SimpleNamespace

import pytest

from latency.space_parts import SpaceParts
from latency.table import Entry, Known, LatencyTable
from latency.table_coverage import Coverage
from latency.table_file import load
from search_space.architecture import Classifier
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

SPACE = ProxylessSpace(size=64)
HEAD = Classifier(classes=10)
KEYS = [part.key for part in SpaceParts.of(SPACE, HEAD).signatures()]
MEASURED = Entry(ms=1.0, variance_ms2=0.0, count=1)
PREDICTED = replace(MEASURED, count=0, known=Known.PREDICTED)


def table(entries):
    return LatencyTable(name="table:mine", entries=entries)


def opaque(space):
    """The same networks, of a space that does not tell which decisions make what."""
    return SimpleNamespace(
        name=space.name,
        points=space.points,
        count=space.count,
        decode=space.decode,
        encode=space.encode,
    )


def test_the_published_table_covers_its_space_whole():
    assert Coverage.of(load("pixel1"), ProxylessSpace(), Classifier(classes=1000)) == Coverage(
        parts=72, measured=72, predicted=0, missing=(), networks=1.0, exact=True
    )


def test_a_part_that_is_missing_is_named_and_networks_with_it_are_not_covered():
    found = Coverage.of(table({key: MEASURED for key in KEYS if key != KEYS[1]}), SPACE, HEAD)
    assert found.missing == (KEYS[1],)
    assert found.measured == found.parts - 1 == len(KEYS) - 1
    # of three kernels that each network's first block has one of
    assert found.networks == pytest.approx(2 / 3, abs=0.15)


def test_missing_parts_are_told_from_input_to_output():
    left = set(KEYS[::7])
    found = Coverage.of(table({key: MEASURED for key in KEYS if key not in left}), SPACE, HEAD)
    assert found.missing == tuple(KEYS[::7])


def test_without_what_all_networks_have_none_is_covered():
    found = Coverage.of(table(dict.fromkeys(KEYS[1:], MEASURED)), SPACE, HEAD)
    assert found.missing == (KEYS[0],)
    assert found.networks == 0.0


def test_what_is_predicted_covers_and_is_counted_apart():
    entries = {**dict.fromkeys(KEYS, MEASURED), **dict.fromkeys(KEYS[:5], PREDICTED)}
    found = Coverage.of(table(entries), SPACE, HEAD)
    assert (found.measured, found.predicted) == (len(KEYS) - 5, 5)
    assert found.missing == ()
    assert found.networks == 1.0


def test_entries_of_other_spaces_say_nothing():
    entries = {**dict.fromkeys(KEYS, MEASURED), "somewhere-else": MEASURED}
    found = Coverage.of(table(entries), SPACE, HEAD)
    assert found.measured == found.parts == len(KEYS)


def test_a_table_of_another_size_covers_nothing():
    found = Coverage.of(table(dict.fromkeys(KEYS, MEASURED)), ProxylessSpace(size=128), HEAD)
    assert found.measured < found.parts
    assert found.networks == 0.0


def test_other_classes_are_another_last_part():
    entries = dict.fromkeys(KEYS, MEASURED)
    (missing,) = Coverage.of(table(entries), SPACE, Classifier(classes=11)).missing
    assert missing.endswith("output:11")


def test_of_a_space_that_does_not_tell_its_parts_those_of_random_networks_are_counted():
    found = Coverage.of(table(dict.fromkeys(KEYS[:-1], MEASURED)), opaque(SPACE), HEAD)
    assert not found.exact
    assert found.missing == (KEYS[-1],)
    assert found.parts == len(KEYS)  # 200 networks show all of so few
    few = Coverage.of(table({"x": MEASURED}), opaque(MnasNetSpace(size=64)), HEAD)
    whole = Coverage.of(table({"x": MEASURED}), MnasNetSpace(size=64), HEAD)
    assert few.parts < whole.parts
    assert set(few.missing) < set(whole.missing)


def test_the_same_space_has_the_same_coverage_each_time():
    mine = table(dict.fromkeys(KEYS[::2], MEASURED))
    assert Coverage.of(mine, opaque(SPACE), HEAD) == Coverage.of(mine, opaque(SPACE), HEAD)


def test_a_space_of_networks_without_parts_is_refused():
    class Foreign:
        family = "transformer"

    space = opaque(SPACE)
    space.decode = lambda _: Foreign()
    with pytest.raises(InputError, match="a network of family transformer is no sum of parts"):
        Coverage.of(table(dict.fromkeys(KEYS, MEASURED)), space, HEAD)
