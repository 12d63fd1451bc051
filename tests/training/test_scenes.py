import hashlib

import numpy as np
import pytest

from training.scenes import compose

pytest.importorskip("PIL")


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.fixture
def images():
    """Two things: a bright square of 20 pixels, label 3, and a bright bar of 4, label 5."""
    made = np.zeros((2, 28, 28), dtype=np.uint8)
    made[0, 4:24, 4:24] = 250
    made[1, 12:16, 2:26] = 250
    return made, np.array([3, 5])


def test_a_scene_is_a_function_of_its_generator(images):
    first, again, other = (
        compose(rng(seed), *images, size=96, things=4, sides=(14, 44)) for seed in (7, 7, 8)
    )
    assert np.array_equal(first.image, again.image)
    assert first.things == again.things
    assert not np.array_equal(first.image, other.image)


def test_boxes_are_as_tight_as_what_can_be_seen(images):
    black = np.zeros_like(images[0])
    for seed in range(40):
        scene = compose(rng(seed), *images, size=96, things=1, sides=(28, 28))
        (thing,) = scene.things
        # without its thing the scene is the same but for the thing's pixels
        ground = compose(rng(seed), black, images[1], size=96, things=0, sides=(28, 28))
        assert ground.things == ()
        left, top, width, height = thing.box
        assert (width, height) == ((20, 20) if thing.label == 3 else (24, 4))
        inside = scene.image[top : top + height, left : left + width]
        assert inside.mean() > 150
        assert 0 <= left <= 96 - width
        assert 0 <= top <= 96 - height


def test_sides_are_drawn_from_the_smallest_to_the_largest(images):
    square = (images[0][:1], images[1][:1])
    widths = [
        compose(rng(seed), *square, size=128, things=1, sides=(14, 112)).things[0].box[2]
        for seed in range(300)
    ]
    assert min(widths) < 1.3 * 14 * 20 / 28
    assert max(widths) > 112 * 20 / 28 / 1.3
    # evenly in logarithms: half of them below the geometric mean; false failure 1 in 10,000
    middle = (14 * 112) ** 0.5 * 20 / 28
    assert 0.39 < np.mean(np.array(widths) < middle) < 0.61


def test_several_things_hardly_hide_each_other_and_stay_out_where_there_is_no_room(images):
    scenes = [
        compose(rng(seed), *images, size=96, things=12, sides=(28, 40)) for seed in range(20)
    ]
    counts = [len(scene.things) for scene in scenes]
    assert max(counts) > 4
    assert min(counts) < 12
    for scene in scenes:
        seen = np.zeros((96, 96), dtype=int)
        for thing in scene.things:
            left, top, width, height = thing.box
            seen[top : top + height, left : left + width] += 1
        assert (seen >= 3).mean() < 0.02


def test_of_each_thing_three_quarters_can_be_seen_and_its_box_is_around_those():
    whole = np.full((1, 28, 28), 250, dtype=np.uint8)
    cut = 0
    for seed in range(60):
        scene = compose(rng(seed), whole, np.array([0]), size=96, things=6, sides=(14, 80))
        above = np.zeros((96, 96), dtype=bool)
        for thing in reversed(scene.things):
            left, top, width, height = thing.box
            window = (slice(top, top + height), slice(left, left + width))
            seen = ~above[window]
            assert seen.sum() >= 0.75 * max(width, height) ** 2
            assert seen[[0, -1]].any(1).all()
            assert seen[:, [0, -1]].any(0).all()
            above[window] = True
            cut += width != height
    assert cut > 5


def test_scenes_of_one_thing_are_those_of_before_things_were_kept_from_being_hidden(images):
    digest = hashlib.sha256()
    for seed in range(50):
        scene = compose(rng(seed), *images, size=96, things=1, sides=(14, 90))
        digest.update(scene.image.tobytes() + repr(scene.things).encode())
    assert digest.hexdigest()[:16] == "b675ad22eb8d164a"


def test_clutter_is_pieces_never_a_whole_thing(images):
    square = (images[0][:1], images[1][:1])
    for seed in range(20):
        scene = compose(rng(seed), *square, size=96, things=0, sides=(28, 28))
        assert scene.things == ()
        assert (scene.image > 100).mean() > 0.01


def test_black_images_give_no_thing(images):
    scene = compose(rng(), np.zeros_like(images[0]), images[1], size=64, things=3, sides=(20, 30))
    assert scene.things == ()
