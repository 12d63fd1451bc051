import shutil
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
from workspace.errors import InputError

pytest.importorskip("av")

CLASSES = ("left", "right")
VIEWS = 3
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
    objects = InputSpec(name="objects", shape=(151, 8, 24, 24))
    with pytest.raises(
        InputError, match=r"takes maps of objects, and .* has none, as no data set"
    ):
        seen_by(create(f"videos:{folder}"), (*of_frames(8), objects))


FLOW = (InputSpec(name="flow", shape=(2, 8, 24, 24)),)


@pytest.fixture(scope="module")
def flowing(tmp_path_factory):
    """Six videos a class of 20 to 25 frames with flow beside them, which says what they show.

    To the right it says the column, down the frame; brightness is twice the column and five times
    the frame. The flow is of half as many pixels.
    """
    av = pytest.importorskip("av")
    root = tmp_path_factory.mktemp("flowing")
    for name in CLASSES:
        (root / name).mkdir()
        for number in range(6):
            length = 20 + number
            with av.open(str(root / name / f"{number}.mp4"), "w") as container:
                stream = container.add_stream("mpeg4", rate=25)
                stream.width = stream.height = 48
                stream.bit_rate = 4_000_000
                for time in range(length):
                    row = 2 * np.arange(48) + 5 * time
                    pixels = np.broadcast_to(row[None, :, None], (48, 48, 3)).astype(np.uint8)
                    frame = av.VideoFrame.from_ndarray(pixels.copy(), format="rgb24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
            flow = np.zeros((length - number % 2, 2, 24, 24), dtype=np.float16)
            flow[:, 0] = 2 * np.arange(24) + 0.5
            flow[:, 1] = np.arange(len(flow))[:, None, None]
            np.save(root / name / f"{number}.flow.npy", flow)
    return root


def shown(flow, stride, box):
    """Frame by frame `[T]`, and column by column `[size]`, what a clip's flow says it shows.

    Args:
        flow: `[2, T, size, size]`.
        stride: Of the clip.
        box: Pixels of the flow's file that the clip is wide and high.
    """
    scale = stride * 24 / box
    return flow[1].mean((1, 2)) / scale, flow[0].mean((0, 1)) / scale


@pytest.mark.parametrize("split", [Split.VALIDATION, Split.TEST])
def test_flow_beside_videos_is_of_the_same_frames_and_the_same_box(flowing, split):
    task: Any = seen_by(create(f"videos:{flowing}"), (*of_frames(8), *FLOW))
    assert (task.has_flow, task.channels) == (True, 3)
    examples: Any = task.examples(split, 24)
    (clips, flow), _ = examples.batch(torch.arange(2), None)
    assert clips.shape == (2 * VIEWS, 3, 8, 24, 24)
    assert flow.shape == (2 * VIEWS, 2, 8, 24, 24)
    assert flow.dtype is torch.float32
    starts = []
    for clip, own in zip(clips, flow, strict=True):
        times, columns = shown(own, 2, 21)
        found = clip.mean(0) * 127.5 + 127.5
        wanted = 2 * columns + 5 * times[:, None, None]
        assert (found - wanted)[:, 2:-2, 2:-2].abs().mean() < 3
        starts.append(round(float(times[0])))
    slacks = [length - 15 for length in examples._lengths]
    assert starts == [start for slack in slacks for start in uniform_starts(slack, VIEWS)]


def test_flow_of_clips_that_are_drawn_is_of_the_same_frames_and_the_same_box(flowing):
    task: Any = seen_by(create(f"videos:{flowing}"), (*of_frames(8), *FLOW))
    examples: Any = task.examples(Split.TRAIN, 24)
    starts = set()
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        (clips, flow), _ = examples.batch(torch.arange(8), generator)
        for clip, own in zip(clips, flow, strict=True):
            # The last frame of a video may have the flow of the one before.
            gained = (own[1, -2] - own[1, 0]).mean() / 12
            times = own[1, :-1].mean((1, 2)) / gained
            found = (clip[:, :-1].mean(0) * 127.5 + 127.5).mean(1)[:, 2:-2]
            wide = np.polyfit(range(20), found.mean(0), 1)[0] / 2  # columns a pixel
            columns = own[0].mean((0, 1))[2:-2] * wide / 4
            assert (found - 2 * columns - 5 * times[:, None]).abs().mean() < 4
            starts.add(round(float(times[0])))
    assert any(start % 2 for start in starts), "clips begin at every frame"
    assert any(start % 2 == 0 for start in starts)


def test_networks_of_flow_alone_are_given_it_and_nothing_is_decoded(flowing, monkeypatch):
    both = seen_by(create(f"videos:{flowing}"), (*of_frames(8), *FLOW))
    alone: Any = seen_by(create(f"videos:{flowing}"), FLOW)
    assert (alone.has_flow, alone.channels) == (True, 2)
    monkeypatch.setattr("training.video_frames._frames", lambda _: pytest.fail("decoded"))
    for split in (Split.TRAIN, Split.TEST):
        alone.examples(split, 24).expect(torch.arange(2))
        ((flow,), labels) = alone.examples(split, 24).batch(torch.arange(2), None)
        assert flow.shape == ((1 if split is Split.TRAIN else VIEWS) * 2, 2, 8, 24, 24)
        assert len(labels) == 2
    monkeypatch.undo()
    (_, wanted), _ = both.examples(Split.TEST, 24).batch(torch.arange(2), None)
    assert torch.allclose(flow, wanted, atol=1e-4)


def test_videos_without_flow_are_named_and_counted_where_a_network_takes_it(
    flowing, folder, tmp_path
):
    with pytest.raises(InputError) as caught:
        seen_by(create(f"videos:{folder}"), (*of_frames(8), *FLOW))
    said = str(caught.value)
    assert "takes optical flow, and 20 of the 20 videos in" in said
    assert "left/0.mp4 (0.flow.npy is not there)" in said
    assert "and 15 more; put NAME.flow.npy with [frames, 2, H, W]" in said
    copied = shutil.copytree(flowing, tmp_path / "copied")
    np.save(copied / "right/3.flow.npy", np.zeros((9, 2, 24, 24), dtype=np.float32))
    wrong = r"1 of the 12 .*right/3.mp4 \(3.flow.npy is of 9 frames, the video has 23\)"
    with pytest.raises(InputError, match=wrong):
        seen_by(create(f"videos:{copied}"), (*of_frames(8), *FLOW))
    task: Any = seen_by(create(f"videos:{copied}"), of_frames(8))
    assert not task.has_flow


def test_a_network_with_a_stream_of_flow_is_trained_on_videos(flowing, tiny_video_network):
    task = seen_by(create(f"videos:{flowing}"), (*of_frames(8), *FLOW))
    results = [
        Trainer("cpu").fit(
            tiny_video_network(2, 3, flow=True),
            task,
            Schedule(samples=16, batch=4, learning_rate=0.01),
            size=24,
            seed=0,
            channels=3,
        )
        for _ in range(2)
    ]
    assert results[0].evaluation == results[1].evaluation
    assert len(results[0].feedback["body"]) == 2


def test_stride_and_views_are_as_the_name_says(folder):
    name = f"videos:{folder},stride=3,views=5"
    task: Any = seen_by(create(name), of_frames(8))
    assert task.name == name
    for split in (Split.TRAIN, Split.TEST):
        examples: Any = task.examples(split, 24)
        strides = dict(zip(examples._lengths, examples._strides, strict=True))
        assert all(
            stride == (3 if length >= 22 else 2 if length >= 15 else 1)
            for length, stride in strides.items()
        )
    (clips,), targets = examples.batch(torch.arange(2), None)
    assert clips.shape == (10, 3, 8, 24, 24)
    scores = torch.zeros(10, 2)
    assert task.predictions(scores, 24).shape == (2, 2)
    assert task.loss(scores, targets, label_smoothing=0.0) == pytest.approx(0.6931, abs=1e-3)


def test_clips_of_training_begin_at_every_frame(folder):
    """By which frames are cut of the whole video that is decoded."""
    task = seen_by(create(f"videos:{folder}"), of_frames(8))
    examples: Any = task.examples(Split.TRAIN, 24)
    longest = max(range(16), key=lambda number: examples._lengths[number])
    (video,) = examples._ahead.take([longest])
    assert len(video) == examples._lengths[longest]
    starts = {
        cut.start
        for seed in range(200)
        for cut in examples._cuts([longest], [video], torch.Generator().manual_seed(seed))
    }
    assert starts == set(range(len(video) - 14))


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
