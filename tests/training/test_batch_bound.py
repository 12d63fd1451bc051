from types import SimpleNamespace

import pytest

from training.batch_bound import bounded


def examples(frames=1):
    """Images, or clips of some frames."""
    return SimpleNamespace(frames=frames)


@pytest.mark.parametrize(
    ("size", "frames", "expected"),
    [(28, 1, 250), (128, 1, 250), (224, 1, 81), (480, 1, 17), (128, 16, 15), (3000, 1, 1)],
)
def test_as_many_examples_are_seen_at_once_as_their_pixels_allow(size, frames, expected):
    assert bounded(250, examples(frames), size) == expected


def test_a_task_may_have_a_bound_of_its_own():
    assert bounded(250, examples(), 10, pixels=700) == 7
    assert bounded(5, examples(), 10, pixels=700) == 5
