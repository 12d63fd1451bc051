"""Runs commands as a person would, in this process, with a home folder of their own."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pocketnas.cli.main import main


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
def pocketnas(capsys) -> Callable[..., Done]:
    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        return Done(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    return run
