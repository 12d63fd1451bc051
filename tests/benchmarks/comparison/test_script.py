import json

import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.script import OF_THIS_COMPUTER, parser_of, run, seeds_of
from workspace.errors import InputError, OperationError


def planned(say):
    say("plan: 1.50 hours")
    return 1.5


def done(folder, say):
    Log(folder / "facts.jsonl").add("a", {"value": 1})
    say("half of it")
    return {"accuracy": 0.5}


def started(arguments, benchmark=done, **more):
    parser = parser_of("What it compares.\n\nAnd how.")
    run(
        parser,
        parser.parse_args(list(map(str, arguments))),
        name="made-up",
        planned=planned,
        benchmark=benchmark,
        **more,
    )


def test_the_result_says_its_form_its_hours_and_what_its_times_are(tmp_path, capsys):
    started(["--quick", "--log", tmp_path])
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["accuracy"] == 0.5
    assert found["form"] == "quick: tiny numbers that compare nothing"
    assert found["hours"] >= 0
    assert found["times"] == OF_THIS_COMPUTER
    assert "plan: 1.50 hours" in told.err
    assert "h: half of it" in told.err


def test_a_whole_run_says_so_and_has_times_of_its_own(tmp_path, capsys):
    started(["--log", tmp_path], times="CPU time")
    found = json.loads(capsys.readouterr().out)
    assert (found["form"], found["times"]) == ("whole", "CPU time")


def test_the_hours_of_earlier_runs_on_a_log_count(tmp_path, capsys):
    Log(tmp_path / "hours.jsonl").add("of a run before", {"hours": 2.0})
    started(["--log", tmp_path])
    assert json.loads(capsys.readouterr().out)["hours"] == pytest.approx(2.0, abs=0.1)


def test_a_plan_alone_does_nothing(tmp_path, capsys):
    started(["--plan", "--log", tmp_path / "log"])
    assert json.loads(capsys.readouterr().out) == {"planned_hours": 1.5}
    assert not (tmp_path / "log").exists()


def test_a_wrong_input_ends_with_its_sentence_and_code_2(tmp_path, capsys):
    def refused(folder, say):
        del folder, say
        msg = "the log is of something else"
        raise InputError(msg)

    with pytest.raises(SystemExit) as ended:
        started(["--log", tmp_path], refused)
    assert ended.value.code == 2
    assert "the log is of something else" in capsys.readouterr().err


def test_what_cannot_be_done_ends_with_its_sentence(tmp_path):
    def failed(folder, say):
        del folder, say
        msg = "all trainings diverged"
        raise OperationError(msg)

    with pytest.raises(SystemExit, match="all trainings diverged"):
        started(["--log", tmp_path], failed)


def test_seeds_are_the_plans_unless_given_and_enough_for_an_interval(capsys):
    parser = parser_of("What it compares.")
    assert seeds_of(parser, None, 5) == 5
    assert seeds_of(parser, 3, 5) == 3
    with pytest.raises(SystemExit):
        seeds_of(parser, 1, 5)
    assert "--seeds must be at least 2" in capsys.readouterr().err
