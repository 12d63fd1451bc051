from enum import StrEnum

import pytest

from search_space.options import OptionReader
from workspace.errors import InputError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def reader(**given: str) -> OptionReader:
    return OptionReader(given, "toy", ("size", "colour"))


def test_what_is_not_given_is_the_default():
    assert reader().integer("size", 7, low=1, high=9) == 7
    assert reader().member("colour", Colour.BLUE) is Colour.BLUE
    assert "size" not in reader()


def test_text_becomes_a_value():
    given = reader(size=" 9 ", colour="red")
    assert given.integer("size", 7, low=1, high=9) == 9
    assert given.member("colour", Colour.BLUE) is Colour.RED
    assert given.text("colour") == "red"


@pytest.mark.parametrize("text", ["0", "10", "-1", "1.0", "", "nine", "²"])
def test_a_number_out_of_range_or_no_number_is_quoted(text):
    with pytest.raises(InputError, match="'size' of space 'toy' must be a whole number from 1"):
        reader(size=text).integer("size", 7, low=1, high=9)


def test_what_is_no_member_is_quoted():
    with pytest.raises(InputError, match="must be red or blue, got 'green'"):
        reader(colour="green").member("colour", Colour.RED)


def test_an_unknown_option_lists_the_known_ones():
    with pytest.raises(InputError, match="'toy' has no option 'hue', 'tint'; it has size, colour"):
        reader(tint="1", hue="2", size="3")
