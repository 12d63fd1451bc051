import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from training.anchors import anchors_of
from training.box_coding import encoded
from training.matching import IGNORED, matched
from training.retinanet import (
    ALPHA,
    BOX_WEIGHT,
    GAMMA,
    detection_loss,
    detections,
    focal_loss,
    require_outputs,
)
from workspace.errors import InputError

SIDES = (8, 4, 2, 1, 1)
"""Of the levels of an image of 64 pixels."""
SHAPES = tuple((side, side) for side in SIDES)
ANCHORS = anchors_of(SHAPES, 2)
NOTHING = [-1.0, 0, 0, 0, 0]


def outputs(count=1, classes=2, score=-20.0):
    """A detector that sees nothing."""
    scores = [torch.full((count, 9 * classes, side, side), score) for side in SIDES]
    return (*scores, *(torch.zeros(count, 36, side, side) for side in SIDES))


def see(seen, box, *, level, place, anchor, label, score=20.0, classes=2):
    """Let an anchor of the first image find a box."""
    row = (place[0] * SIDES[level] + place[1]) * 9 + anchor
    seen[level][0, anchor * classes + label, *place] = score
    code = encoded(torch.tensor(box), ANCHORS[level][row])
    seen[5 + level][0, 4 * anchor : 4 * anchor + 4, place[0], place[1]] = code


def found(seen, **options):
    (rows,) = detections(seen, classes=2, base=2, size=64, count=4, **options)
    return [[round(value, 2) for value in row] for row in rows.tolist()]


def test_focal_loss_is_torchvisions():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(40, 5, generator=generator)
    wanted = (torch.rand(40, 5, generator=generator) < 0.3).float()
    expected = sigmoid_focal_loss(scores, wanted, ALPHA, GAMMA, reduction="none")
    assert torch.allclose(focal_loss(scores, wanted), expected, atol=1e-6)


def test_a_detector_that_is_right_costs_nothing_and_one_that_misses_does():
    box = [14.0, 17.0, 30.0, 33.0]
    targets = torch.tensor([[[1.0, *box], NOTHING]])
    right = outputs()
    for level, anchors in enumerate(ANCHORS):
        scores, codes = right[level], right[5 + level]
        whole = encoded(torch.tensor(box).expand(len(anchors), 4), anchors)
        side = SIDES[level]
        codes[0] = whole.reshape(side, side, 36).permute(2, 0, 1)
        overlap = torch.tensor([_overlap(box, anchor) for anchor in anchors.tolist()])
        scores[0, 1::2] = (
            torch.where(overlap >= 0.5, 20.0, -20.0).reshape(side, side, 9).permute(2, 0, 1)
        )
    loss = detection_loss(right, targets, classes=2, base=2)
    assert 0 <= loss < 1e-3
    missed = detection_loss(outputs(), targets, classes=2, base=2)
    assert missed > 1
    assert detection_loss(outputs(), torch.tensor([[NOTHING]]), classes=2, base=2) < 1e-6


def _overlap(first, second):
    wide = max(0, min(first[2], second[2]) - max(first[0], second[0]))
    high = max(0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return wide * high / (sum(areas) - wide * high)


def test_box_loss_is_hubers_fifty_times_by_what_is_found():
    anchor = ANCHORS[4][4].tolist()  # one alone is exactly there
    targets = torch.tensor([[[0.0, *anchor]]])
    plain, off = outputs(), outputs()
    off[9][0, 4 * 4] = 1.0
    losses = [detection_loss(each, targets, classes=2, base=2) for each in (plain, off)]
    labels, _ = matched(torch.cat(ANCHORS), targets[0])
    count = int((labels >= 0).sum()) + 1
    huber = 0.1 * (1.0 - 0.05)  # delta 0.1, an error of 1
    assert losses[1] - losses[0] == pytest.approx(BOX_WEIGHT * huber / (4 * count), rel=1e-3)


def test_a_crowd_is_background():
    crowd = torch.tensor([[[-3.0, 10, 10, 30, 30]]])
    loud = outputs(score=0.0)
    nothing = detection_loss(loud, torch.tensor([[NOTHING]]), classes=2, base=2)
    assert torch.equal(detection_loss(loud, crowd, classes=2, base=2), nothing)


def test_boxes_are_told_best_first_cut_to_the_image_and_padded():
    seen = outputs()
    see(seen, [-8.0, 4, 20, 90], level=2, place=(0, 0), anchor=4, label=1, score=2.0)
    see(seen, [40.0, 40, 50, 60], level=0, place=(5, 5), anchor=3, label=0, score=3.0)
    assert found(seen) == [
        [40, 40, 50, 60, 0.95, 0],
        [0, 4, 20, 64, 0.88, 1],
        [0, 0, 0, 0, 0, -1],
        [0, 0, 0, 0, 0, -1],
    ]


def test_of_boxes_of_a_class_on_one_thing_the_best_is_told():
    seen = outputs()
    see(seen, [20.0, 20, 40, 40], level=0, place=(3, 3), anchor=2, label=1, score=2.0)
    see(seen, [21.0, 20, 41, 40], level=1, place=(1, 1), anchor=3, label=1, score=3.0)
    see(seen, [22.0, 20, 42, 40], level=1, place=(2, 2), anchor=3, label=0, score=1.0)
    assert [row[5] for row in found(seen)] == [1, 0, -1, -1]
    assert found(seen)[0][0] == 21


def test_what_is_hardly_seen_is_not_told():
    seen = outputs(score=-3.0)  # 0.047 each
    assert {row[5] for row in found(seen)} == {-1.0}


@pytest.mark.parametrize("wrong", [torch.zeros(2, 10), (torch.zeros(2, 18, 8, 8),) * 10])
def test_what_no_detector_gives_is_refused(wrong):
    with pytest.raises(InputError, match="a detector of 2 classes gives 5 levels of 18 scores"):
        require_outputs(wrong, 2)


def test_a_thing_that_counts_whole_costs_what_it_does_alone_and_one_that_counts_less_costs_less():
    box, seen = [14.0, 17.0, 30.0, 33.0], outputs(score=-1.0)
    plain = torch.tensor([[[1.0, *box], NOTHING]])

    def cost(share):
        weights = torch.tensor([[[share], [1.0]]])
        return detection_loss(seen, torch.cat((plain, weights), dim=2), classes=2, base=2)

    assert torch.equal(cost(1.0), detection_loss(seen, plain, classes=2, base=2))
    background = detection_loss(seen, torch.tensor([[NOTHING]]), classes=2, base=2)
    labels, rows = matched(torch.cat(ANCHORS), plain[0])
    things = labels >= 0
    wanted = torch.tensor([[0.0, 1.0]])
    each = focal_loss(torch.full((1, 2), -1.0), wanted).sum()
    ignored = (labels == IGNORED) | things
    left = background * (1 - float(ignored.float().mean()))
    far = torch.nn.functional.huber_loss(
        torch.zeros(int(things.sum()), 4),
        encoded(rows[things], torch.cat(ANCHORS)[things]),
        reduction="sum",
        delta=0.1,
    )
    for share in (1.0, 0.3):
        count = share * int(things.sum()) + 1
        found = (left + share * int(things.sum()) * each + BOX_WEIGHT * share * far / 4) / count
        assert float(cost(share)) == pytest.approx(float(found), rel=1e-4)
