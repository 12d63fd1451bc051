import pytest
import torch

from training.randaugment import (
    FILL,
    Operation,
    changed,
    changed_clips,
    randaugmented,
    randaugmented_clips,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def colours(count=4, size=20):
    return torch.rand(count, 3, size, size, generator=generator(9))


def after(operation, magnitude, images=None):
    return changed(colours() if images is None else images, operation, magnitude, generator())


def test_pixels_change_as_much_as_the_published_code_says():
    images = colours()
    assert torch.equal(after(Operation.INVERT, 5), 1 - images)
    below = images < 128 / 255
    assert torch.equal(after(Operation.SOLARIZE, 5), torch.where(below, images, 1 - images))
    assert torch.equal(after(Operation.SOLARIZE, 10), images)
    added = torch.where(below, images + 55 / 255, images)
    assert torch.allclose(after(Operation.SOLARIZE_ADD, 5), added)
    assert torch.allclose(after(Operation.BRIGHTNESS, 15), (2.8 * images).clamp(max=1))
    assert torch.allclose(after(Operation.BRIGHTNESS, 6.667), (1.30006 * images).clamp(max=1))


@pytest.mark.parametrize(("magnitude", "shades"), [(1, 2), (5, 4), (10, 16), (30, 256)])
def test_posterize_keeps_more_bits_the_larger_the_magnitude_and_never_none(magnitude, shades):
    ramp = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16)
    assert len(after(Operation.POSTERIZE, magnitude, ramp).unique()) == shades


@pytest.mark.parametrize(
    "operation",
    [Operation.COLOR, Operation.CONTRAST, Operation.BRIGHTNESS, Operation.SHARPNESS],
)
def test_what_is_strengthened_stays_as_it_is_at_a_magnitude_of_5(operation):
    assert torch.allclose(after(operation, 5), colours(), atol=1e-6)


def test_colour_and_contrast_move_away_from_grey():
    images = colours()
    grey = (images * torch.tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    saturated = (grey + 1.9 * (images - grey)).clamp(0, 1)
    assert torch.allclose(after(Operation.COLOR, 10), saturated, atol=1e-3)
    mean = grey.mean((2, 3), keepdim=True)
    contrasted = (mean + 1.9 * (images - mean)).clamp(0, 1)
    assert torch.allclose(after(Operation.CONTRAST, 10), contrasted, atol=1e-2)


def test_a_quarter_turn_is_one_whichever_way_each_image_goes():
    images = colours(count=16)
    turned = after(Operation.ROTATE, 30, images)
    ways = set()
    for before, now in zip(images, turned, strict=True):
        (way,) = (k for k in (1, 3) if torch.allclose(torch.rot90(before, k, (1, 2)), now))
        ways.add(way)
    assert ways == {1, 3}


def test_a_shift_of_magnitude_15_is_half_the_side_and_leaves_grey():
    images = colours(count=16, size=30)
    ways = set()
    empty = torch.full((3, 30, 15), FILL)
    for before, now in zip(images, after(Operation.TRANSLATE_X, 15, images), strict=True):
        left, right = before[:, :, :15], before[:, :, 15:]
        moved = [torch.cat(halves, 2) for halves in ((empty, left), (right, empty))]
        (way,) = (number for number in (0, 1) if torch.allclose(moved[number], now))
        ways.add(way)
    assert ways == {0, 1}


def test_a_shift_down_is_one_across_of_the_turned_image():
    images = colours(count=16, size=30)
    down = after(Operation.TRANSLATE_Y, 9, images)
    across = after(Operation.TRANSLATE_X, 9, images.transpose(2, 3))
    assert torch.allclose(down, across.transpose(2, 3))


def test_a_shear_leaves_the_first_row_or_column():
    images = colours()
    assert torch.allclose(after(Operation.SHEAR_X, 10)[:, :, 0], images[:, :, 0], atol=1e-6)
    assert torch.allclose(after(Operation.SHEAR_Y, 10)[:, :, :, 0], images[..., 0], atol=1e-6)
    row = after(Operation.SHEAR_X, 10)[:, :, 10]  # a third of a pixel a row: three pixels
    assert all(
        torch.allclose(now[:, 3:-3], before[:, :-6], atol=1e-6)
        or torch.allclose(now[:, 3:-3], before[:, 6:], atol=1e-6)
        for before, now in zip(images[:, :, 10], row, strict=True)
    )


def test_cutout_loses_a_square_that_grows_with_the_magnitude():
    whites = torch.ones(200, 1, 60, 60)
    lost = (after(Operation.CUTOUT, 10, whites) != 1).sum((1, 2, 3))
    assert lost.max() == 16 * 16  # half a side is 40 of 300 pixels, 8 of 60
    assert lost.min() >= 8 * 8  # in a corner
    assert (after(Operation.CUTOUT, 20, whites) != 1).sum((1, 2, 3)).max() == 32 * 32


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnitude", [0.5, 6.667, 15, 30])
def test_images_stay_images_and_those_given_are_left_alone(channels, magnitude):
    images = torch.rand(64, channels, 28, 28, generator=generator(1))
    before = images.clone()
    changed_images = randaugmented(images, magnitude, generator(2))
    assert torch.equal(images, before)
    assert changed_images.shape == images.shape
    assert changed_images.dtype is torch.float32
    assert changed_images.min() >= 0
    assert changed_images.max() <= 1


def test_equal_generators_give_equal_images_and_the_global_one_is_left_alone():
    images = colours(count=64)
    state = torch.get_rng_state()
    first, second = (randaugmented(images, 10, generator(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, randaugmented(images, 10, generator(4)))
    assert torch.equal(torch.get_rng_state(), state)


def test_each_image_of_a_batch_gets_operations_of_its_own():
    same = colours(count=1).repeat(64, 1, 1, 1)
    distinct = {image.numpy().tobytes() for image in randaugmented(same, 15, generator(5))}
    assert len(distinct) > 32


@pytest.mark.parametrize("operation", Operation)
def test_frames_of_a_clip_that_are_alike_are_alike_afterwards(operation):
    clips = colours(count=6)[:, :, None].repeat(1, 1, 5, 1, 1)
    made = changed_clips(clips, operation, 15, generator(1))
    assert made.shape == clips.shape
    assert torch.allclose(made, made[:, :, :1].expand_as(made), atol=1e-6)
    if operation is not Operation.EQUALIZE:  # which counts pixels, and rounds
        alone = changed(colours(count=6), operation, 15, generator(1))
        assert torch.allclose(made[:, :, 0], alone, atol=1e-5)


def test_each_clip_of_a_batch_gets_operations_of_its_own_and_frames_stay_in_order():
    clips = torch.rand(1, 1, 4, 16, 16, generator=generator(1)).repeat(64, 1, 1, 1, 1)
    before = clips.clone()
    made = randaugmented_clips(clips, 15, generator(5))
    assert torch.equal(clips, before)
    assert len({each.numpy().tobytes() for each in made}) > 32
    turned = changed_clips(clips, Operation.SHARPNESS, 10, generator(0))
    alone = changed(clips[:, :, 2], Operation.SHARPNESS, 10, generator(0))
    assert torch.equal(turned[:, :, 2], alone)
