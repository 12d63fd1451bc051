"""Contract tests: subclass one, give it the fixture, and inherit every law.

>>> class TestMine(ExecutorContract):  # doctest: +SKIP
...     @pytest.fixture
...     def executor(self): ...
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from training.executor import Executor, Rung, TrainingError, TrainingJob, TrainingResult
from training.task import Predicting, Split, Task, frames_of

if TYPE_CHECKING:
    from torch import Tensor


class ExamplesContract:
    """The laws of any ``Task``, at one size: of its examples."""

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


class TaskContract(ExamplesContract):
    """The laws of a ``Task`` of labelled images, at one size."""

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


class DetectionTaskContract(ExamplesContract):
    """The laws of a ``Task`` of images with boxes, at one size."""

    size = 64

    def test_targets_are_boxes_within_the_image_or_padding(self, task: Task) -> None:
        """As many rows for every batch of a split, whatever the augmentation."""
        import torch

        for generator in (None, torch.Generator().manual_seed(3)):
            examples = task.examples(Split.TRAIN, self.size)
            rows = set()
            for indices in (torch.arange(2), torch.tensor([5])):
                _, targets = examples.batch(indices, generator)
                assert targets.dtype is torch.float32
                assert targets.shape[2] == 5
                rows.add(targets.shape[1])
                real = targets[targets[..., 0] >= 0]
                assert (real[:, 0] < task.head.classes).all()
                assert (real[:, 1:3] >= 0).all()
                assert (real[:, 3:] <= self.size).all()
                assert (real[:, 3:] > real[:, 1:3]).all()
            assert len(rows) == 1

    def test_the_metric_is_1_for_what_is_there_and_0_for_what_is_not(self, task: Task) -> None:
        """Every box is told as it is, or has nothing in it."""
        import torch

        examples = task.examples(Split.VALIDATION, self.size)
        _, targets = examples.batch(torch.arange(min(8, len(examples))), None)
        right = torch.cat((targets[..., 1:], targets[..., :1].sign(), targets[..., :1]), dim=2)
        right[..., 4] = 0.9
        wrong = right.clone()
        wrong[..., 2:4] = wrong[..., :2]
        assert task.metric(right, targets) == pytest.approx(1)
        assert task.metric(wrong, targets) == 0

    def test_the_loss_falls_along_its_gradient(self, task: Task) -> None:
        """Outputs that it changes itself come to cost little."""
        import torch

        outputs = self._outputs(task)
        _, targets = task.examples(Split.VALIDATION, self.size).batch(torch.arange(2), None)
        optimizer = torch.optim.Adam(outputs, lr=0.1)
        losses = []
        for _ in range(40):
            loss = task.loss(outputs, targets, label_smoothing=0.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert all(map(math.isfinite, losses))
        assert losses[-1] < 0.5 * losses[0]

    def test_the_loss_takes_how_much_each_thing_counts(self, task: Task) -> None:
        """What counts whole costs what it does without that number, what counts less does not."""
        import torch

        outputs = tuple(value.detach() for value in self._outputs(task))
        _, targets = task.examples(Split.VALIDATION, self.size).batch(torch.arange(2), None)
        ones = torch.ones_like(targets[..., :1])
        whole, half = (
            task.loss(outputs, torch.cat((targets, share * ones), dim=2), label_smoothing=0.0)
            for share in (1.0, 0.5)
        )
        plain = task.loss(outputs, targets, label_smoothing=0.0)
        assert torch.allclose(whole, plain)
        assert not torch.allclose(half, plain)

    def test_predictions_of_an_image_depend_on_no_other_one(self, task: Task) -> None:
        """Both of two at once are as each alone, best first."""
        import torch

        assert isinstance(task, Predicting)
        outputs = tuple(value.detach() for value in self._outputs(task))
        both = task.predictions(outputs, self.size)
        for image in range(2):
            alone = task.predictions(
                tuple(value[image : image + 1] for value in outputs), self.size
            )
            assert torch.allclose(alone[0], both[image], atol=1e-4)
        scores = both[..., 4]
        assert (scores[:, :-1] >= scores[:, 1:]).all()

    def _outputs(self, task: Task) -> tuple[Tensor, ...]:
        """Of a detector for two images, at random."""
        import torch

        generator = torch.Generator().manual_seed(0)
        sides = [-(-self.size // 2**level) for level in range(3, 8)]
        return tuple(
            (torch.randn(2, 9 * width, side, side, generator=generator) - shift).requires_grad_()
            for width, shift in ((task.head.classes, 3.0), (4, 0.0))
            for side in sides
        )


class VideoTaskContract(ExamplesContract):
    """The laws of a ``Task`` of clips, at one size; it is what a network of its frames sees."""

    size = 32

    def test_inputs_have_the_size_that_was_asked_for(self, task: Task) -> None:
        """And the task's channels and as many frames for every clip, as float32 in `[-1, 1]`."""
        import torch

        for split, generator in (
            (Split.TRAIN, torch.Generator().manual_seed(1)),
            (Split.TEST, None),
        ):
            examples = task.examples(split, self.size)
            (clips, *_), targets = examples.batch(torch.arange(2), generator)
            views, rest = divmod(len(clips), 2)
            assert rest == 0
            assert clips.shape[1:2] == (task.channels,)
            assert clips.shape[2] * views == frames_of(examples) or generator is not None
            assert clips.shape[3:] == (self.size, self.size)
            assert clips.dtype is torch.float32
            assert clips.abs().max() <= 1
            assert len(targets) == 2

    def test_training_sees_other_clips_each_time_and_one_of_each_video(self, task: Task) -> None:
        """Two generators cut or move them differently."""
        import torch

        examples = task.examples(Split.TRAIN, self.size)
        indices = torch.arange(4)
        first, second = (
            examples.batch(indices, torch.Generator().manual_seed(seed))[0][0] for seed in (1, 2)
        )
        assert len(first) == len(second) == 4
        assert not torch.equal(first, second)

    def test_the_metric_is_1_for_perfect_predictions_and_the_loss_is_smaller(
        self, task: Task
    ) -> None:
        """Scores of what is there against scores of what is not, of every view."""
        import torch
        from torch.nn import functional

        assert isinstance(task, Predicting)
        examples = task.examples(Split.VALIDATION, self.size)
        (clips, *_), targets = examples.batch(torch.arange(min(8, len(examples))), None)
        there = targets
        if targets.ndim == 1:
            there = functional.one_hot(targets, task.head.classes)
        right = (there * 2.0 - 1).repeat_interleave(len(clips) // len(targets), dim=0) * 9
        losses = [task.loss(scores, targets, label_smoothing=0.0) for scores in (right, -right)]
        assert losses[0] < losses[1]
        found = task.predictions(right, self.size)
        assert found.shape == (len(targets), task.head.classes)
        assert task.metric(found, targets) == 1.0
        assert task.figures(found, targets)["accuracy"] == 1.0
        assert task.metric(task.predictions(-right, self.size), targets) < 1.0


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
