import gzip

import pytest

from controller.algorithm import Goal
from controller.tabular import TabularProblem
from workspace.errors import InputError

ROWS = [
    f"{first}{second},0.{first}{second},{first + 1}" for first in range(2) for second in range(3)
]
TEXT = "choices,accuracy,cost\n" + "\n".join(ROWS) + "\n"


@pytest.fixture
def read(tmp_path):
    def read(content, name="problem.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TabularProblem.read(path)

    return read


def test_every_point_has_its_metrics_whatever_the_order_of_lines(read):
    lines = TEXT.splitlines()
    for text in (TEXT, "\n".join([lines[0], *reversed(lines[1:])])):
        problem = read(text)
        assert problem.count == 6
        assert problem.points.option_counts == (2, 3)
        assert problem.value((1, 2), "accuracy") == 0.12
        assert problem.value((0, 2), "cost") == 1.0
        assert problem.column("accuracy") == (0.0, 0.01, 0.02, 0.1, 0.11, 0.12)


def test_columns_are_objectives_and_all_but_accuracy_are_to_be_small(read):
    cost, accuracy = read(TEXT).objectives((1, 2), ["cost", "accuracy"])
    assert (cost.name, cost.value, cost.goal) == ("cost", 2.0, Goal.MINIMIZE)
    assert (accuracy.name, accuracy.value, accuracy.goal) == ("accuracy", 0.12, Goal.MAXIMIZE)
    with pytest.raises(InputError, match="no column 'energy'"):
        read(TEXT).objectives((1, 2), ["accuracy", "energy"])


def test_a_packed_file_is_read_too(read):
    assert read(gzip.compress(TEXT.encode()), "problem.csv.gz").count == 6


def test_what_is_not_there_is_named(read):
    problem = read(TEXT)
    with pytest.raises(InputError, match=r"problem\.csv has no column 'energy'; it has accuracy"):
        problem.value((0, 0), "energy")
    with pytest.raises(InputError, match="from 0 to 2, got 3"):
        problem.value((0, 3), "cost")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (TEXT.replace(ROWS[4] + "\n", ""), "lacks the point 11: 6 combinations are possible, 5"),
        (TEXT + ROWS[2] + "\n", "line 8: the point is on line 4 already"),
        (TEXT + "x1,1,2\n", "line 8: choices are digits, got 'x1'"),
        (TEXT + "²1,1,2\n", "line 8: choices are digits"),
        (TEXT + "111,1,2\n", "points have 2 to 3 digits"),
        (TEXT + "13,nan,2\n", "line 8: accuracy must be a finite number, got 'nan'"),
        (TEXT + "13,high,2\n", "line 8: accuracy must be a finite number, got 'high'"),
        (TEXT + "13,1_0,2\n", "line 8: accuracy must be a finite number, got '1_0'"),
        (TEXT + "13,1\n", "line 8: 2 cells where line 1 has 3"),
        ("choices\n00\n", "it needs 'choices' and a metric"),
        ("point,accuracy\n00,1\n", "it needs 'choices' and a metric"),
        ("choices,cost,cost\n00,1,1\n", "'cost' comes twice"),
        ("choices,cost\n", "has no points"),
        ("", "the columns are none"),
        (b"\xff\xfe", "is no CSV"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_sentence(content, told, read):
    with pytest.raises(InputError) as refused:
        read(content)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_cut_or_not_there_is_refused(read, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read(gzip.compress(TEXT.encode())[:-9], "problem.csv.gz")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        TabularProblem.read(tmp_path / "nowhere.csv")
