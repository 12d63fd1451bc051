import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "onboarding.py"
HEADER = "architecture,phone"


def test_a_layer_has_the_shape_of_its_place_and_the_costs_of_its_digit(script):
    first = script.places()[0]
    found = script.part(first, 0)
    assert (found.kind, found.input_elements, found.output_elements) == (
        "mbconv",
        112 * 112 * 16,
        112 * 112 * 16,
    )
    assert found.params == 16 * 16 + 9 * 16 + 16 * 16
    assert found.macs == 112 * 112 * found.params
    assert script.part(first, 8) is None
    assert script.part(script.places()[1], 8).kind == "skip"


def test_the_shipped_file_has_five_thousand_networks_on_fifteen_devices(script):
    data = script.Data.read(script.DATA)
    assert data.digits.shape == (5000, 22)
    assert len(data.latencies_ms) == 15
    assert all((values > 0).all() for values in data.latencies_ms.values())


@pytest.mark.parametrize("digits", ["012", "9" * 22])
def test_a_file_of_another_form_is_refused(script, tmp_path, digits):
    path = tmp_path / "other.csv"
    path.write_text(f"{HEADER}\n{digits},1.5\n{digits},1.5\n")
    with pytest.raises(ValueError, match="22 digits from 0 to 8"):
        script.Data.read(path)


@pytest.mark.slow
def test_a_device_that_is_a_sum_is_known_from_ten_measurements():
    command = [sys.executable, str(SCRIPT), "--test-device", "raspi4", "--seeds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    printed = json.loads(done.stdout.splitlines()[-1])
    (found,) = printed["by_device"].values()
    assert printed["samples"] == 10
    assert found["spearman"] > 0.97
    assert found["interval_coverage"] > 0.8
