import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from search_space.architecture import InputSpec, VideoClassifier
from training import moving_fashion
from training.fashion_mnist import split_images
from training.moving_things import Motion
from training.schedule import Schedule
from training.task import Split, create, metric_name, seen_by
from training.testing import VideoTaskContract
from training.trainer import Trainer
from workspace.errors import InputError

pytestmark = pytest.mark.usefixtures("fashion_mnist_data")

FEW = 24


def of_frames(channels=1, frames=16, size=32):
    return (InputSpec(name="frames", shape=(channels, frames, size, size)),)


def with_flow(channels=1, frames=16, size=32):
    spec = InputSpec(name="flow", shape=(2, frames, size, size))
    return (*of_frames(channels, frames, size), spec)


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path_factory):
    """Two dozen clips a split, kept in a folder of the tests' own."""
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    monkeypatch.setattr(moving_fashion, "COUNTS", dict.fromkeys(Split, FEW))
    moving_fashion.clips.cache_clear()
    yield
    moving_fashion.clips.cache_clear()


class TestMovingFashion(VideoTaskContract):
    @pytest.fixture
    def task(self):
        return create("generated-moving-fashion")

    def test_its_head_tells_the_twelve_motions_apart(self, task):
        assert task.head == VideoClassifier(classes=12)
        assert task.labels == tuple(Motion)
        assert (task.channels, task.proxy.size) == (1, 32)
        assert metric_name(task) == "accuracy"


class TestWithEightFramesInColourAndFlow(VideoTaskContract):
    @pytest.fixture
    def task(self):
        return seen_by(create("generated-moving-fashion"), with_flow(3, 8))

    def test_flow_is_beside_the_frames(self, task):
        (clips, flow), _ = task.examples(Split.TEST, 32).batch(torch.arange(3), None)
        assert clips.shape == (3, 3, 8, 32, 32)
        assert flow.shape == (3, 2, 8, 32, 32)
        assert 1 < flow.abs().max() < 16


def test_a_network_may_see_flow_alone():
    (flow,) = (each for each in with_flow(frames=8) if each.name == "flow")
    task = seen_by(create("generated-moving-fashion"), (flow,))
    inputs, labels = task.examples(Split.TEST, 32).batch(torch.arange(3), None)
    both, _ = (
        seen_by(create("generated-moving-fashion"), with_flow(frames=8))
        .examples(Split.TEST, 32)
        .batch(torch.arange(3), None)
    )
    assert (len(inputs), task.channels, labels.tolist()) == (1, 2, [0, 1, 2])
    assert torch.equal(inputs[0], both[1])


def test_the_same_clips_come_from_every_computer():
    digest = hashlib.sha256(moving_fashion.clips(Split.VALIDATION, "frames").tobytes())
    assert digest.hexdigest()[:16] == "584254980f66df32"
    digest = hashlib.sha256(moving_fashion.clips(Split.VALIDATION, "flow").tobytes())
    assert digest.hexdigest()[:16] == "4590f22844754bab"


def test_every_motion_is_there_as_often_as_any_other():
    assert np.bincount(moving_fashion.labels_of(FEW)).tolist() == [2] * 12
    assert all(count % 12 == 0 for count in (6_000, 1_200, 2_400))


def test_a_split_is_made_of_its_own_images_and_has_clips_of_its_own(monkeypatch):
    asked = []

    def watched(split):
        asked.append(split)
        return split_images(split)

    monkeypatch.setattr(moving_fashion, "split_images", watched)
    monkeypatch.setattr(moving_fashion, "COUNTS", dict.fromkeys(Split, 2))
    digests = {moving_fashion.clips(split, "frames")[0].tobytes() for split in Split}
    assert asked == list(Split)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (of_frames(frames=17), r"have 16 frames, the network takes 17"),
        (of_frames(channels=4), r"takes 4 channels, and the frames of .* have 1"),
        ((InputSpec(name="image", shape=(3, 32, 32)),), r"has clips .* takes \[3, 32, 32\]"),
        (with_flow()[::-1], r"gives one input of frames and after it optical flow"),
        (of_frames() * 2, r"gives one input of frames and after it optical flow"),
        (
            (*of_frames(), InputSpec(name="flow", shape=(2, 8, 32, 32))),
            r"frames and flow are of one length and size",
        ),
    ],
)
def test_networks_that_take_what_there_is_not_are_refused(inputs, message):
    with pytest.raises(InputError, match=message):
        seen_by(create("generated-moving-fashion"), inputs)


@pytest.mark.slow
def test_one_frame_tells_nothing_of_the_motion(monkeypatch):
    """A linear model and a small convolutional one of single frames stay near chance, 8.3 %.

    Of 600 clips that both have not seen 12.8 % would be right by luck once in ten thousand.
    """
    monkeypatch.setattr(moving_fashion, "COUNTS", dict.fromkeys(Split, 600))
    labels = torch.from_numpy(moving_fashion.labels_of(600))
    seen, unseen = (
        torch.from_numpy(moving_fashion.clips(split, "frames").astype(np.float32)) / 255
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    for frame in (0, 7, 15):
        wanted = nn.functional.one_hot(labels).float()
        rows = seen[:, frame].flatten(1)
        weights = torch.linalg.solve(rows.T @ rows + 10 * torch.eye(1024), rows.T @ wanted)
        found = (unseen[:, frame].flatten(1) @ weights).argmax(1)
        assert (found == labels).float().mean() < 0.128
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 12),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for step in range(150):
        chosen, frame = torch.randint(600, (64,)), step % 16
        loss = nn.functional.cross_entropy(model(seen[chosen, frame, None]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = sum(model(unseen[:, frame, None]).softmax(1) for frame in (1, 8, 14)).argmax(1)
    assert (found == labels).float().mean() < 0.128


@pytest.mark.slow
def test_a_small_network_of_eight_frames_learns_the_motions(monkeypatch, tiny_video_network):
    """Far above the chance of 8.3 %, on clips of images that it has not seen, in 100 steps."""
    counts = {Split.TRAIN: 1200, Split.VALIDATION: 240, Split.TEST: 24}
    monkeypatch.setattr(moving_fashion, "COUNTS", counts)
    task = seen_by(create("generated-moving-fashion"), of_frames(frames=8))
    schedule = Schedule(samples=2400, batch=24, learning_rate=0.01)
    result = Trainer("cpu").fit(tiny_video_network(12), task, schedule, size=32, seed=0)
    assert result.accuracy > 0.6


def test_gates_that_were_learned_come_with_the_result(tiny_video_network):
    task = seen_by(create("generated-moving-fashion"), with_flow(frames=4, size=16))
    module = tiny_video_network(12, flow=True)
    schedule = Schedule(samples=48, batch=12, learning_rate=0.01)
    result = Trainer("cpu").fit(module, task, schedule, size=16, seed=0, channels=1)
    assert result.feedback == {"body": tuple(module.theta.detach().sigmoid().tolist())}
    assert result.feedback["body"] != (0.5, 0.5)
    assert result.evaluation.top5 is not None
    assert result.evaluation.calibration_error is not None
    plain = tiny_video_network(12)
    task = seen_by(create("generated-moving-fashion"), of_frames(frames=4, size=16))
    assert Trainer("cpu").fit(plain, task, schedule, size=16, seed=0).feedback == {}
