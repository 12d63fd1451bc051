from pathlib import Path

import pytest

from benchmarks.glue import figures

CODE = '''"""A module.

Two lines of it.
"""

# a comment
LIMIT = 3
"""What it is."""


def half(value):  # a comment behind code
    """A fact."""
    text = """not a docstring,

    and counted whole"""
    return (
        value / 2,
        text,
    )
'''


def made(latencies_ms, sessions_ms=None, **more):
    usual = {
        "latencies_ms": tuple(latencies_ms),
        "sessions_ms": tuple(sessions_ms or [()] * len(latencies_ms)),
        "total_s": 20.0,
        "parts_s": {"convert": 4.0, "push": 1.0, "run": 12.0},
        "in_runs_s": 10.0,
        "starts": 10,
        "faults": 0,
        "unstable": 0,
    }
    return figures.Pass(**{**usual, **more})


def sessions(median_ms, spread=0.001):
    return tuple(median_ms * (1 + spread * step) for step in (-2, -1, 0, 1, 2))


def test_lines_that_hold_code_are_counted():
    assert figures.code_lines(CODE) == 9
    assert figures.code_lines('"""Nothing but a fact."""\n\n# and a comment\n') == 0


def test_the_file_of_each_way_is_counted_as_it_stands(script):
    folder = Path(script.__file__).parent / "glue"
    counts = {
        way: figures.code_lines((folder / name).read_text()) for way, name in figures.WAYS.items()
    }
    for way, name in figures.WAYS.items():
        lines = (folder / name).read_text().splitlines()
        assert 10 < counts[way] < sum(bool(line.strip()) for line in lines)


def test_pairs_are_those_apart_by_all_passes_together():
    first, second = made([1.0, 1.02, 2.0]), made([1.0, 1.06, 2.0])
    assert figures.pairs_apart([first, first]) == [(0, 2), (1, 2)]
    assert figures.pairs_apart([first, second]) == [(0, 1), (0, 2), (1, 2)]


def test_a_candidate_without_a_number_is_in_no_pair():
    whole, holed = made([1.0, 2.0, 3.0]), made([1.0, None, 3.0])
    assert figures.pairs_apart([whole, holed]) == [(0, 2)]


def test_a_pair_in_another_order_is_a_flip():
    first, second = made([1.0, 1.1, 2.0]), made([1.2, 1.1, 2.0])
    assert figures.flips([(0, 1), (0, 2), (1, 2)], first, second) == 1
    assert figures.flips([(0, 2), (1, 2)], first, second) == 0


def test_pairs_within_their_noise_are_not_told_apart():
    medians = [1.0, 1.001, 1.5]
    one = made(medians, [sessions(each) for each in medians])
    assert figures.told_apart([(0, 1), (0, 2), (1, 2)], one) == {(0, 2), (1, 2)}


def test_numbers_a_tenth_off_are_wrong_and_lost_ones_are_not():
    references = figures.middle([made([1.0, 2.0, None]), made([1.2, 2.0, 3.0])], 3)
    assert references == [pytest.approx(1.1), 2.0, 3.0]
    assert figures.off([1.2, None, 3.3001], references) == 1
    assert figures.off([1.22, 1.7, None], references) == 2


def test_the_parts_of_a_candidate_and_the_rest_are_its_seconds():
    found = figures.split(made([1.0] * 10))
    assert found == {
        "convert_s": 0.4,
        "push_s": 0.1,
        "run_s": 1.2,
        "other_s": 0.3,
        "in_runs_s": 1.0,
        "overhead_s": 1.0,
        "tool_starts": 1.0,
    }


def test_a_part_inside_another_is_timed_once(script, monkeypatch):
    now = iter([0.0, 1.0, 3.0, 10.0])
    monkeypatch.setattr(script.time, "perf_counter", lambda: next(now))
    watch = script.Stopwatch()
    push = watch.around("push", lambda: "pushed")
    assert watch.around("run", push)() == "pushed"
    assert watch.seconds == {"push": 2.0, "run": 8.0}


def test_every_figure_is_given_for_both_ways():
    medians = [1.0, 1.5, 2.0]
    parts = [made(medians), made([1.6, 1.5, 2.0], total_s=3.0)]
    ours = [made(medians, [sessions(each) for each in medians]) for _ in range(2)]
    calm = {figures.PARTS: parts, figures.POCKETNAS: ours}
    disturbed = {
        figures.PARTS: made([None, 1.5], faults=1),
        figures.POCKETNAS: made([1.0, 1.7], faults=1),
    }
    found = figures.figures(calm, disturbed)
    assert found["s_per_candidate"] == {"glue": 6.67, "pocketnas": 6.67}
    assert found["flips"] == {"glue": 1, "pocketnas": 0}
    assert (found["pairs"], found["pairs_closer"], found["pocketnas_undecided"]) == (3, 0, 0)
    assert found["lost"] == {"glue": 1, "pocketnas": 0}
    assert found["wrong"] == {"glue": 0, "pocketnas": 1}
    assert found["failures"] == {"glue": 1, "pocketnas": 1}
    assert found["off_undisturbed"] == {"glue": 1, "pocketnas": 0}


# --- the way by parts ---------------------------------------------------------------------------


@pytest.fixture
def by_parts():
    """The module, if what it glues is there."""
    for module in ("optuna", "torch", "litert_torch"):
        pytest.importorskip(module)
    from benchmarks.glue import by_parts

    return by_parts


@pytest.mark.slow
def test_the_average_is_read_from_what_the_tool_prints(by_parts):
    printed = (
        "INFO: Inference timings in us: Init: 3651, First inference: 9241, "
        "Warmup (avg): 6.1e+03, Inference (avg): 5172.33\n"
    )
    assert by_parts.average_ms(printed) == pytest.approx(5.17233)
    with pytest.raises(ValueError, match="no average in what the tool printed: 'error: closed'"):
        by_parts.average_ms("error: closed")


@pytest.mark.slow
@pytest.mark.loopback
@pytest.mark.usefixtures("debian_adb")
def test_a_dropped_run_costs_the_parts_a_candidate_and_pocketnas_none(
    script, by_parts, loopback_phones, tmp_path, monkeypatch
):
    (phone,) = loopback_phones(1)
    space = script.MnasNetSpace(size=32)
    one, other = script.candidates(space, 2)
    setting = script.Setting(phone=phone, space=space, folder=tmp_path)
    monkeypatch.setattr(by_parts, "convert", quickly_converted)
    pushed = by_parts.push

    def patiently_pushed(serial, path):
        by_parts.adb(serial, "wait-for-device")  # real conversions give adb time to come back
        pushed(serial, path)

    monkeypatch.setattr(by_parts, "push", patiently_pushed)
    glued = script.one_pass(figures.PARTS, setting, [one, other], script.dropped(1))
    assert [latency is None for latency in glued.latencies_ms] == [True, False]
    ours = script.one_pass(figures.POCKETNAS, setting, [one], script.dropped(1))
    assert None not in ours.latencies_ms
    for found in (glued, ours):
        assert found.faults == 1
        assert 0 < found.in_runs_s < found.total_s


def quickly_converted(module, size, path):
    """By our writer: the test is of what comes after."""
    import torch

    from exporters.artifact import Precision
    from exporters.exporter import NamedInput, create

    folder = path.with_suffix("")
    folder.mkdir()
    inputs = (NamedInput("image", torch.zeros(1, 3, size, size)),)
    artifact = create("tflite", Precision.FP32).export(module, inputs, folder)
    artifact.path.rename(path)
