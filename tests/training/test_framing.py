import numpy as np
import pytest
import torch

from training.framing import PAD, Frame, drawn, framed, moved, whole

HIGH, WIDE = 60, 100


@pytest.fixture
def image():
    """A bright thing of 30 x 20 pixels on black, and its box."""
    pixels = np.zeros((HIGH, WIDE), dtype=np.uint8)
    pixels[20:40, 50:80] = 250
    box = np.array([[3, 50 / WIDE, 20 / HIGH, 80 / WIDE, 40 / HIGH]], dtype=np.float32)
    return pixels, box


@pytest.mark.parametrize("seed", range(20))
def test_a_box_stays_around_its_thing(image, seed):
    pixels, box = image
    (frame,) = drawn([pixels.shape], 64, (0.5, 2.0), torch.Generator().manual_seed(seed))
    square = framed(pixels, frame, 64)
    assert square.shape == (64, 64)
    ((label, *corners),) = moved(box, frame, 64, least=0.0)
    assert label == 3
    left, top, right, bottom = np.round(corners).astype(int)
    if (right - left) * (bottom - top) < 9:
        return
    assert square[top + 1 : bottom - 1, left + 1 : right - 1].min(initial=255) > 200
    around = square.copy()
    around[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = 0
    assert around.max() <= 128  # padding


def test_a_whole_image_lies_at_the_upper_left_with_padding_below(image):
    pixels, box = image
    frame = whole(pixels.shape, 50)
    square = framed(pixels, frame, 50)
    assert (square[30:] == 128).all()
    assert (square[:30, :24] == 0).all()
    assert moved(box, frame, 50).tolist() == [[3, 25, 10, 40, 20]]


def test_colours_stay_and_a_mirror_image_has_its_boxes_mirrored(image):
    pixels, box = image
    colours = np.stack((pixels, pixels // 2, pixels // 4), axis=2)
    plain, mirrored = (Frame(width=100, height=60, mirrored=turned) for turned in (False, True))
    first, second = framed(colours, plain, 100), framed(colours, mirrored, 100)
    assert np.array_equal(first[:60], colours)
    assert np.array_equal(second, first[:, ::-1])
    assert moved(box, mirrored, 100).tolist() == [[3, 20, 20, 50, 40]]


def test_a_thing_that_is_hardly_seen_any_more_is_padding(image):
    _, box = image
    most, little = (Frame(width=100, height=60, left=left) for left in (70, 74))
    assert moved(box, most, 60).tolist() == [[3, 0, 20, 10, 40]]
    assert moved(box, little, 60)[0, 0] == PAD
    assert moved(box, little, 60, least=0.0)[0].tolist() == [3, 0, 20, 6, 40]


def test_frames_are_drawn_between_the_factors_and_reach_both_edges():
    shapes = [(100, 100)] * 400
    frames = drawn(shapes, 50, (0.5, 2.0), torch.Generator().manual_seed(1))
    widths = [frame.width for frame in frames]
    assert min(widths) >= 25
    assert max(widths) <= 100
    assert np.mean(widths) == pytest.approx(62.5, abs=4)  # false failure 1 in 5,000
    for frame in frames:
        low, high = sorted((0, frame.width - 50))
        assert low <= frame.left <= high
    assert 0.4 < np.mean([frame.mirrored for frame in frames]) < 0.6  # 1 in 10,000
    assert frames == drawn(shapes, 50, (0.5, 2.0), torch.Generator().manual_seed(1))
