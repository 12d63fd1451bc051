from search_space.widths import scaled_depth, scaled_width, scaled_width_v2


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
