"""Contract tests: subclass one, give it the fixture, and inherit every law.

>>> class TestMine(ExecutorContract):  # doctest: +SKIP
...     @pytest.fixture
...     def executor(self): ...
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from training.executor import Executor, Rung, TrainingError, TrainingJob, TrainingResult
from training.task import Split, Task


class TaskContract:
    """The laws of ``Task``, at one size."""

    size = 28

    @pytest.fixture
    def task(self) -> Task:
        """The task under test."""
        raise NotImplementedError

    def test_the_splits_are_not_empty_and_share_no_example(self, task: Task) -> None:
        """By content: no image of one split is in another."""
        import torch

        seen: set[bytes] = set()
        for split in Split:
            examples = task.examples(split, self.size)
            assert len(examples) > 0
            chosen = torch.arange(min(len(examples), 300))
            (images, *_), _ = examples.batch(chosen, None)
            digests = {image.numpy().tobytes() for image in images}
            assert len(digests & seen) <= 0.02 * len(digests)  # some images are there twice
            seen |= digests

    def test_a_batch_depends_on_nothing_but_indices_and_generator(self, task: Task) -> None:
        """Twice the same, with and without augmentation."""
        import torch

        indices = torch.tensor([3, 1, 4])
        for seed in (None, 7):
            batches = []
            for _ in range(2):
                generator = None if seed is None else torch.Generator().manual_seed(seed)
                examples = task.examples(Split.TRAIN, self.size)
                batches.append(examples.batch(indices, generator))
            (first, targets), (second, again) = batches
            assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
            assert torch.equal(targets, again)

    def test_inputs_have_the_size_that_was_asked_for(self, task: Task) -> None:
        """And the task's channels, as float32."""
        import torch

        (images, *_), targets = task.examples(Split.TRAIN, self.size).batch(torch.arange(2), None)
        assert images.shape == (2, task.channels, self.size, self.size)
        assert images.dtype is torch.float32
        assert len(targets) == 2

    def test_the_metric_is_1_for_perfect_outputs_and_the_loss_is_smaller(self, task: Task) -> None:
        """For classifiers: one-hot scores of the targets against scores of other classes."""
        import torch
        from torch.nn import functional

        _, targets = task.examples(Split.VALIDATION, self.size).batch(torch.arange(8), None)
        right = functional.one_hot(targets, task.head.classes).float() * 9
        wrong = right.roll(1, dims=1)
        assert task.metric(right, targets) == 1.0
        assert task.metric(wrong, targets) == 0.0
        losses = [task.loss(scores, targets, label_smoothing=0.0) for scores in (right, wrong)]
        assert losses[0] < losses[1]

    @pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
    def test_the_loss_takes_shares_of_classes_too(
        self, task: Task, label_smoothing: float
    ) -> None:
        """For classifiers: whole shares are labels, and mixed ones cost the mean of both."""
        import torch
        from torch.nn import functional

        _, targets = task.examples(Split.VALIDATION, self.size).batch(torch.arange(8), None)
        generator = torch.Generator().manual_seed(0)
        scores = torch.randn(8, task.head.classes, generator=generator)
        others = targets.roll(1)
        first, second = (
            task.loss(scores, labels, label_smoothing=label_smoothing)
            for labels in (targets, others)
        )
        shares, other_shares = (
            functional.one_hot(labels, task.head.classes).float() for labels in (targets, others)
        )
        whole = task.loss(scores, shares, label_smoothing=label_smoothing)
        assert torch.allclose(whole, first)
        mixed = task.loss(
            scores, 0.75 * shares + 0.25 * other_shares, label_smoothing=label_smoothing
        )
        assert torch.allclose(mixed, 0.75 * first + 0.25 * second)


class ExecutorContract:
    """The laws of ``Executor``; needs a fixture ``job``, a short training that succeeds."""

    @pytest.fixture
    def executor(self) -> Executor:
        """The executor under test; closed by whoever made it."""
        raise NotImplementedError

    def test_a_job_ends_with_an_accuracy(self, executor: Executor, job: TrainingJob) -> None:
        """Within its deadline."""
        result = executor.submit(job).result(timeout=job.deadline_s + 10)
        assert isinstance(result, TrainingResult)
        assert 0 <= result.accuracy <= 1

    def test_equal_jobs_give_equal_results(self, executor: Executor, job: TrainingJob) -> None:
        """To the last bit, where the executor says so, whatever ran in between."""
        if not executor.deterministic:
            pytest.skip("this executor does not claim to be deterministic")
        jobs = (job, replace(job, id="other", seed=job.seed + 1), job)
        first, _, again = (executor.submit(each).result(timeout=120) for each in jobs)
        assert first.accuracy == again.accuracy

    def test_a_job_ends_at_the_first_rung_that_it_misses(
        self, executor: Executor, job: TrainingJob
    ) -> None:
        """With its looks until then; one that misses none has the result of one without rungs."""
        if not executor.stops_early:
            pytest.skip("this executor does not claim to stop early")
        half = Rung(samples=job.schedule.samples // 2)
        unreachable = replace(half, least=1.1)
        stopped = executor.submit(replace(job, rungs=(half, unreachable))).result(timeout=120)
        assert stopped.stopped
        assert len(stopped.looks) == 2
        assert stopped.accuracy == stopped.looks[-1].accuracy
        assert stopped.samples < job.schedule.samples
        looked_at = executor.submit(replace(job, rungs=(half,))).result(timeout=120)
        assert not looked_at.stopped
        assert len(looked_at.looks) == 1
        if executor.deterministic:
            assert looked_at.accuracy == executor.submit(job).result(timeout=120).accuracy

    def test_lanes_are_at_least_one(self, executor: Executor) -> None:
        """And a number."""
        assert executor.lanes >= 1

    def test_closing_ends_what_runs(self, executor: Executor, job: TrainingJob) -> None:
        """A future that was under way ends soon, with a result or a stated failure."""
        future = executor.submit(job)
        time.sleep(0.2)
        started = time.monotonic()
        executor.close()
        if not future.cancelled():
            error = future.exception(timeout=10)
            assert error is None or isinstance(error, TrainingError)
        assert time.monotonic() - started < 10
