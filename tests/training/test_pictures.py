import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from training.pictures import central_square, cropped, random_boxes, shrunken
from workspace.errors import OperationError


def saved(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def halves(tmp_path):
    """Red on the left, blue on the right, 80 wide and 40 high."""
    pixels = np.zeros((40, 80, 3))
    pixels[:, :40, 0] = pixels[:, 40:, 2] = 200
    return saved(tmp_path / "halves.png", pixels)


def test_the_middle_square_is_resized(halves):
    square = central_square(halves, 20, 1.0)
    assert square.shape == (20, 20, 3)
    assert square[:, :9].tolist() == [[[200, 0, 0]] * 9] * 20
    assert square[:, 11:].tolist() == [[[0, 0, 200]] * 9] * 20


def test_an_image_is_shrunk_to_a_little_more_than_what_is_cropped_from_it(halves):
    assert shrunken(halves, 16).shape == (20, 40, 3)
    assert shrunken(halves, 64).shape == (40, 80, 3)


def test_a_large_jpeg_is_shrunk_as_a_whole(tmp_path):
    ramp = np.linspace(0, 255, 800)[None, :, None].repeat(600, 0).repeat(3, 2)
    path = saved(tmp_path / "ramp.jpg", ramp, quality=95)
    small = shrunken(path, 32)
    assert small.shape == (40, 53, 3)
    assert np.abs(small[:, :, 0] - np.linspace(0, 255, 53)[None]).max() < 6


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
def test_every_kind_of_image_becomes_red_green_and_blue(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode in ("CMYK", "I;16") else "image.png")
    if mode == "I;16":
        Image.fromarray(np.full((8, 8), 128 * 256, np.uint16)).save(path)
    else:
        Image.new("L", (8, 8), 128).convert("RGB").convert(mode).save(path)
    square = central_square(path, 4, 1.0)
    assert square.shape == (4, 4, 3)
    if mode != "1":
        assert np.abs(square.astype(int) - 128).max() <= 2


def test_an_image_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # the left half is light
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left half is at the top then
    path = saved(tmp_path / "turned.png", pixels, exif=exif)
    square = central_square(path, 10, 1.0)
    assert square[:4].min() == 255
    assert square[6:].max() == 0


def test_a_crop_of_everything_is_everything():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    whole = (0.0, 0.0, 12.0, 12.0)
    assert cropped(pixels, whole, 12, mirrored=False) is pixels
    assert np.array_equal(cropped(pixels, whole, 12, mirrored=True), pixels[:, ::-1])
    assert cropped(pixels, (0, 0, 6, 12), 12, mirrored=False).shape == (12, 12, 3)


def test_random_boxes_lie_inside_and_are_as_large_and_wide_as_published():
    generator = torch.Generator().manual_seed(0)
    boxes = np.array(random_boxes([(30, 40, 3)] * 2000, generator))
    left, top, right, bottom = boxes.T
    assert min(left.min(), top.min()) >= 0
    assert right.max() <= 40 + 1e-9
    assert bottom.max() <= 30 + 1e-9
    areas, ratios = (right - left) * (bottom - top) / 1200, (right - left) / (bottom - top)
    assert 0.08 - 1e-9 <= areas.min() < 0.1
    assert areas.max() > 0.9
    assert ratios.min() >= 3 / 4 - 1e-9
    assert ratios.max() <= 4 / 3 + 1e-9
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [
            RandomResizedCrop.get_params(torch.empty(3, 300, 400), [0.08, 1.0], [3 / 4, 4 / 3])
            for _ in range(2000)
        ]
    expected = np.mean([height * width for _, _, height, width in drawn]) / 120_000
    # Standard deviation of the difference 0.007: it is so large once in a million.
    assert areas.mean() == pytest.approx(expected, abs=0.035)


def test_an_image_that_no_box_fits_gives_its_middle():
    (box,) = random_boxes([(10, 1000, 3)], torch.Generator().manual_seed(1))
    wide = box[2] - box[0]
    assert wide <= 30  # a drawn one, or the middle
    found = random_boxes([(1, 100_000, 3)] * 3, torch.Generator().manual_seed(1))
    assert found == [(49999.5, 0.0, 50000.5, 1.0)] * 3


def test_an_image_that_is_gone_is_named(tmp_path):
    with pytest.raises(OperationError, match=r"none.png' could be read before and cannot be any"):
        shrunken(tmp_path / "none.png", 8)
