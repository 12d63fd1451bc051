"""A small network on the digits, and a latency source that needs no device."""

import textwrap

import pytest

from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem

TIMER = '''
    """A fake: milliseconds by precision, as the test has set them."""
    from latency.measurement import Verdict
    from latency.source import FileSubject, LatencyEstimate, LatencyFailure, Origin

    MILLISECONDS = {"fp32": 2.0, "fp16": 2.0, "int8": 1.0, "dynamic": 1.5}
    ASKED = []


    class Source:
        name = "own_timer:SOURCE"
        lanes = 1
        on_this_computer = False
        closed = 0

        def estimate(self, requests):
            ASKED.append([request.subject.artifact.path.name for request in requests])
            for request in requests:
                assert isinstance(request.subject, FileSubject)
                artifact = request.subject.artifact
                value = MILLISECONDS[artifact.precision.value]
                if value is None:
                    yield LatencyFailure(request_id=request.id, text="it is gone", retryable=True)
                    continue
                yield LatencyEstimate(
                    request_id=request.id, latency_ms=value, low_ms=0.99 * value,
                    high_ms=1.01 * value, origin=Origin.MEASURED, source=self.name, coverage=1.0,
                    verdict=Verdict.STABLE, artifact_sha256=artifact.sha256,
                )

        def close(self):
            self.closed += 1


    SOURCE = Source()
'''


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def own_timer(tmp_path_factory, monkeypatch):
    """``own_timer:SOURCE`` can be named; its milliseconds can be set."""
    import importlib
    import sys

    folder = tmp_path_factory.mktemp("outside")
    (folder / "own_timer.py").write_text(textwrap.dedent(TIMER))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "own_timer", raising=False)
    return importlib.import_module("own_timer")


@pytest.fixture
def architecture():
    stages = (
        Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1, skip=Skip.NONE),
        Stage(
            op=Op.MBCONV, kernel=3, stride=2, expansion=2, filters=12, repeats=2,
            skip=Skip.IDENTITY,
        ),
    )  # fmt: skip
    return ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=stages, head_filters=24, dropout=0.1
    )


@pytest.fixture
def network(architecture):
    """Untrained, with batch norms that do something."""
    from delivery.network import Network
    from exporters.testing import random_inputs, randomize
    from training.task import create

    head = Classifier(classes=10)
    module = architecture.build(head)
    randomize(module, random_inputs((1, 1, 16, 16)))
    return Network(
        architecture=architecture, head=head, module=module, name="a small one",
        weights="drawn for a test", task=create("digits"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def digit_scenes():
    """A task of 48 generated scenes of 96 pixels, one to four digits of scikit-learn's in each."""
    import numpy as np
    from sklearn.datasets import load_digits

    from training.detection import BoxedImages, ObjectDetection
    from training.scenes import compose
    from training.schedule import Schedule
    from training.task import Proxy, Split

    digits = load_digits()
    large = np.kron((digits.images * 15.9).astype(np.uint8), np.ones((1, 3, 3), np.uint8))
    images, labels = np.pad(large, ((0, 0), (2, 2), (2, 2))), digits.target.astype(np.int64)

    def scene(number):
        rng = np.random.default_rng(number)
        made = compose(rng, images, labels, size=96, things=1 + number % 4, sides=(14, 90))
        boxes = np.full((4, 5), -1, np.float32)
        for row, thing in zip(boxes, made.things, strict=False):
            left, top, width, height = thing.box
            row[:] = [thing.label, *(np.array([left, top, left + width, top + height]) / 96)]
        return made.image, boxes

    class DigitScenes(ObjectDetection):
        name = "digit-scenes"
        labels = tuple("0123456789")
        anchor, most = 1.5, 30
        proxy = Proxy(size=128, schedule=Schedule(samples=8, batch=4))

        def examples(self, split, size):
            first = 16 * list(Split).index(split)
            made = [scene(number) for number in range(first, first + 16)]
            return BoxedImages(
                lambda numbers: [made[number][0] for number in numbers],
                np.stack([boxes for _, boxes in made]),
                size,
            )

    return DigitScenes()


@pytest.fixture
def detector(digit_scenes):
    """Makes one of mobile SpineNet's blocks in small, with random weights that find much."""
    from dataclasses import replace

    import torch

    from delivery.network import Network
    from exporters.testing import random_inputs, randomize
    from search_space import spinenet_networks

    def make(*, sure=0.0, task=digit_scenes):
        """``sure`` is added to all logits: below 0 less is found."""
        architecture = replace(
            spinenet_networks.create("spinenet-mobile-49xs"),
            size=128, channels=1, filter_scale=0.25, endpoint_filters=8, head_convs=1,
            head_filters=8,
        )  # fmt: skip
        module = architecture.build(task.head)
        randomize(module, random_inputs((1, 1, 128, 128)))
        last, boxes = (module.get_submodule(f"head.{net}.last.1") for net in ("classes", "boxes"))
        assert isinstance(last.bias, torch.Tensor)
        with torch.no_grad():
            last.bias += sure
            for parameter in boxes.parameters():
                parameter.mul_(0.3)  # sides of some anchors, not of a thousandth or a thousand
        return Network(
            architecture=architecture, head=task.head, module=module, name="a small detector",
            weights="drawn for a test", task=task,
        )  # fmt: skip

    return make
