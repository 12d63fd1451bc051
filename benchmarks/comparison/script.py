"""The command line that the benchmarks of hours share: a plan first, a log to go on from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.comparison.durations import Hours
from benchmarks.comparison.log import Log, log_folder
from workspace.errors import InputError, OperationError

Say = Callable[[str], None]
"""Tells people how far a benchmark is."""

OF_THIS_COMPUTER = "of this x86 computer: they test the method, no phone's speed"
"""What the times are, of benchmarks that time networks."""


def told(text: str) -> None:
    """Say something to people."""
    sys.stderr.write(f"{text}\n")


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """With what all of them take.

    Args:
        doc: Of the benchmark, whose first line says what it is.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny numbers, that compare nothing")
    parser.add_argument("--log", type=Path, help="folder to go on from, or to make")
    parser.add_argument("--plan", action="store_true", help="only say what it would take")
    return parser


def seeds_of(parser: argparse.ArgumentParser, given: int | None, planned: int) -> int:
    """The seeds of the plan, or those that the user gave: enough for an interval.

    Args:
        parser: Ends the program if they are too few.
        given: By the user; None for the plan's.
        planned: By the plan.
    """
    seeds = planned if given is None else given
    if seeds < 2:
        parser.error(f"--seeds must be at least 2, for an interval, got {seeds}")
    return seeds


def run(
    parser: argparse.ArgumentParser,
    arguments: argparse.Namespace,
    *,
    name: str,
    planned: Callable[[Say], float],
    benchmark: Callable[[Path, Say], Mapping[str, object]],
    times: str = OF_THIS_COMPUTER,
) -> None:
    """Say what it would take, do it, and print the result, or one sentence of what is wrong.

    Args:
        parser: Of ``parser_of``.
        arguments: What it read.
        name: Of the benchmark, and so of its log.
        planned: Says each stage's hours; returns all.
        benchmark: Does it, in a folder of logs; gives the result.
        times: What its times are.
    """
    try:
        expected = planned(told)
        if arguments.plan:
            print(json.dumps({"planned_hours": expected}))
            return
        with log_folder(name, arguments.log, quick=arguments.quick) as folder:
            told(f"the log is {folder}")
            hours = Hours(Log(folder / "hours.jsonl"))

            def say(text: str) -> None:
                hours.note()
                told(f"{hours.here:.2f} h: {text}")

            found = benchmark(folder, say)
            whole = hours.total
    except InputError as error:
        parser.error(str(error))
    except OperationError as error:
        sys.exit(str(error))
    form = "quick: tiny numbers that compare nothing" if arguments.quick else "whole"
    print(json.dumps({**found, "form": form, "hours": round(whole, 3), "times": times}))
