import pytest

from search_space.permuted_scaling import scaled_permuted
from search_space.scaling import EFFICIENTNET, Factors, Rounding, scaled
from search_space.spinenet_networks import create
from workspace.errors import InputError

BASE = create("spinenet-49")


def grown(factors, rounding=Rounding.EFFICIENTNET, *, fixed_ends=False):
    return scaled_permuted(BASE, factors, rounding, fixed_ends=fixed_ends)


def test_depth_is_repeats_width_is_filters_and_resolution_the_image():
    found = grown(Factors(depth=2.0, width=1.5, resolution=1.25))
    assert found.blocks == BASE.blocks
    assert (found.repeats, found.filter_scale, found.size) == (2, 1.5, 800)
    assert (found.endpoint_filters, found.head_filters) == (384, 384)
    assert (found.stem, found.head_convs) == (BASE.stem, BASE.head_convs)


def test_factors_of_one_change_nothing():
    assert grown(Factors()) == BASE
    assert scaled(BASE, EFFICIENTNET.factors(0)) == BASE


def test_published_sizes_are_scalings_of_the_smallest():
    larger = grown(Factors(depth=2.0, resolution=1024 / 640))
    published = create("spinenet-96")
    assert (larger.repeats, larger.size) == (published.repeats, published.size)
    assert larger.key == published.key


def test_fixed_ends_keep_the_filters_of_endpoints_and_heads():
    found = grown(Factors(width=2.0), fixed_ends=True)
    assert found.filter_scale == 2.0
    assert (found.endpoint_filters, found.head_filters) == (256, 256)


def test_repeats_are_rounded_as_chosen():
    assert grown(Factors(depth=1.2)).repeats == 2
    assert grown(Factors(depth=1.2), Rounding.PYCLS).repeats == 1


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (Factors(resolution=0.1), "input size must be"),
        (Factors(width=1e-3), "filter scale must be in"),
        (Factors(width=40), "filter scale must be in"),
    ],
)
def test_what_no_network_can_be_is_refused(factors, said):
    with pytest.raises(InputError, match=said):
        grown(factors)
