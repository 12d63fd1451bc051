import pytest

from search_space.frame_options import FRAME, read_frame, read_width
from search_space.options import OptionReader
from search_space.strides import Strides
from workspace.errors import InputError


def reader(**options):
    return OptionReader(options, "any", (*FRAME, "width"))


def test_what_is_not_given_is_as_published():
    assert read_frame(reader()) == {
        "size": 224,
        "channels": 3,
        "strides": Strides.PUBLISHED,
        "stem_filters": 32,
        "head_filters": 1280,
    }
    assert read_width(reader()) is None


def test_what_is_given_counts():
    found = read_frame(reader(size="28", channels="1", strides="small", stem_filters="16"))
    assert (found["size"], found["channels"], found["stem_filters"]) == (28, 1, 16)
    assert found["strides"] is Strides.SMALL
    assert read_width(reader(width="0.5")) == 0.5


@pytest.mark.parametrize("option", [{"size": "0"}, {"channels": "65"}, {"head_filters": "x"}])
def test_what_is_out_of_range_is_named(option):
    (name,) = option
    with pytest.raises(InputError, match=f"option '{name}' of space 'any' must be a whole number"):
        read_frame(reader(**option))
