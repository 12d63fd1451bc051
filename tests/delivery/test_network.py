import random
from dataclasses import replace

import torch

from delivery.network import COMPARED, Network, compared
from search_space.architecture import VideoClassifier
from search_space.space import create
from training.schedule import Schedule
from training.task import Proxy
from training.video import VideoClassification

SHAPES = {"size": "32", "frames": "4", "width": "0.0625", "repeats": "1,1,1,1", "flow": "given"}


class Noise(VideoClassification):
    """Twenty clips of noise with their flow."""

    name, classes, channels = "noise", 2, 3
    proxy = Proxy(size=32, schedule=Schedule(samples=1))

    def examples(self, split, size):
        del split, size
        return _Drawn()


class _Drawn:
    def __len__(self):
        return 20

    def batch(self, indices, generator):
        del generator
        drawn = torch.Generator().manual_seed(0)
        clips, flow = (torch.randn(20, c, 4, 32, 32, generator=drawn) for c in (3, 2))
        return (clips[indices], flow[indices]), torch.zeros(len(indices), dtype=torch.int64)


def of_clips(**settings):
    space = create("assemblenet", {**SHAPES, "stems": "rgb,flow", "nodes": "1", "dilations": "1"})
    architecture = space.decode(space.points.sample(random.Random(0)))
    head = VideoClassifier(classes=2)
    return Network(
        architecture=architecture,
        head=head,
        module=architecture.build(head),
        name="clips",
        weights="untrained",
        **settings,
    )


def test_before_clips_that_are_compared_is_one_of_them_letterboxed():
    for network in (of_clips(), of_clips(task=Noise())):
        found = compared(network)
        assert found.what.endswith(", and one letterboxed")
        for clips in found.inputs.values():
            assert len(clips) == COMPARED + 1
            first, second = clips[:2]
            assert not first[:, :, :8].any()
            assert not first[:, :, -8:].any()
            assert torch.equal(first[:, :, 8:-8], second[:, :, 8:-8])


def test_images_that_are_compared_are_as_they_were_drawn(network):
    alone = replace(network, task=None)
    assert len(compared(alone).inputs["image"]) == COMPARED
    assert "letterboxed" not in compared(alone).what
