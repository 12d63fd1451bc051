"""What the command line asks for becomes a plan."""

import pytest

from pocketnas.training_asked import Asked, plan_of
from training import classification
from training.recipes import Length

pytest.importorskip("torch")
pytest.importorskip("sklearn")


def asked(**changes):
    return Asked(
        **{
            "architecture": "efficientnetv2-s",
            "dataset": "digits",
            "progressive": "code",
            "length": Length(epochs=1),
            "settings": {},
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "size", "sizes"),
    [
        ({}, 384, [171, 214, 257, 300]),
        ({"size": 384}, 384, [171, 214, 257, 300]),
        ({"size": 192}, 192, [85, 107, 128, 150]),
        ({"size": 64}, 64, [36, 41, 45, 50]),
        ({"size": 64, "train_size": 64}, 64, [40, 48, 56, 64]),
        ({"size": 192, "progressive": "paper"}, 192, [64, 93, 121, 150]),
    ],
)
def test_published_stages_are_in_proportion_to_the_size_that_is_asked_for(changes, size, sizes):
    plan = plan_of(asked(**changes))
    assert plan.size == size
    assert [stage.size for stage in plan.schedule.stages] == sizes


def test_an_epoch_is_counted_without_resizing_an_image(monkeypatch):
    monkeypatch.setattr(classification, "_resized", None)
    assert plan_of(asked()).evaluate_every == 1197
