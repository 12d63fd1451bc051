import pytest
import torch
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from training.matching import BACKGROUND, IGNORED, matched, overlaps

ANCHORS = torch.tensor(
    [[0.0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60], [52, 50, 62, 60], [90, 90, 99, 99]]
)


def boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 80
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 60), dim=1)


@pytest.mark.parametrize("seed", range(5))
def test_matches_are_torchvisions(seed):
    anchors, things = boxes(400, seed), boxes(7, 100 + seed)
    targets = torch.cat((torch.arange(7.0)[:, None], things), dim=1)
    assert torch.allclose(overlaps(things, anchors), box_iou(things, anchors), atol=1e-6)
    labels, own = matched(anchors, targets)
    expected = Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(things, anchors))
    assert torch.equal(labels, expected)  # the thing's place is its class here
    assert torch.equal(own[labels >= 0], things[labels[labels >= 0]])
    assert (labels == IGNORED).any()


def test_a_thing_is_found_by_the_nearest_anchor_however_little_they_share():
    labels, own = matched(ANCHORS, torch.tensor([[4.0, 8, 8, 12, 40]]))
    assert labels.tolist() == [BACKGROUND, 4, BACKGROUND, BACKGROUND, BACKGROUND]
    assert own[1].tolist() == [8, 8, 12, 40]


def test_padding_and_crowds_are_background():
    targets = torch.tensor([[-1.0, 0, 0, 0, 0], [-5, 50, 50, 60, 60]])
    labels, _ = matched(ANCHORS, targets)
    assert set(labels.tolist()) == {BACKGROUND}


def test_boxes_without_area_share_nothing():
    nothing = torch.zeros(1, 4)
    assert overlaps(nothing, torch.cat((nothing, ANCHORS))).tolist() == [[0.0] * 6]
