from typing import Any

import numpy as np
import pytest
import torch

from search_space.architecture import InputSpec, VideoClassifier
from training.clip_frames import uniform_starts
from training.schedule import Schedule
from training.task import Split, create, full_name, metric_name, seen_by
from training.testing import VideoTaskContract
from training.trainer import Trainer
from training.video_files import VIEWS
from workspace.errors import InputError

pytest.importorskip("av")

CLASSES = ("left", "right")
LENGTHS = range(12, 40, 3)


def sliding(direction, length, number):
    """A white square that slides over grey to the left or to the right."""
    frames = np.full((length, 48, 48, 3), 30 + 5 * number, dtype=np.uint8)
    for time, frame in enumerate(frames):
        place = (7 * number + direction * 2 * time) % 40
        frame[16:26, place : place + 8] = 250
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten videos a class, of 12 to 39 frames, beside a list of them with several labels."""
    av = pytest.importorskip("av")
    root = tmp_path_factory.mktemp("videos")
    lines = []
    for place, name in enumerate(CLASSES):
        (root / name).mkdir()
        for number, length in enumerate(LENGTHS):
            path = root / name / f"{number}.mp4"
            with av.open(str(path), "w") as container:
                stream = container.add_stream("mpeg4", rate=25)
                stream.width = stream.height = 48
                stream.bit_rate = 4_000_000
                for frame in sliding(2 * place - 1, length, number):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(stream.encode())
            bright = ";bright" if number >= 5 else ""
            lines.append(f"{name}/{number}.mp4,{name}{bright}")
    (root / "list.csv").write_text("path,labels\n" + "\n".join(lines))
    return root


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path_factory.getbasetemp() / "video-home"))


def of_frames(frames, channels=3, size=24):
    return (InputSpec(name="frames", shape=(channels, frames, size, size)),)


class TestVideosInFolders(VideoTaskContract):
    size = 24

    @pytest.fixture
    def task(self, folder):
        return seen_by(create(f"videos:{folder}"), of_frames(8))

    def test_its_head_is_of_the_folders(self, task):
        assert task.head == VideoClassifier(classes=2)
        assert task.labels == CLASSES
        assert [len(task.examples(split, 24)) for split in Split] == [16, 2, 2]


class TestVideosOfAList(VideoTaskContract):
    size = 24

    @pytest.fixture
    def task(self, folder):
        return seen_by(create(f"video-list:{folder}/list.csv"), of_frames(8))

    def test_targets_are_of_several_labels(self, task):
        assert task.labels == ("bright", "left", "right")
        assert metric_name(task) == "mAP"
        _, targets = task.examples(Split.TRAIN, 24).batch(torch.arange(16), None)
        assert targets.dtype is torch.float32
        assert set(targets.sum(1).tolist()) == {1.0, 2.0}


def test_evaluation_takes_views_that_are_spread_over_the_whole_video(folder):
    """By where the square is in each frame, as it was drawn."""
    task = seen_by(create(f"videos:{folder}"), of_frames(8))
    examples: Any = task.examples(Split.TEST, 24)
    assert examples.frames == 8 * VIEWS
    (clips,), labels = examples.batch(torch.arange(2), None)
    assert clips.shape == (2 * VIEWS, 3, 8, 24, 24)
    compared = 0
    for video, label, views in zip(range(2), labels, clips.split(VIEWS), strict=True):
        length, stride = examples._lengths[video], examples._strides[video]
        number = LENGTHS.index(length)
        for view, start in zip(views, uniform_starts(length - 7 * stride - 1, 3), strict=True):
            for frame, time in zip(view.unbind(1), range(start, length, stride), strict=False):
                drawn = (7 * number + (2 * label - 1) * 2 * time) % 40 + 3.5
                bright = frame.mean(0).amax(0) > 0.4
                if 8 < drawn < 40:  # all of it is in the middle
                    found = torch.arange(24)[bright].float().mean()
                    assert found == pytest.approx((float(drawn) - 3) * 24 / 42 - 0.5, abs=1)
                    compared += 1
    assert compared > 20


def test_clips_of_training_come_from_anywhere_in_time_and_space(folder):
    task = seen_by(create(f"videos:{folder}"), of_frames(8))
    examples: Any = task.examples(Split.TRAIN, 24)
    longest = max(range(16), key=lambda number: examples._lengths[number])
    drawn = {
        examples.batch(torch.tensor([longest]), torch.Generator().manual_seed(seed))[0][0]
        .numpy()
        .tobytes()
        for seed in range(6)
    }
    assert len(drawn) == 6


def test_every_second_frame_is_taken_but_of_videos_that_are_too_short_for_that(folder):
    task = seen_by(create(f"videos:{folder}"), of_frames(12))
    examples: Any = task.examples(Split.TRAIN, 24)
    strides = dict(zip(examples._lengths, examples._strides, strict=True))
    assert {length: stride for length, stride in strides.items() if length < 23} == dict.fromkeys(
        (length for length in strides if length < 23), 1
    )
    assert strides[39] == 2


def test_networks_that_ask_for_longer_clips_are_refused_with_the_videos(folder):
    with pytest.raises(InputError, match=r"clips of 20 frames .* left/0.mp4 \(12\)"):
        seen_by(create(f"videos:{folder}"), of_frames(20))
    with pytest.raises(InputError, match=r"takes 1 channels, and the frames of .* have 3"):
        seen_by(create(f"videos:{folder}"), of_frames(8, channels=1))
    flow = InputSpec(name="flow", shape=(2, 8, 24, 24))
    with pytest.raises(InputError, match=r"takes optical flow, and .* has none"):
        seen_by(create(f"videos:{folder}"), (*of_frames(8), flow))


def test_names_are_the_same_from_any_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for form in ("videos:", "video-list:"):
        assert full_name(f"{form}{folder.name}") == f"{form}{folder.resolve()}"


@pytest.mark.parametrize("form", ["videos:", "video-list:"])
def test_a_small_network_is_trained_on_them(form, folder, tiny_video_network):
    path = folder if form == "videos:" else folder / "list.csv"
    task = seen_by(create(f"{form}{path}"), of_frames(8))
    module = tiny_video_network(task.head.classes, 3)
    schedule = Schedule(samples=32, batch=8, learning_rate=0.01)
    result = Trainer("cpu").fit(module, task, schedule, size=24, seed=0, channels=3)
    again = Trainer("cpu").fit(
        tiny_video_network(task.head.classes, 3), task, schedule, size=24, seed=0, channels=3
    )
    assert result.evaluation == again.evaluation
    assert result.evaluation.examples == 2
    assert (result.evaluation.calibration_error is None) == (form == "video-list:")
