"""The way by parts: Optuna, litert-torch, adb and the phone's benchmark tool, glued together.

What an engineer writes in an afternoon who wants latencies of networks that Optuna proposes.
``against_glue.py`` counts the lines of this file and runs it.
"""

import re
import subprocess
from pathlib import Path

import litert_torch
import optuna
import torch

from search_space.architecture import Classifier
from search_space.decisions import Decisions
from search_space.mnasnet import MnasNetSpace

TOOL = "/data/local/tmp/pocketnas/benchmark_model"
FOLDER = "/data/local/tmp"
HEAD = Classifier(classes=1000)
FAILURES = (subprocess.SubprocessError, OSError, ValueError)


def convert(module: torch.nn.Module, size: int, path: Path) -> None:
    """Write the module's ``.tflite`` file."""
    example = (torch.zeros(1, 3, size, size),)
    litert_torch.convert(module.eval(), example).export(str(path))


def adb(serial: str, *words: str) -> str:
    """What an adb command prints."""
    command = ["adb", "-s", serial, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


def push(serial: str, path: Path) -> None:
    """Copy the file to the phone."""
    adb(serial, "push", str(path), f"{FOLDER}/{path.name}")


def run(serial: str, path: Path) -> str:
    """What the tool prints for the pushed file: at least 50 runs and one second, its defaults."""
    return adb(serial, "shell", f"{TOOL} --graph={FOLDER}/{path.name} --num_threads=1")


def average_ms(printed: str) -> float:
    """The average latency in what the tool printed."""
    found = re.search(r"Inference \(avg\): ([0-9.e+]+)", printed)
    if found is None:
        msg = f"no average in what the tool printed: {printed[-200:]!r}"
        raise ValueError(msg)
    return float(found[1]) / 1000


def latencies(
    space: MnasNetSpace, points: list[Decisions], serial: str, folder: Path
) -> list[float | None]:
    """The latency in ms of each point, in their order; None where it failed."""

    def objective(trial: optuna.Trial) -> float:
        point = tuple(
            trial.suggest_categorical(choice.name, range(len(choice.options)))
            for choice in space.points.choices
        )
        path = folder / f"{'-'.join(map(str, point))}.tflite"
        if not path.exists():
            convert(space.decode(point).build(HEAD), space.size, path)
        push(serial, path)
        return average_ms(run(serial, path))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for point in points:
        names = [choice.name for choice in space.points.choices]
        study.enqueue_trial(dict(zip(names, point, strict=True)))
    study.optimize(objective, n_trials=len(points), catch=FAILURES)
    return [trial.value for trial in study.trials]
