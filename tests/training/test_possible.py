import pytest

from training.digits import Digits
from training.possible import jittered
from training.task import Split
from workspace.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("sklearn")


def test_images_without_boxes_are_not_scaled():
    examples = Digits().examples(Split.TRAIN, 16)
    with pytest.raises(
        InputError, match=r"scale jitter is for images with boxes, and .* 'digits'"
    ):
        jittered(examples, (0.5, 2.0), "digits")
