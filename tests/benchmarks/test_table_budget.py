import json

import numpy as np
import pytest

from latency.presets import TABLE, exactly
from latency.table_plan import plan
from search_space.space import create


@pytest.fixture(scope="module")
def whole(script):
    return plan(create("mnasnet", {}), script.HEAD, exactly(TABLE, 5))


def recorded(script, share, residual_share=0.0):
    return script.Recorded(
        medians_ms=(0.1, 1.0, 10.0),
        residuals=((-share, 0.0, share),) * 3,
        residual_share=residual_share,
    )


def test_a_files_noise_is_that_of_recorded_files_of_its_length(script):
    noise = script.Recorded(
        medians_ms=tuple(float(each) for each in range(1, 41)),
        residuals=((0.0,),) * 20 + ((0.5,),) * 20,
        residual_share=0.0,
    )
    rng = np.random.default_rng(0)
    assert {noise.measured_ms(2.0, 5, rng)[0] for _ in range(50)} == {2.0}
    assert {noise.measured_ms(39.0, 5, rng)[0] for _ in range(50)} == {58.5}
    assert noise.measured_ms(100.0, 5, rng) == (150.0, 0.0)


def test_what_is_recorded_is_read_as_it_was_written(script, tmp_path):
    path = tmp_path / "noise.json"
    files = [{"median_ms": 2.0, "sessions": [0.1, 0.0]}, {"median_ms": 1.0, "sessions": [0.0]}]
    path.write_text(json.dumps({"residual_share": 0.02, "files": files}))
    found = script.Recorded.read(path)
    assert found.medians_ms == (1.0, 2.0)
    assert found.residuals == ((0.0,), (0.1, 0.0))
    assert found.residual_share == 0.02


@pytest.mark.slow
def test_without_noise_a_table_of_all_layers_is_exact_and_half_an_hour_is_not(script, whole):
    calm = recorded(script, 0.0)
    everything = script.simulated(whole, 8.0, 0, calm)
    little = script.simulated(whole, 0.5, 0, calm)
    assert everything["predicted"] == 0
    assert everything["median_error"] < 1e-3
    assert little["layers"] + little["predicted"] == len(whole.pieces) == everything["layers"]
    assert little["median_error"] > 10 * everything["median_error"]
    assert little["device_hours"] <= 0.51


@pytest.mark.slow
def test_noise_and_what_a_sum_leaves_over_show_in_the_error(script, whole):
    noisy = script.simulated(whole, 8.0, 0, recorded(script, 0.02, 0.02))
    assert 0.005 < noisy["median_error"] < 0.05
