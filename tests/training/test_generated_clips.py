import numpy as np
import pytest
import torch

from training.generated_clips import GeneratedClips

rng = np.random.Generator(np.random.PCG64(0))
CLIPS = rng.integers(0, 256, (3, 16, 8, 8)).astype(np.uint8)
FLOW = rng.integers(96, 161, (3, 16, 2, 8, 8)).astype(np.uint8)
LABELS = np.array([2, 0, 1])


def made(frames=16, **more):
    return GeneratedClips(CLIPS, LABELS, 8, frames=frames, **more)


def test_without_a_generator_clips_are_as_they_were_made():
    (clips,), labels = made().batch(torch.tensor([2, 0]), None)
    assert clips.shape == (2, 1, 16, 8, 8)
    assert torch.allclose(clips[:, 0], torch.from_numpy(CLIPS[[2, 0]]) / 127.5 - 1)
    assert labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("frames", "times"),
    [(8, range(0, 15, 2)), (5, range(1, 14, 3)), (12, range(2, 14)), (1, [7])],
)
def test_fewer_frames_go_over_as_much_of_the_clip_as_they_can(frames, times):
    (clips,), _ = made(frames).batch(torch.tensor([0]), None)
    assert torch.allclose(clips[0, 0], torch.from_numpy(CLIPS[0, list(times)]) / 127.5 - 1)
    assert made(frames).frames == frames


def test_training_rolls_each_clip_and_its_flow_alike_and_mirrors_nothing():
    examples = made(flow=FLOW, flow_step=1 / 16)
    indices = torch.arange(3)
    (clips, flow), _ = examples.batch(indices, torch.Generator().manual_seed(0))
    (plain, plain_flow), _ = examples.batch(indices, None)
    rolls = set()
    for number in range(3):
        matching = [
            (down, right)
            for down in range(8)
            for right in range(8)
            if torch.equal(plain[number].roll((down, right), (-2, -1)), clips[number])
        ]
        assert len(matching) == 1
        assert torch.equal(plain_flow[number].roll(matching[0], (-2, -1)), flow[number])
        rolls.update(matching)
    assert len(rolls) > 1


def test_training_begins_anywhere_where_there_is_room():
    examples = made(12)
    begins = set()
    for seed in range(40):
        (clips,), _ = examples.batch(torch.tensor([0]), torch.Generator().manual_seed(seed))
        frame = clips[0, 0, 0].flatten().sort().values
        (begin,) = (
            time
            for time in range(16)
            if torch.allclose(
                torch.from_numpy(CLIPS[0, time]).flatten().sort().values / 127.5 - 1, frame
            )
        )
        begins.add(begin)
    assert begins == set(range(5))


def test_flow_is_in_pixels_of_the_input_until_its_next_frame():
    steps = np.full((1, 16, 2, 8, 8), 128, dtype=np.uint8)
    steps[:, :, 0] += 16
    steps[:, :, 1] -= 32
    examples = GeneratedClips(CLIPS[:1], LABELS[:1], 16, frames=8, flow=steps, flow_step=1 / 16)
    (clips, flow), _ = examples.batch(torch.tensor([0]), None)
    assert clips.shape == (1, 1, 8, 16, 16)
    assert flow.shape == (1, 2, 8, 16, 16)
    # a pixel to the right and two up, of eight; twice as many of sixteen, and every second frame
    assert torch.allclose(flow[0, 0], torch.tensor(4.0))
    assert torch.allclose(flow[0, 1], torch.tensor(-8.0))


def test_grey_is_repeated_to_as_many_channels_as_the_network_takes():
    (clips,), _ = made(channels=3).batch(torch.tensor([1]), None)
    assert clips.shape == (1, 3, 16, 8, 8)
    assert torch.equal(clips[:, 0], clips[:, 2])


def test_smaller_clips_have_the_same_mean():
    (large,), _ = made().batch(torch.arange(3), None)
    (small,), _ = GeneratedClips(CLIPS, LABELS, 4, frames=16).batch(torch.arange(3), None)
    assert torch.allclose(large.mean((3, 4)), small.mean((3, 4)), atol=0.06)
