import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from search_space.spinenet_layers import Enlarge, SameMaxPool2d


@pytest.mark.parametrize(
    ("size", "window", "stride"), [(7, 3, 2), (8, 3, 2), (9, 5, 4), (3, 5, 8)]
)
def test_a_maximum_sees_the_windows_of_tensorflows_same(size, window, stride):
    image = -torch.rand(1, 1, size, size + 2, generator=torch.Generator().manual_seed(0)) - 1

    def cut(length):
        """First and last pixel of each window, those outside the image left out."""
        count = -(-length // stride)
        first = max((count - 1) * stride + window - length, 0) // 2
        starts = [place * stride - first for place in range(count)]
        return [(max(start, 0), min(start + window, length)) for start in starts]

    expected = [
        [image[0, 0, top:bottom, left:right].max() for left, right in cut(size + 2)]
        for top, bottom in cut(size)
    ]
    found = SameMaxPool2d(window, stride)(image)[0, 0].numpy()
    np.testing.assert_array_equal(found, np.array(expected))


def test_a_pixel_becomes_a_square_and_what_is_too_much_is_cut():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    found = Enlarge(1)(image, 3, 6)[0, 0].tolist()
    assert found == [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]


def test_exporters_take_a_maximum_as_one_operator():
    assert SameMaxPool2d.tf_same
