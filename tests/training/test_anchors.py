import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from training.anchors import LEVELS, RATIOS, SCALES, anchors_of, cell_anchors

SHAPES = ((32, 16), (16, 8), (8, 4), (4, 2), (2, 1))
"""Of an image of 256 x 128 pixels."""


def test_anchors_are_torchvisions_but_around_the_middle_of_cells():
    sizes = tuple(tuple(3 * 2**level * scale for scale in SCALES) for level in LEVELS)
    generator = AnchorGenerator(sizes, (RATIOS,) * len(LEVELS))
    image = ImageList(torch.zeros(1, 3, 256, 128), [(256, 128)])
    (theirs,) = generator(image, [torch.zeros(1, 1, *shape) for shape in SHAPES])
    ours = anchors_of(SHAPES, 3)
    halves = torch.cat(
        [
            torch.full((len(each), 1), 2.0 ** (level - 1))
            for level, each in zip(LEVELS, ours, strict=True)
        ]
    )
    assert torch.equal(torch.cat(ours), theirs + halves)


def test_nine_anchors_of_a_place_follow_each_other_before_the_next_place():
    (first, *_) = anchors_of(SHAPES, 1)
    middles = (first[:, :2] + first[:, 2:]) / 2
    assert (middles[:9] == torch.tensor([4.0, 4.0])).all()
    assert (middles[9:18] == torch.tensor([12.0, 4.0])).all()
    assert (middles[16 * 9 : 16 * 9 + 9] == torch.tensor([4.0, 12.0])).all()


def test_the_smallest_square_anchor_is_as_large_as_asked_for():
    for level in LEVELS:
        left, top, right, bottom = cell_anchors(level, 4)[3].tolist()
        assert (right - left, bottom - top) == (4 * 2**level,) * 2
