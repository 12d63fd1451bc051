"""Trainings of networks of clips in their folders, from a plan to weights and a result."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("torch")

from pocketnas import training_plan
from pocketnas.heads import require_head
from pocketnas.training_plan import TrainingPlan
from pocketnas.training_progress import show_training
from pocketnas.training_runs import go_on, require_possible, start
from search_space.architecture import Classifier, InputSpec, VideoClassifier
from training import moving_fashion
from training.schedule import Schedule
from training.task import Split
from workspace.errors import InputError

torch = pytest.importorskip("torch")  # an import of the core would say that it needs it

pytestmark = pytest.mark.usefixtures("fashion_mnist_data")

DATASET = "generated-moving-fashion"


@dataclass(frozen=True)
class Clips:
    """An architecture of a family of its own: (2+1)D, of frames and flow, with two gates."""

    frames: int = 8
    size: int = 16
    scores: int = 0
    family = "clips"

    @property
    def key(self):
        return f"clips-{self.frames}-{self.size}"

    @property
    def inputs(self):
        return tuple(
            InputSpec(name=name, shape=(channels, self.frames, self.size, self.size))
            for name, channels in (("frames", 3), ("flow", 2))
        )

    def at(self, size):
        return replace(self, size=size)

    def to_json(self):
        return {"family": self.family, "version": 1, "frames": self.frames, "size": self.size}

    def build(self, head):
        if not isinstance(head, VideoClassifier):
            msg = f"clips end in a classifier of videos, got {head}"
            raise InputError(msg)
        torch.manual_seed(0)
        return _Network(self.scores or head.classes)


class _Network(torch.nn.Module):  # type: ignore[name-defined, misc] # torch is no import here
    def __init__(self, classes):
        super().__init__()
        nn = torch.nn

        def stream(channels):
            return nn.Sequential(
                nn.Conv3d(channels, 8, (1, 3, 3), (1, 4, 4), (0, 1, 1), bias=False),
                nn.BatchNorm3d(8),
                nn.ReLU(),
                nn.Conv3d(8, 8, (3, 1, 1), padding=(1, 0, 0)),
            )

        self.streams = nn.ModuleList(map(stream, (3, 2)))
        self.theta = nn.Parameter(torch.zeros(2))
        self.head = nn.Linear(8, classes)

    def gates(self):
        return {"head": self.theta.detach().sigmoid()}

    def forward(self, frames, flow):
        first, second = (
            stream(each) for stream, each in zip(self.streams, (frames, flow), strict=True)
        )
        share = self.theta.sigmoid()
        return self.head((share[0] * first + share[1] * second).mean((2, 3, 4)))


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(moving_fashion, "COUNTS", dict.fromkeys(Split, 24))
    moving_fashion.clips.cache_clear()
    yield
    moving_fashion.clips.cache_clear()


def plan(architecture, **more):
    schedule = Schedule(samples=72, batch=12, learning_rate=0.01)
    made = {"schedule": schedule, "evaluate_every": 24, "checkpoint_s": 0.0, **more}
    return TrainingPlan(name="clips", architecture=architecture, dataset=DATASET, **made)


def test_a_network_of_frames_and_flow_is_trained_and_goes_on_where_it_was_cut_off(
    tmp_path, monkeypatch
):
    made: Any = Clips()
    with show_training(quiet=True) as shown:
        start(tmp_path / "whole", plan(made), shown)

        class CutOff:
            on_plan = on_stage = on_evaluation = on_text = lambda *_: None

            def on_step(self, step):
                if step.number == 4:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "cut", plan(made), CutOff())
        monkeypatch.setattr(training_plan, "from_json", lambda _: made)
        go_on(tmp_path / "cut", shown)
    whole, cut = (
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "cut")
    )
    assert whole["evaluations"] == cut["evaluations"]
    test = whole["evaluations"]["test"]
    assert test["examples"] == 24
    assert {"accuracy", "top5", "calibration_error", "loss"} <= set(test)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_a_plan_with_clips_that_are_too_long_is_refused_before_anything_is_made():
    long: Any = Clips(frames=32)
    with pytest.raises(InputError, match=r"have 16 frames, the network takes 32"):
        require_possible(plan(long))
    smoothed = Schedule(samples=72, batch=12, label_smoothing=0.1)
    require_possible(plan(replace(long, frames=16), schedule=smoothed))


def test_networks_of_clips_have_heads_of_their_own():
    clips: Any = Clips()
    require_head(clips, VideoClassifier(classes=5), DATASET)
    wrong: Any = Clips(scores=4)
    with pytest.raises(InputError, match=r"needs networks that end in .* a score for each of 5"):
        require_head(wrong, VideoClassifier(classes=5), DATASET)
    with pytest.raises(InputError, match=r"'digits' has images, and the network takes clips"):
        require_head(clips, Classifier(classes=5), "digits")
