import pytest

from latency.presets import PRESETS, SEARCH, at_least, preset, rank
from workspace.errors import InputError


def test_an_unknown_preset_is_refused_with_the_known_ones():
    assert preset("search") is SEARCH
    with pytest.raises(InputError, match=r"'thorough'; there are quick, search, final"):
        preset("thorough")


def test_presets_are_ordered_by_how_hard_they_try():
    assert list(PRESETS) == ["quick", "search", "final"]
    assert [rank(name) for name in PRESETS] == [0, 1, 2]
    assert at_least("quick") == ("quick", "search", "final")
    assert at_least("mine") == ("mine",)
