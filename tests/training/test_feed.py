import torch

from training.feed import Feed
from training.task import Split, create
from training.trainer import Trainer

CPU = torch.device("cpu")


def test_grey_images_are_repeated_to_the_channels_of_the_network():
    examples = create("digits").examples(Split.TRAIN, 8)
    (images,), labels = Feed(CPU, 3).batch(examples, torch.arange(4), None)
    assert images.shape == (4, 3, 8, 8)
    assert torch.equal(images[:, 0], images[:, 2])
    (images,), _ = Feed(CPU).batch(examples, torch.arange(4), None)
    assert images.shape == (4, 1, 8, 8)
    assert len(labels) == 4


class Expecting:
    """Examples that note what they are told of, and what is asked for."""

    def __init__(self, examples):
        self.examples, self.expected, self.asked = examples, [], []

    def __len__(self):
        return len(self.examples)

    def expect(self, indices):
        self.expected.append(indices.tolist())

    def batch(self, indices, generator):
        self.asked.append(indices.tolist())
        return self.examples.batch(indices, generator)


def test_a_training_tells_what_it_will_ask_for_next(job):
    from training.digits import Digits

    class Reading(Digits):
        def __init__(self):
            self.made = {}

        def examples(self, split, size):
            made = Expecting(super().examples(split, size))
            return self.made.setdefault(split, made)

    task = Reading()
    module = job.architecture.build(task.head)
    result = Trainer("cpu").fit(module, task, job.schedule, size=16, seed=0)
    train = task.made[Split.TRAIN]
    for expected, asked in zip(train.expected[:19], train.asked[1:20], strict=True):
        assert expected[: len(asked)] == asked
    assert len(train.expected) == 20
    validation = task.made[Split.VALIDATION]
    assert validation.expected == validation.asked[1:]
    plain = Trainer("cpu").fit(
        job.architecture.build(task.head), Digits(), job.schedule, size=16, seed=0
    )
    assert result.evaluation == plain.evaluation
