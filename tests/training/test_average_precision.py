import pytest
import torch

from training import average_precision as module
from training.average_precision import average_precision, require_pycocotools
from workspace.errors import OperationError

PADDING = [-1.0, 0, 0, 0, 0]
THING, OTHER = [0.0, 10, 10, 30, 30], [1.0, 40, 10, 80, 60]


def told(*boxes):
    """Predictions of one image: each box with a score."""
    rows = [[*corners, score, label] for score, (label, *corners) in boxes]
    return torch.tensor([[*rows, [0.0, 0, 0, 0, 0, -1]]])


def test_all_that_is_there_is_1_and_nothing_is_0():
    targets = torch.tensor([[THING, OTHER, PADDING]])
    right = average_precision(told((0.9, THING), (0.8, OTHER)), targets, 2)
    assert right["accuracy"] == pytest.approx(1)
    assert right["ap_small"] == pytest.approx(1)
    assert right["ap_medium"] == pytest.approx(1)
    assert "ap_large" not in right
    nothing = torch.tensor([[[0.0, 0, 0, 0, 0, -1]]])
    assert average_precision(nothing, targets, 2)["accuracy"] == 0
    assert average_precision(nothing, torch.tensor([[PADDING]]), 2) == {"accuracy": 0.0}


def test_a_box_that_overlaps_by_three_quarters_counts_at_half_of_the_overlaps():
    targets = torch.tensor([[[0.0, 0, 0, 40, 100]]])
    found = average_precision(told((0.9, [0.0, 0, 0, 40, 74.9])), targets, 1)
    assert found["ap50"] == pytest.approx(1)
    assert found["ap75"] == 0
    assert found["accuracy"] == pytest.approx(0.5)  # 0.50, 0.55, …, 0.70 of ten


def test_a_wrong_box_with_a_better_score_halves_the_precision():
    targets = torch.tensor([[THING]])
    wrong = [0.0, 60, 60, 80, 80]
    found = average_precision(told((0.9, wrong), (0.5, THING)), targets, 1)
    assert found["accuracy"] == pytest.approx(0.5)
    behind = average_precision(told((0.4, wrong), (0.5, THING)), targets, 1)
    assert behind["accuracy"] == pytest.approx(1)


def test_classes_that_do_not_occur_do_not_count():
    targets = torch.tensor([[THING]])
    assert average_precision(told((0.9, THING)), targets, 7)["accuracy"] == pytest.approx(1)


def test_what_is_found_in_a_crowd_counts_for_nothing():
    """A crowd of class 0 is -2; both boxes in it would be wrong without it."""
    crowd = [-2.0, 50, 50, 100, 100]
    boxes = ((0.9, [0.0, 55, 55, 70, 70]), (0.8, [0.0, 75, 75, 95, 95]), (0.7, THING))
    with_crowd = average_precision(told(*boxes), torch.tensor([[THING, crowd]]), 1)
    without = average_precision(told(*boxes), torch.tensor([[THING]]), 1)
    assert with_crowd["accuracy"] == pytest.approx(1)
    assert without["accuracy"] == pytest.approx(1 / 3, abs=0.01)


def test_nothing_is_printed(capsys):
    average_precision(told((0.9, THING)), torch.tensor([[THING]]), 1)
    assert capsys.readouterr().out == ""


def test_without_pycocotools_it_is_said_what_to_install(monkeypatch):
    require_pycocotools()
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(OperationError, match=r"pip install 'pocketnas\[train\]'"):
        require_pycocotools()
