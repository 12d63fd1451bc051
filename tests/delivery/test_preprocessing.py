from dataclasses import replace

import pytest

from delivery.preprocessing import Preparation, labels_of, preparation_of
from training.digits import Digits
from training.task import Preprocessing
from workspace.errors import InputError


class Unsaid(Digits):
    labels = None  # type: ignore[assignment]  # its base is a task that says them
    preprocessing = None  # type: ignore[assignment]


class Wrong(Digits):
    labels = ("one", "two")


def test_what_the_task_says_is_taken(network):
    found = preparation_of(network)
    assert (found.size, found.channels, found.pixels.channels) == (16, 1, 1)
    assert labels_of(network) == tuple("0123456789")
    assert "16 x 16" in found.words()


def test_what_nobody_says_is_not_known(network):
    for silent in (replace(network, task=None), replace(network, task=Unsaid())):
        assert preparation_of(silent) is None
        assert labels_of(silent) is None


def test_labels_of_another_number_of_classes_are_refused(network):
    with pytest.raises(InputError, match="10 labels"):
        labels_of(replace(network, task=Wrong()))


def test_numbers_that_make_no_sense_are_refused():
    grey = Preprocessing(channels=1, mean=(0.5,), std=(0.0,))
    with pytest.raises(InputError, match="need a mean and a deviation"):
        Preparation(size=8, channels=1, pixels=grey)
    cut = Preprocessing(channels=1, mean=(0.5,), std=(1.0,), crop=1.5)
    with pytest.raises(InputError, match=r"share in .0, 1., got 1.5"):
        Preparation(size=8, channels=1, pixels=cut)
    colours = Preprocessing(channels=3, mean=(0.5,) * 3, std=(1.0,) * 3)
    with pytest.raises(InputError, match="takes 1 channels"):
        Preparation(size=8, channels=1, pixels=colours)


def test_a_grey_picture_for_a_network_of_colours_is_repeated():
    grey = Preprocessing(channels=1, mean=(0.5,), std=(0.5,))
    made = Preparation(size=8, channels=3, pixels=grey)
    assert "repeated 3 times" in made.words()
    assert made.to_json()["colours"] == 1


def test_the_middle_of_a_picture_is_said_to_people_and_programs():
    pixels = Preprocessing(channels=3, mean=(0.5,) * 3, std=(0.5,) * 3, crop=0.875)
    made = Preparation(size=8, channels=3, pixels=pixels)
    assert "the middle 0.875 of the shorter side, resized" in made.words()
    assert made.to_json()["crop"] == 0.875
