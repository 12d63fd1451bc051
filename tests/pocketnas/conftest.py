"""Runs commands as a person would, in this process, with a home folder of their own."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from latency import presets
from latency.presets import TABLE
from pocketnas.cli.main import main
from training.coco_document import CocoBox, CocoImage, document_of


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


DEVICE = '''
"""A stand-in for a device: a file takes a start and what its bytes weigh; no figure is real."""

from contextlib import nullcontext

from latency.baseline import Baselines
from latency.device_source import DeviceSource
from latency.gates import Gate
from latency.model_files import ModelFiles
from latency.protocol import Patience
from latency.store import MeasurementStore
from latency.testing import FakeDevice


class Held:
    def require(self):
        """Nobody else wants it."""


def source_of(settings, factor):
    return DeviceSource(
        "made-up",
        [FakeDevice("A", median_ms=lambda model: factor * (0.05 + size_mb(model)))],
        lease=lambda device_id, *, wait_s: nullcontext(Held()),
        files=ModelFiles("tflite", settings.precision),
        store=MeasurementStore.shared(),
        placement=settings.placement,
        patience=Patience(pause_s=0.0),
        gate=Gate(baselines=Baselines(path=None)),
    )


def size_mb(model):
    return model.path.stat().st_size / 1e6


def DEVICE(settings):
    return source_of(settings, 1.0)


def SLOWER(settings):
    return source_of(settings, 1.3)
'''


@pytest.fixture
def made_up_device(tmp_path, monkeypatch):
    """Puts two sources in reach, ``made_up:DEVICE`` and ``made_up:SLOWER``, which is no device."""
    pytest.importorskip("torch")
    (tmp_path / "made_up.py").write_text(DEVICE)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def short_sessions(monkeypatch):
    """Of tables, a fraction of a second: figures are noisy, and the way to them is the same."""
    pytest.importorskip("torch")
    short = replace(TABLE, warmup_min_s=0.02, timed_min_s=0.05, timed_runs=5, sentinel_every=0)
    monkeypatch.setattr("pocketnas.table_building.TABLE", short)
    monkeypatch.setitem(presets._BY_NAME, "table", short)


@pytest.fixture
def boxes(tmp_path):
    """Twenty red squares on black with their boxes; the name of the data set."""
    images = pytest.importorskip("PIL.Image")
    told = []
    (tmp_path / "set/train").mkdir(parents=True)
    for number in range(20):
        picture = images.new("RGB", (64, 64))
        picture.paste((255, 0, 0), (number, 20, number + 30, 50))
        picture.save(tmp_path / f"set/train/{number}.png")
        box = CocoBox(label=0, corners=(number, 20, number + 30, 50))
        told.append(CocoImage(path=f"{number}.png", width=64, height=64, boxes=(box,)))
    (tmp_path / "set/train.json").write_text(json.dumps(document_of(told, ("square",), "")))
    return f"coco:{tmp_path}/set"


@pytest.fixture
def started():
    """Start a command as a process of its own, with its output piped."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pocketnas", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def kill_after():
    """Kill a search without warning as soon as it has kept so many outcomes."""

    def kill(process: subprocess.Popen[str], run: Path, told: int) -> None:
        deadline = time.monotonic() + 1800
        while time.monotonic() < deadline and process.poll() is None and _told(run) < told:
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)

    return kill


def _told(run: Path) -> int:
    path = run / "study.db"
    if not path.is_file():
        return 0
    with closing(sqlite3.connect(path)) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM outcome").fetchone()[0])
        except sqlite3.OperationalError:  # its tables are being made
            return 0


@pytest.fixture
def pocketnas(capsys) -> Callable[..., Done]:
    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        return Done(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture
def timed(pocketnas) -> Callable[..., dict[str, Any]]:
    """Times a network of ten classes, and gives what was printed once it is a whole latency."""

    def measure(network: str, on: str, *flags: str) -> dict[str, Any]:
        words = ("measure", network, "--classes=10", f"--on={on}", "--preset=quick", "--json")
        done = pocketnas(*words, *flags)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        assert 0 < found["ci_low_ms"] <= found["median_ms"] <= found["ci_high_ms"]
        assert len(found["sessions"]) >= 3
        return found

    return measure
