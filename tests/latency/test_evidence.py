import math

import numpy as np
import pytest

from latency.evidence import Basis, Measurement, OtherDevice
from latency.signatures import Signature
from workspace.errors import InputError


def part(key, macs=1_000_000, kind="mbconv"):
    return Signature(
        key=key,
        kind=kind,
        macs=macs,
        params=100,
        input_elements=1000,
        hidden_elements=0,
        output_elements=1000,
    )


A, B, C, D = map(part, "abcd")


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_networks_latency_that_is_none_is_refused_with_what_it_was(latency_ms):
    with pytest.raises(InputError, match=f"above 0 and finite, got {latency_ms!r} ms"):
        Measurement(parts=(A,), latency_ms=latency_ms)


@pytest.mark.parametrize("latency_ms", [-0.5, math.nan, math.inf])
def test_a_parts_latency_that_is_none_is_refused_with_what_it_was(latency_ms):
    with pytest.raises(InputError, match=f"0 or more and finite, got {latency_ms!r} ms"):
        Measurement(parts=(A,), latency_ms=latency_ms, whole=False)


def test_a_part_may_take_no_time_that_could_be_measured():
    assert Measurement(parts=(A,), latency_ms=0.0, whole=False).latency_ms == 0.0


@pytest.mark.parametrize("variance_ms2", [-1.0, math.nan, math.inf])
def test_a_variance_that_is_none_is_refused_with_what_it_was(variance_ms2):
    with pytest.raises(InputError, match=f"a variance must be .* got {variance_ms2!r} ms squared"):
        Measurement(parts=(A,), latency_ms=1.0, variance_ms2=variance_ms2)


def test_a_device_without_measurements_is_refused_by_its_name():
    with pytest.raises(InputError, match="the device 'attic phone' has no measurements"):
        OtherDevice(name="attic phone", measurements=())


def test_a_table_tells_of_each_part_once_and_of_the_constant():
    told = OtherDevice.of_table("lab", (A, B, A), {"a": 1.5, "b": 0.5, "x": 9.0}, constant_ms=0.2)
    assert told.measurements == (
        Measurement(parts=(A,), latency_ms=1.5, whole=False),
        Measurement(parts=(B,), latency_ms=0.5, whole=False),
        Measurement(parts=(), latency_ms=0.2, whole=True),
    )


@pytest.mark.parametrize("constant_ms", [0.0, -0.3])
def test_a_constant_that_is_no_time_is_no_measurement(constant_ms):
    """A correction's constant may be negative, where parts alone take more than together."""
    told = OtherDevice.of_table("lab", (A,), {"a": 1.5}, constant_ms=constant_ms)
    assert [each.parts for each in told.measurements] == [(A,)]


def test_parts_that_a_table_lacks_are_left_out():
    told = OtherDevice.of_table("lab", (A, B, C), {"b": 0.5})
    assert [each.parts for each in told.measurements] == [(B,)]


def test_a_table_of_none_of_the_parts_is_refused_by_its_name():
    with pytest.raises(InputError, match="table of 'lab' has none of the parts"):
        OtherDevice.of_table("lab", (A, B), {"x": 1.0}, constant_ms=1.0)


def test_an_entry_that_is_no_latency_is_refused_with_what_it_was():
    with pytest.raises(InputError, match=r"got -0\.5 ms"):
        OtherDevice.of_table("lab", (A,), {"a": -0.5})


def test_a_basis_has_each_part_once_and_how_often_it_comes():
    basis = Basis.of([(A, B, B), (A, C)], more=[(D, A)])
    assert basis.parts == (A, B, C, D)
    assert basis.index == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert basis.typical.tolist() == [1.0, 1.0, 0.5, 0.0, 1.0]


def test_a_basis_of_no_network_is_refused():
    with pytest.raises(InputError, match="at least one network of the space"):
        Basis.of([], more=[(A,)])


def test_rows_count_parts_and_the_constant_of_whole_networks():
    basis = Basis.of([(A, B)])
    assert basis.rows([(A, A, B), (B,)]).tolist() == [[2, 1, 1], [0, 1, 1]]
    assert basis.rows([(A, A, B), (B,)], whole=[True, False]).tolist() == [[2, 1, 1], [0, 1, 0]]
    assert basis.rows([]).shape == (0, 3)


def test_a_row_times_what_parts_take_is_the_networks_latency():
    basis = Basis.of([(A, B, C)])
    weights_ms = np.array([1.0, 0.25, 0.125, 0.5])
    assert (basis.rows([(A, B, B, C)]) @ weights_ms).tolist() == [1.0 + 0.5 + 0.125 + 0.5]


def test_observations_are_rows_latencies_and_variances():
    basis = Basis.of([(A, B)])
    rows, latencies, variances = basis.observed(
        [
            Measurement(parts=(A, B), latency_ms=3.0, variance_ms2=0.01),
            Measurement(parts=(B,), latency_ms=1.0, whole=False),
        ]
    )
    assert rows.tolist() == [[1, 1, 1], [0, 1, 0]]
    assert latencies.tolist() == [3.0, 1.0]
    assert variances.tolist() == [0.01, 0.0]


def test_a_longer_basis_keeps_its_order_and_what_is_typical():
    basis = Basis.of([(A, B, B)])
    longer = basis.extended((C, D))
    assert longer.parts == (A, B, C, D)
    assert longer.typical.tolist() == [1.0, 2.0, 0.0, 0.0, 1.0]
    assert longer.index["d"] == 3
    assert basis.parts == (A, B)


def test_what_a_basis_lacks_is_told_once_each():
    basis = Basis.of([(A, B)])
    assert basis.lacking([(A, C), (C, D, B)]) == (C, D)
    assert basis.lacking([(A, B)]) == ()
    assert basis.extended((C, D)).lacking([(A, C), (C, D, B)]) == ()
