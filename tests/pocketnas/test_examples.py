import random

import pytest

from pocketnas.examples import examples_of
from search_space import catalog
from search_space.space import create


@pytest.fixture
def clips():
    space = create("assemblenet_mobile", {"size": "32", "frames": "4", "dilations": "1"})
    return space.decode(space.points.sample(random.Random(0)))


def test_networks_are_trained_on_images_or_clips_or_both(clips):
    images = catalog.resolve("mobilenet-v2")
    assert examples_of(images, images).many == "images"
    assert (examples_of(clips).one, examples_of(clips).many) == ("clip", "clips")
    assert examples_of(images, clips).many == "examples"
