import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from exporters.testing import BRANCH, random_inputs, randomize

CHANNELS = 400


def drawn(*, gamma: float) -> nn.BatchNorm2d:
    """A batch norm after a convolution that had this gamma everywhere."""
    norm = nn.BatchNorm2d(CHANNELS)
    nn.init.constant_(norm.weight, gamma)
    randomize(nn.Sequential(nn.Conv2d(3, CHANNELS, 3), norm), random_inputs((1, 3, 8, 8)))
    return norm


@pytest.mark.parametrize(("gamma", "size"), [(1.0, 1.0), (0.5, 1.0), (0.0, BRANCH)])
def test_a_batch_norm_that_starts_at_0_stays_small_and_no_other_does(gamma, size):
    drawn_gamma = drawn(gamma=gamma).weight.detach()
    assert float(drawn_gamma.log().mean().exp()) == pytest.approx(size, rel=0.05)
    assert float(drawn_gamma.min()) > 0.2 * size
    assert float(drawn_gamma.std()) > 0.2 * size


def test_no_statistic_of_a_batch_norm_is_left_as_it_was():
    norm = drawn(gamma=1.0)
    for drawn_tensor, left in (
        (norm.weight, 1),
        (norm.bias, 0),
        (norm.running_mean, 0),
        (norm.running_var, 1),
    ):
        assert not (drawn_tensor == left).any()


def test_random_clips_are_letterboxed_and_random_images_are_not():
    clip, image = random_inputs((1, 3, 2, 8, 8), (1, 3, 8, 8), names=("clip", "image"))
    assert not clip.value[:, :, :, :2].any()
    assert len(clip.value[:, :, :, 2:].unique()) == 3 * 2 * 6 * 8
    assert len(image.value.unique()) == 3 * 8 * 8


def test_the_seed_decides_everything():
    first, second = drawn(gamma=1.0), drawn(gamma=1.0)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
