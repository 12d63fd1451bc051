from dataclasses import replace

import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.efficientnet import B0, EDGETPU_S
from search_space.layers import params
from search_space.multipliers import Rounding, multiplied
from search_space.widths import scaled_depth, scaled_width, scaled_width_v2


@pytest.mark.parametrize("rounding", Rounding)
def test_multipliers_of_1_change_nothing_at_multiples_of_8(rounding):
    assert multiplied(B0, width=1, depth=1, rounding=rounding) == B0


def test_the_10_percent_rule_alone_tells_the_roundings_of_b3_apart():
    # google/automl's own test of B3, without the rule, expects 12,314,268 numbers in all, of which
    # 12,227,212 are trained.
    b3 = multiplied(B0, width=1.2, depth=1.4, rounding=Rounding.EFFICIENTNET)
    without = multiplied(B0, width=1.2, depth=1.4, rounding=Rounding.EFFICIENTNET_V2)
    assert (b3.stages[0].filters, without.stages[0].filters) == (24, 16)
    assert replace(b3, size=300, dropout=0.3) == catalog.create("efficientnet-b3")
    assert params(without, Classifier(classes=1000)) == 12_227_212


def test_what_an_expansion_multiplies_is_multiplied_too():
    wide = multiplied(EDGETPU_S, width=2, depth=1, rounding=Rounding.EFFICIENTNET)
    assert [stage.expands for stage in wide.stages] == [48, None, None, None, None, None]


def test_widths_are_rounded_to_multiples_of_8():
    for multiplier in (0.05, 0.35, 0.9, 1.0, 1.1, 1.45, 4.3):
        for filters in (3, 8, 16, 24, 40, 112, 1280):
            exact = filters * multiplier
            with_rule, without = (
                scaled_width(filters, multiplier),
                scaled_width_v2(filters, multiplier),
            )
            assert with_rule % 8 == without % 8 == 0
            assert with_rule >= max(8, 0.9 * exact)
            assert without == max(8, 8 * int((exact + 4) // 8))
            assert 0 <= with_rule - without <= 8


def test_depths_are_rounded_up_but_not_by_the_noise_of_a_product():
    assert [scaled_depth(3, m) for m in (0.1, 1 / 3, 1.0, 1.1, 2.0)] == [1, 1, 3, 4, 6]
    doubled = (2**0.5) ** 2
    assert 3 * doubled > 6
    assert scaled_depth(3, doubled) == 6
