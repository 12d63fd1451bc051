from dataclasses import replace

import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.efficientnet import B0, EDGETPU_S
from search_space.layers import macs, params
from search_space.scaling import (
    EFFICIENTNET,
    CompoundRule,
    Factors,
    Rounding,
    RuleName,
    ShareRule,
    rule,
    scaled,
)
from workspace.errors import InputError

HEAD = Classifier(classes=1000)
BASE = catalog.create("mobilenet-v2")


def test_the_published_constants_make_a_product_of_1_92027():
    assert round(EFFICIENTNET.product, 5) == 1.92027


def test_a_compound_coefficient_is_the_power_of_the_constants():
    factors = EFFICIENTNET.factors(2)
    assert factors.depth == pytest.approx(1.44)
    assert factors.width == pytest.approx(1.21)
    assert factors.resolution == pytest.approx(1.3225)
    assert EFFICIENTNET.factors(-1).depth == pytest.approx(1 / 1.2)


@pytest.mark.parametrize("name", list(RuleName))
def test_coefficient_0_changes_nothing(name):
    assert rule(name).factors(0) == Factors()
    assert scaled(BASE, rule(name).factors(0)) == BASE


@pytest.mark.parametrize(
    ("name", "grown"),
    [
        (RuleName.DEPTH, Factors(depth=4)),
        (RuleName.WIDTH, Factors(width=2)),
        (RuleName.RESOLUTION, Factors(resolution=2)),
    ],
)
def test_one_dimension_alone_takes_the_whole_cost(name, grown):
    assert rule(name).factors(2) == grown


@pytest.mark.parametrize(
    ("alpha", "shares"), [(1 / 3, (1 / 3, 1 / 3)), (0.8, (0.8, 0.1)), (1.0, (1.0, 0.0))]
)
def test_fast_scaling_shares_the_cost_and_slows_the_growth_of_activations(alpha, shares):
    fast = ShareRule.fast(alpha)
    assert (fast.width, fast.depth) == pytest.approx(shares)
    factors = fast.factors(3)
    assert factors.cost == pytest.approx(8)
    activations = factors.depth * factors.width * factors.resolution**2
    assert activations == pytest.approx(8 ** (1 - alpha / 2))


def test_the_named_fast_rule_is_pycls_d1_w8_r1():
    fast = rule(RuleName.FAST)
    assert fast == ShareRule.fast(0.8)
    assert (fast.depth, fast.width) == pytest.approx((0.1, 0.8))


def test_tables_have_the_published_rows():
    assert rule(RuleName.RELEASED).factors(3) == Factors(
        depth=1.4, width=1.2, resolution=300 / 224
    )
    assert rule(RuleName.TPU).factors(7) == Factors(depth=3.44, width=3.26, resolution=350 / 224)
    assert rule(RuleName.GPU).factors(1) == Factors(depth=1.09, width=1.05, resolution=229 / 224)
    assert rule(RuleName.H).factors(5) == Factors(depth=2.2, width=1.92, resolution=456 / 224)


@pytest.mark.parametrize(
    ("name", "phi"), [(RuleName.TPU, 8), (RuleName.H, 4), (RuleName.GPU, 1.5)]
)
def test_a_table_says_which_coefficients_it_has(name, phi):
    with pytest.raises(InputError, match=rf"table {name} has coefficients 0 and .*, got {phi:g}"):
        rule(name).factors(phi)


@pytest.mark.parametrize(
    ("rounding", "factor", "widths"),
    [
        # EfficientNet's rule lifts 16 * 1.2 from 16 to 24; EfficientNetV2's does not
        (Rounding.EFFICIENTNET, 1.2, (40, 24, 32, 48, 96, 136, 232, 384)),
        (Rounding.EFFICIENTNETV2, 1.2, (40, 16, 32, 48, 96, 136, 232, 384)),
        (Rounding.PYCLS, 1.1, (32, 16, 24, 48, 88, 120, 208, 352)),
    ],
)
def test_widths_are_rounded_as_published(rounding, factor, widths):
    filters = (32, 16, 24, 40, 80, 112, 192, 320)
    assert tuple(rounding.width(one, factor) for one in filters) == widths


def test_layers_are_rounded_up_and_not_by_an_error_of_floats():
    assert [Rounding.EFFICIENTNET.depth(n, 1.1) for n in (1, 2, 4, 10, 20)] == [2, 3, 5, 11, 22]
    assert 25 * 2.2 > 55
    assert Rounding.EFFICIENTNET.depth(25, 2.2) == 55
    assert [Rounding.PYCLS.depth(n, 1.1) for n in (1, 2, 4, 10)] == [1, 2, 4, 11]
    assert Rounding.PYCLS.depth(1, 0.3) == 1


def test_all_of_a_network_is_scaled_and_its_layers_stay():
    found = scaled(BASE, Factors(depth=1.2, width=1.4, resolution=1.15))
    assert found.size == 258
    assert found.stem.filters == 48
    assert found.head_filters == 1792
    assert [stage.filters for stage in found.stages] == [24, 32, 48, 88, 136, 224, 448]
    assert [stage.repeats for stage in found.stages] == [2, 3, 4, 5, 4, 4, 2]
    unscaled = [
        replace(new, filters=old.filters, repeats=old.repeats)
        for new, old in zip(found.stages, BASE.stages, strict=True)
    ]
    assert unscaled == list(BASE.stages)
    assert (found.dropout, found.activation) == (BASE.dropout, BASE.activation)


def test_what_is_not_multiplied_is_not_rounded():
    odd = replace(BASE, size=201, head_filters=1001)
    found = scaled(odd, Factors(depth=2.0), Rounding.PYCLS)
    assert (found.size, found.head_filters, found.stem) == (201, 1001, odd.stem)
    assert [stage.filters for stage in found.stages] == [stage.filters for stage in odd.stages]


def test_fixed_ends_are_those_of_efficientnet_lite():
    found = scaled(BASE, Factors(depth=1.8, width=1.4, resolution=1.25), fixed_ends=True)
    assert (found.stem, found.head_filters) == (BASE.stem, BASE.head_filters)
    assert [stage.repeats for stage in found.stages] == [1, 4, 6, 8, 6, 6, 1]
    assert found.stages[-1].filters == 448


def test_the_10_percent_rule_alone_tells_the_roundings_of_b3_apart():
    # google/automl's own test of B3, without the rule, expects 12,314,268 numbers in all, of which
    # 12,227,212 are trained.
    factors = Factors(depth=1.4, width=1.2)
    b3 = scaled(B0, factors)
    without = scaled(B0, factors, Rounding.EFFICIENTNETV2)
    assert (b3.stages[0].filters, without.stages[0].filters) == (24, 16)
    assert replace(b3, size=300, dropout=0.3) == catalog.create("efficientnet-b3")
    assert params(without, HEAD) == 12_227_212


@pytest.mark.parametrize("number", range(1, 9))
def test_the_released_factors_make_the_released_networks(number):
    made = scaled(B0, rule(RuleName.RELEASED).factors(number))
    published = catalog.create(f"efficientnet-b{number}")
    assert replace(made, dropout=published.dropout) == published


def test_what_an_expansion_multiplies_is_multiplied_too():
    wide = scaled(EDGETPU_S, Factors(width=2))
    assert [stage.expands for stage in wide.stages] == [48, None, None, None, None, None]


def test_a_wider_network_costs_about_what_the_factors_say():
    for factors in (Factors(width=2), Factors(depth=2, resolution=1.25), EFFICIENTNET.factors(3)):
        grown = macs(scaled(BASE, factors), HEAD) / macs(BASE, HEAD)
        assert 0.9 * factors.cost < grown < 1.25 * factors.cost


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [0.9, float("inf"), float("nan")])
def test_constants_below_1_are_refused(name, value):
    constants = {"alpha": 1.2, "beta": 1.1, "gamma": 1.1, name: value}
    with pytest.raises(InputError, match=f"{name} must be a finite number of at least 1, got"):
        CompoundRule(**constants)


def test_shares_that_do_not_make_1_are_refused():
    with pytest.raises(InputError, match=r"make 1, got \(0.5, 0.5, 0.5\)"):
        ShareRule(depth=0.5, width=0.5, resolution=0.5)
    with pytest.raises(InputError, match=r"in \[0, 1\], got 1.5"):
        ShareRule.fast(1.5)


@pytest.mark.parametrize("phi", [float("nan"), 1e6])
@pytest.mark.parametrize("name", [RuleName.EFFICIENTNET, RuleName.FAST])
def test_a_coefficient_beyond_all_networks_is_refused(name, phi):
    with pytest.raises(InputError, match="from -64 to 64, got"):
        rule(name).factors(phi)


def test_a_width_of_0_is_said_before_anything_is_built():
    with pytest.raises(InputError, match=r"16 channels times 0.0312 are 0.5, a width of 0: take"):
        scaled(BASE, Factors(width=1 / 32))
    assert scaled(BASE, Factors(width=1 / 16)).stages[0].filters == 8


def test_a_size_below_the_strides_is_refused():
    with pytest.raises(InputError, match="at least 32 pixels"):
        scaled(BASE, Factors(resolution=0.1))


def test_a_factor_of_0_is_refused():
    with pytest.raises(InputError, match="width must be multiplied by a finite number above 0"):
        Factors(width=0)


@pytest.mark.parametrize("constant", [1e150, 1e300])
def test_constants_whose_power_is_no_network_are_refused(constant):
    with pytest.raises(InputError, match=r"depth must be multiplied .* at most 1.8e\+19, got"):
        CompoundRule(alpha=constant, beta=1, gamma=1).factors(2)
