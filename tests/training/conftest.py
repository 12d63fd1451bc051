import pytest

from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem
from training.executor import TrainingJob
from training.schedule import Schedule


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


@pytest.fixture
def tiny_video_network():
    """Makes networks of some ten thousand weights over clips, and flow beside them, from a seed.

    They are of three (2+1)D blocks; where there is flow, a stream of its own comes in by a gate.
    """
    import torch
    from torch import nn

    def block(channels, filters, stride, dilation):
        return nn.Sequential(
            nn.Conv3d(channels, filters, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(filters),
            nn.ReLU(),
            nn.Conv3d(
                filters, filters, (3, 1, 1), 1, (dilation, 0, 0), (dilation, 1, 1), bias=False
            ),
            nn.BatchNorm3d(filters),
            nn.ReLU(),
        )

    class TinyVideoNetwork(nn.Module):
        def __init__(self, classes, channels, flow):
            super().__init__()
            self.frames = block(channels, 16, 2, 1)
            self.flow = block(2, 16, 2, 1) if flow else None
            self.theta = nn.Parameter(torch.zeros(2))
            self.body = nn.Sequential(block(16, 32, 2, 1), block(32, 32, 1, 2))
            self.head = nn.Linear(32, classes)

        def gates(self):
            return {"body": self.theta.detach().sigmoid().tolist()} if self.flow else {}

        def forward(self, frames, flow=None):
            maps = self.frames(frames)
            if self.flow is not None:
                first, second = self.theta.sigmoid()
                maps = first * maps + second * self.flow(flow)
            return self.head(self.body(maps).mean((2, 3, 4)))

    def make(classes, channels=1, *, flow=False, seed=0):
        torch.manual_seed(seed)
        return TinyVideoNetwork(classes, channels, flow)

    return make


@pytest.fixture
def write_video():
    """Writes frames `[T, H, W, 3]` uint8 as a real video, by PyAV."""
    av = pytest.importorskip("av")

    def write(path, frames, rate=25):
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=rate)
            stream.width, stream.height = frames.shape[2], frames.shape[1]
            stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        return path

    return write
