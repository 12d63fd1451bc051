"""What happens to outputs on their way: the original number comes out, or none."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.runners import Dialect, RequestIgnoredError, UnreadableOutputError, parse

DATA = Path(__file__).parent / "data"
GRAPH = "--graph=models/a1_nhwc.tflite"
DEFAULTS = (GRAPH, "--num_runs=50", "--min_secs=1")


def recorded(case):
    return (DATA / f"{case}.stdout").read_text()


PLAIN, T1, ONE_RUN = recorded("plain"), recorded("t1"), recorded("onerun")
ECHO = "INFO: Min num runs: [50]\nINFO: Min runs duration (seconds): [1]\n"
PERCENTILES = PLAIN.replace("std=2346", "std=2346 p5=31800 median=32500 p95=35000").replace(
    "std=691", "std=691 p5=32300 median=33410 p95=34400"
)
SLOW = """INFO: Graph: [models/a1_nhwc.tflite]
INFO: Loaded model models/a1_nhwc.tflite
INFO: Initialized session in 5664.36ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=1 curr=2291733

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=50 first=2261010 curr=2262017 min=2251003 max=2291020 avg=2.26101e+06 std=8123

INFO: Inference timings in us: Init: 5664361, First inference: 2291733, Warmup (avg): \
2.29173e+06, Inference (avg): 2.26101e+06
"""
LITERT_STDOUT = PLAIN[: PLAIN.index("INFO: Inference timings")]
LITERT_STDERR = """Model initialization: 12.34 ms
Warmup (first):       41.92 ms
Warmup (avg):         32.98 ms (16 runs)
Inference (avg):      33.43 ms (50 runs)
Inference (min):      31.22 ms
Inference (max):      34.77 ms
Inference (std):      0.69
Init footprint:       5.49 MB
Overall footprint:    40.13 MB
"""
ASKED_ECHOED = ("INFO: Graph", f"{ECHO}INFO: Graph")

CASES = {
    "plain": (Dialect.TFLITE, (GRAPH,), PLAIN),
    "asked": (Dialect.TFLITE, DEFAULTS, PLAIN.replace(*ASKED_ECHOED)),
    "t1": (Dialect.TFLITE, (GRAPH, "--num_runs=30", "--num_threads=1"), T1),
    "onerun": (Dialect.TFLITE, (GRAPH, "--num_runs=1", "--warmup_runs=0"), ONE_RUN),
    "percentiles": (Dialect.TFLITE, (GRAPH,), PERCENTILES),
    "slow": (Dialect.TFLITE, (GRAPH,), SLOW),
    "crlf": (Dialect.TFLITE, (GRAPH,), PLAIN.replace("\n", "\r\n")),
    "litert": (Dialect.LITERT, (GRAPH,), LITERT_STDOUT + LITERT_STDERR),
}
STRANGERS = [
    *PLAIN.splitlines(keepends=True),
    *T1.splitlines(keepends=True),
    *ONE_RUN.splitlines(keepends=True),
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n",
    "Timings (microseconds): count=50 first=1 curr=1 min=1 max=1 avg=1 std=0\n",
    "\n",
]
"""Lines of other runs, that may come in between."""

KINDS = ["lose", "double", "swap", "move", "stranger", "cut line", "split line", "cut end", "gap"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 9999),
        st.integers(0, 9999),
    ),
    min_size=1,
    max_size=4,
)


def mutated(text, steps):
    """``text`` after the steps; each names what is done and where, modulo what there is."""
    lines = text.splitlines(keepends=True)
    for kind, one, two in steps:
        if not lines:
            break
        at = one % len(lines)
        line = lines[at]
        middle = two % (len(line) + 1)
        match kind:
            case "lose":
                del lines[at]
            case "double":
                lines.insert(at, line)
            case "swap":
                other = two % len(lines)
                lines[at], lines[other] = lines[other], lines[at]
            case "move":
                lines.insert(two % len(lines), lines.pop(at))
            case "stranger":
                lines.insert(at, STRANGERS[two % len(STRANGERS)])
            case "cut line":
                lines[at] = line[:middle]
            case "split line":
                lines[at : at + 1] = [line[:middle] + "\n", line[middle:]]
            case "cut end":
                lines = [*lines[:at], line[:middle]]
            case "gap":
                whole = "".join(lines)
                start, length = one % (len(whole) + 1), two % 200
                lines = (whole[:start] + whole[start + length :]).splitlines(keepends=True)
    return "".join(lines)


def number_of(case, text):
    dialect, asked, _ = CASES[case]
    try:
        parsed = parse(dialect, asked, text, "")
    except (UnreadableOutputError, RequestIgnoredError):
        return None
    return parsed.summary, parsed.first_ms, parsed.init_ms


ORIGINAL = {case: number_of(case, text) for case, (_, _, text) in CASES.items()}


def test_the_originals_are_read():
    assert all(ORIGINAL.values())
    assert {case: number[0].count for case, number in ORIGINAL.items()} == {
        **dict.fromkeys(CASES, 50),
        "t1": 30,
        "onerun": 1,
    }


def check(case, steps):
    text = mutated(CASES[case][2], steps)
    number = number_of(case, text)
    assert number in (ORIGINAL[case], None), (number, text)


SEVERAL = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@settings(SEVERAL, max_examples=1500)
@given(case=st.sampled_from(sorted(CASES)), steps=STEPS)
def test_mutations_give_the_original_number_or_none(case, steps):
    check(case, steps)


@pytest.mark.slow
@settings(SEVERAL, max_examples=20_000)
@given(case=st.sampled_from(sorted(CASES)), steps=STEPS)
def test_twenty_thousand_mutations_give_the_original_number_or_none(case, steps):
    check(case, steps)


@pytest.mark.parametrize("case", sorted(CASES))
def test_output_cut_anywhere_gives_the_original_number_or_none(case):
    text = CASES[case][2]
    given = {number_of(case, text[:end]) for end in range(len(text))}
    assert given <= {ORIGINAL[case], None}
    assert None in given


@pytest.mark.parametrize("case", sorted(CASES))
def test_two_runs_of_two_outputs_interleaved_give_the_original_number_or_none(case):
    text = CASES[case][2].splitlines(keepends=True)
    for other in (PLAIN, T1, ONE_RUN):
        for step in range(1, 6):
            rest, mixed = other.splitlines(keepends=True), []
            for number, line in enumerate(text):
                mixed.append(line)
                if number % step == 0 and rest:
                    mixed.append(rest.pop(0))
            assert number_of(case, "".join([*mixed, *rest])) in (ORIGINAL[case], None)


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_digit_of_a_statistics_line_that_changed_never_changes_the_average(case):
    text = CASES[case][2]
    dialect = CASES[case][0]
    for start in [n for n in range(len(text)) if text.startswith(("avg=", "(avg): "), n)]:
        for at in range(start, text.index("\n", start)):
            for digit in "0123456789" if text[at].isdigit() else "":
                number = number_of(case, text[:at] + digit + text[at + 1 :])
                if number and dialect is Dialect.TFLITE:
                    assert number[0].mean_ms == ORIGINAL[case][0].mean_ms
                elif number:
                    assert abs(number[0].mean_ms - ORIGINAL[case][0].mean_ms) <= 0.011
