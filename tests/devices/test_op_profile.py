import pytest

from devices.op_profile import OperatorTime, read_operator_profile
from devices.runner_output import UnreadableOutputError

CSV = """Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
AllocateTensors, 0, 0.029, 0.029, 100%, 100%, 0, 1, AllocateTensors/0

Number of nodes executed: 1
============================== Summary by node type ==============================
node type, count, avg_ms, avg %, cdf %, mem KB, times called
AllocateTensors, 1, 0.029, 100%, 100%, 0, 1

Timings (microseconds): count=1 curr=29
Memory (bytes): count=0
1 nodes observed


Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
CONV_2D, 0, 0.11, 0.0930388, 44.8994%, 44.8994%, 0, 1, [sequential_11/conv2d_33/Conv2D]:0
ELU, 0.0931277, 0.034, 0.0300884, 14.5203%, 59.4197%, 0, 1, [sequential_11/conv2d_33/Elu]:1
AVERAGE_POOL_2D, 0.123291, 0.026, 0.0272269, 13.1394%, 72.559%, 0, 1, [a/AvgPool]:2
CONV_2D, 0.150559, 0.03, 0.0309657, 14.9436%, 87.5027%, 0, 1, [sequential_11/conv2d_34/Conv2D]:3
ELU, 0.181571, 0.01, 0.0102094, 4.92694%, 92.4296%, 0, 1, [sequential_11/conv2d_34/Elu]:4
AVERAGE_POOL_2D, 0.191832, 0.003, 0.00362065, 1.74728%, 94.1769%, 0, 1, [b/AvgPool]:5
CONV_2D, 0.195491, 0.008, 0.00765769, 3.6955%, 97.8724%, 0, 1, [sequential_11/conv2d_35/Conv2D]:6
ELU, 0.203215, 0.001, 0.000868238, 0.419001%, 98.2914%, 0, 1, [sequential_11/conv2d_35/Elu]:7
FULLY_CONNECTED, 0.204145, 0.002, 0.00214613, 1.03569%, 99.3271%, 0, 1, [c/MatMul]:8
ELU, 0.206331, 0.001, 0.000645791, 0.311651%, 99.6387%, 0, 1, [sequential_11/dense_22/Elu]:9
FULLY_CONNECTED, 0.207017, 0, 0.000406285, 0.196068%, 99.8348%, 0, 1, [d/MatMul]:10
SOFTMAX, 0.207468, 0.001, 0.000342312, 0.165195%, 100%, 0, 1, [Identity]:11

============================== Top by Computation Time ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
CONV_2D, 0, 0.11, 0.0930388, 44.8994%, 44.8994%, 0, 1, [sequential_11/conv2d_33/Conv2D]:0

"""
"""Rows that TensorFlow Lite's tool wrote and their owner published; some names are shortened."""


def test_the_operators_of_the_runs_are_read_in_their_order():
    operators = read_operator_profile(CSV).operators
    assert len(operators) == 12
    assert operators[0] == OperatorTime(
        name="[sequential_11/conv2d_33/Conv2D]:0",
        type="CONV_2D",
        avg_ms=0.0930388,
        percent=44.8994,
        calls=1,
    )
    assert [each.type for each in operators[-2:]] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert sum(each.avg_ms for each in operators) == pytest.approx(0.2072, abs=1e-4)


NEWER = """INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
TfLiteXNNPackDelegate, 7.1, 6.5, 65%, 65%, 0, 1, [a\tb/x;y]:0
Convolution (NHWC, QC8) IGEMM, 4, 3.5, 35%, 100%, 0, 2, Delegate/Convolution (NHWC\t QC8) IGEMM:0

2 nodes observed

Delegate internal:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
Convolution (NHWC, F32) GEMM, 6, 6.5, 100%, 100%, 0, 1, Delegate/Convolution:0

1 nodes observed
"""


def test_commas_in_types_and_names_and_a_delegates_inside_are_read():
    profile = read_operator_profile(NEWER)
    assert [each.type for each in profile.operators] == [
        "TfLiteXNNPackDelegate",
        "Convolution (NHWC, QC8) IGEMM",
    ]
    assert profile.operators[0].name == "[a,b/x;y]:0"
    assert profile.operators[1].calls == 2
    (inside,) = profile.inside_delegate
    assert (inside.type, inside.avg_ms) == ("Convolution (NHWC, F32) GEMM", 6.5)


def test_names_of_any_length_are_read():
    long = "stage/conv;" * 200
    profile = read_operator_profile(CSV.replace("[Identity]", f"[{long}]"))
    assert profile.operators[-1].name == f"[{long}]:11"


RUNS = CSV.index("Operator-wise")
END = CSV.index("============================== Top by")


def test_a_profile_cut_anywhere_before_the_end_of_its_rows_gives_none():
    for end in range(END):
        with pytest.raises(UnreadableOutputError):
            read_operator_profile(CSV[:end])


@pytest.mark.parametrize("row", range(12))
def test_a_row_that_is_lost_or_doubled_gives_none(row):
    lines = CSV.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith("Operator-wise")) + 3 + row
    for changed in ([*lines[:at], *lines[at + 1 :]], [*lines[:at], lines[at], *lines[at:]]):
        with pytest.raises(UnreadableOutputError, match="add up to"):
            read_operator_profile("".join(changed))


def test_the_tools_own_count_tells_of_a_row_that_is_lost():
    small = "SOFTMAX, 0, 0, 0%, 100%, 0, 1, [s]:2\n"
    text = NEWER.replace("\n\n2 nodes", f"\n{small}\n3 nodes", 1)
    assert len(read_operator_profile(text).operators) == 3
    with pytest.raises(UnreadableOutputError, match="2 operators are listed, 3 were observed"):
        read_operator_profile(text.replace(small, ""))


def test_a_table_of_an_unknown_form_gives_none():
    with pytest.raises(UnreadableOutputError, match="unknown form"):
        read_operator_profile(NEWER.replace("node type, first", "kind, first"))
    with pytest.raises(UnreadableOutputError, match="got 2"):
        read_operator_profile(NEWER + NEWER)
