import pytest


def test_blocks_of_both_are_timed_in_turn(script, tmp_path):
    setup = script.Setup(dataset="digits", size=16, batch=8, block=2, pairs=3)
    found = script.measured(setup, tmp_path)
    assert found["setup"]["pairs"] == 3
    assert found["target"] == 0.95
    assert 0 < found["ratio_low"] <= found["ratio"] <= found["ratio_high"]
    assert found["cpu_ratio"] > 0
    assert found["trainer_images_per_s"] > 0
    assert found["bare_images_per_s"] > 0
    assert (tmp_path / "log.jsonl").is_file()


def test_the_interval_holds_the_median_and_is_narrow_where_ratios_agree(script):
    low, high = script.interval([0.9, 1.0, 1.1, 1.0, 0.95, 1.05])
    assert low <= 1.0 <= high
    assert script.interval([0.97] * 5) == (pytest.approx(0.97), pytest.approx(0.97))
