import os

import pytest

from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem
from training.executor import TrainingJob
from training.fashion_mnist import folder
from training.schedule import Schedule


@pytest.fixture(scope="session")
def fashion_mnist_data():
    """Fashion-MNIST is on this machine; where it is not the test is skipped, in CI it fails."""
    if folder() is not None:
        return
    text = "Fashion-MNIST is not here: apt-get install dataset-fashion-mnist"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture
def job():
    """A network of some hundred weights, trained for a moment on the digits."""
    stages = (
        Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1, skip=Skip.NONE),
    )
    architecture = ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=stages, head_filters=16, dropout=0.0
    )
    return TrainingJob(
        id="tiny",
        architecture=architecture,
        task="digits",
        schedule=Schedule(samples=640, batch=32, learning_rate=0.02),
        seed=0,
        deadline_s=60.0,
    )


@pytest.fixture
def tiny_detector():
    """Makes detectors of some ten thousand weights: ten outputs, of five levels, from a seed."""
    import math

    import torch
    from torch import nn

    def conv(channels, filters, stride):
        return nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        )

    class TinyDetector(nn.Module):
        def __init__(self, classes, channels):
            super().__init__()
            self.stem = nn.Sequential(conv(channels, 16, 2), conv(16, 24, 2), conv(24, 24, 1))
            self.levels = nn.ModuleList(conv(24, 24, 2) for _ in range(5))
            self.scores, self.boxes = (
                nn.Sequential(conv(24, 24, 1), nn.Conv2d(24, 9 * width, 3, 1, 1))
                for width in (classes, 4)
            )
            for net, bias in ((self.scores, -math.log(99)), (self.boxes, 0.0)):
                last = net.get_submodule("1")
                assert isinstance(last, nn.Conv2d)
                assert last.bias is not None
                nn.init.normal_(last.weight, std=0.01)
                nn.init.constant_(last.bias, bias)  # one in a hundred is a thing, at first

        def forward(self, image):
            maps, each = [], self.stem(image)
            for level in self.levels:
                each = level(each)
                maps.append(each)
            return (*map(self.scores, maps), *map(self.boxes, maps))

    def make(classes, channels=1, seed=0):
        torch.manual_seed(seed)
        return TinyDetector(classes, channels)

    return make
