from dataclasses import replace

import torch

from training.feed import Feed
from training.order import Order
from training.prefetch import AHEAD
from training.task import Split, create
from training.trainer import Trainer


class Reader:
    """Examples that are told what comes, and note whether they were."""

    def __init__(self, examples):
        self.examples, self.told, self.asked, self.surprises = examples, [], 0, 0

    def __len__(self):
        return len(self.examples)

    def expect(self, indices):
        assert len(indices) <= AHEAD
        self.told = indices.tolist()

    def batch(self, indices, generator):
        self.asked += 1
        self.surprises += self.told[: len(indices)] != indices.tolist()
        return self.examples.batch(indices, generator)


class Task:
    """The digits, through readers."""

    def __init__(self):
        self.own, self.readers = create("digits"), {}

    def __getattr__(self, name):
        return getattr(self.own, name)

    def examples(self, split, size):
        made = self.readers.setdefault(split, Reader(self.own.examples(split, size)))
        return made


def fitted(job, task, schedule):
    module = job.architecture.build(task.head)
    result = Trainer("cpu").fit(module, task, schedule, size=16, seed=0)
    return module, result.accuracy


def test_those_that_read_files_are_told_each_batch_before_it_is_asked_for(job):
    task, schedule = Task(), replace(job.schedule, samples=2000)
    told, accuracy = fitted(job, task, schedule)
    readers = task.readers
    assert readers[Split.VALIDATION].asked == 2
    assert readers[Split.VALIDATION].surprises == 0
    # Batch norms take their statistics from eight batches of an order of their own.
    assert readers[Split.TRAIN].asked == 63 + 8
    assert readers[Split.TRAIN].surprises == 8
    plain, same = fitted(job, create("digits"), schedule)
    assert accuracy == same
    pairs = zip(told.state_dict().values(), plain.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_others_are_not_told():
    Feed(torch.device("cpu")).expect(create("digits").examples(Split.TRAIN, 8), torch.arange(3))


def test_what_comes_is_what_is_taken_next():
    order = Order(10, torch.Generator().manual_seed(0))
    assert len(order.coming(3)) == 0
    order.take(4)
    coming = order.coming(3)
    assert torch.equal(coming, order.coming(3))
    assert torch.equal(coming, order.take(3))
    assert len(order.coming(100)) == 3
