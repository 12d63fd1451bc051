import random


def test_the_stated_interval_holds_the_truth_as_often_as_it_says(script):
    figures = script.simulated(1000)
    assert 0.93 <= figures["simulated_coverage"] <= 0.97


def test_the_ratio_of_variations_has_an_interval_around_it(script):
    rng = random.Random(1)
    calm = [10 + 0.1 * rng.gauss(0, 1) for _ in range(24)]
    wild = [10 + 1.0 * rng.gauss(0, 1) for _ in range(24)]
    low, high = script.bootstrap_ratio(calm, wild)
    assert low < script.cv(calm) / script.cv(wild) < high < 0.5
    assert script.bootstrap_ratio(wild, calm)[0] > 2


def test_pairs_that_change_their_order_are_counted(script):
    assert script.changed([[1.0, 2.0], [3.0, 2.0]], [[2.0, 1.0], [3.1, 2.0]]) == 1


def test_what_was_measured_is_kept_and_gone_on_from(script, tmp_path):
    script.Kept(tmp_path).add("starts", {"median_ms": 5.0})
    assert script.Kept(tmp_path).rows("starts") == [{"median_ms": 5.0}]
    assert script.Kept(tmp_path).rows("loaded") == []
