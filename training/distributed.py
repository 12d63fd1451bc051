"""One training shared by several processes, each with its part of every batch.

``torchrun`` starts the processes and says to each, by its environment, which one it is. Gradients
are averaged over the whole batch by torch's ``DistributedDataParallel``, batch norms take the
statistics of the whole batch, and whatever is drawn at a step derives from seed, step and rank.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

from workspace.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes of a training, as each of them sees it.

    Attributes:
        rank: Of this process, from 0 on.
        size: How many there are.
        local_rank: Of this process among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def of_environment(cls) -> World:
        """What ``torchrun`` has started; one process where it has not.

        Raises:
            InputError: If there are GPUs, and fewer than processes on this machine.
        """
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return ALONE
        found = cls(
            rank=int(os.environ["RANK"]),
            size=int(os.environ["WORLD_SIZE"]),
            local_rank=int(os.environ["LOCAL_RANK"]),
        )
        require_devices(int(os.environ["LOCAL_WORLD_SIZE"]))
        return found

    @property
    def is_first(self) -> bool:
        """Whether it is this process that writes."""
        return self.rank == 0

    @property
    def least(self) -> int:
        """Images without which there is no step: batch statistics need two."""
        return max(2, self.size)

    @property
    def device(self) -> str | None:
        """Of this process; None for what a trainer takes by itself."""
        return f"cuda:{self.local_rank}" if self.size > 1 and torch.cuda.is_available() else None

    def part(self, indices: Tensor) -> Tensor:
        """What this process has of a batch."""
        return indices[self.rank :: self.size]

    def seed(self, seed: int, step: int) -> int:
        """Of what this process draws at a step."""
        return random.Random(f"{seed}/{step}/{self.rank}").getrandbits(63)

    def summed(self, value: Tensor) -> Tensor:
        """The sum of what all processes have."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()

    def told(self, text: str) -> str:
        """The first process's text."""
        if self.size == 1:
            return text
        device = "cpu" if dist.get_backend() == "gloo" else torch.device("cuda", self.local_rank)
        content = text.encode()
        length = torch.tensor(len(content), device=device)
        dist.broadcast(length, src=0)
        letters = torch.zeros(int(length), dtype=torch.uint8, device=device)
        if self.is_first:
            letters.copy_(torch.tensor(list(content), dtype=torch.uint8))
        dist.broadcast(letters, src=0)
        return bytes(letters.tolist()).decode()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Have the processes in touch while the block runs: NCCL on GPUs, else Gloo."""
        if self.size == 1:
            yield
            return
        device = self.device
        if device is not None:
            torch.cuda.set_device(device)
        dist.init_process_group("gloo" if device is None else "nccl")
        try:
            yield
        finally:
            dist.destroy_process_group()


ALONE = World()

_SHARING: ContextVar[World] = ContextVar("_SHARING", default=ALONE)
"""The processes that have a part each of the batch whose loss is taken."""


@contextmanager
def sharing(world: World) -> Iterator[None]:
    """Have a part of a batch in each process while the block runs; see ``of_whole_batch``."""
    token = _SHARING.set(world)
    try:
        yield
    finally:
        _SHARING.reset(token)


def of_whole_batch(value: Tensor) -> Tensor:
    """The sum of what the parts of a batch have; ``value`` where one process has all of it.

    A loss that is divided by what is found in a batch, not by its examples, has to know this of
    the whole batch.
    """
    return _SHARING.get().summed(value)


def require_devices(processes: int) -> None:
    """Do nothing if each process of this machine can have a GPU, or none is there.

    Raises:
        InputError: If there are too few.
    """
    there = torch.cuda.device_count()
    if there and processes > there:
        msg = f"{processes} processes need a GPU each, and this machine has {there}"
        raise InputError(msg)


@contextmanager
def synchronised(module: nn.Module, world: World) -> Iterator[None]:
    """Let batch norms take their statistics from all processes while the block runs."""
    if world.size == 1:
        yield
        return
    norms = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, _NORMS)
    ]
    for parent, name, norm in norms:
        setattr(parent, name, _synchronised(norm))
    try:
        yield
    finally:
        for parent, name, norm in norms:
            norm.train(getattr(parent, name).training)
            setattr(parent, name, norm)


def alone(module: nn.Module) -> nn.Module:
    """``module`` itself, its batch norms of this process again: a copy, to evaluate it."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, GlobalBatchNorm | SynchronisedBatchNorm):
                norm = child.kind(child.num_features, eps=child.eps, momentum=child.momentum)
                setattr(parent, name, _with_tensors_of(child, norm))
    return module


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Norm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class SynchronisedBatchNorm(nn.SyncBatchNorm):
    """Torch's own for several GPUs, which knows what it stands for."""

    kind: type[Norm]


class GlobalBatchNorm(_BatchNorm):
    """A batch norm whose statistics are those of the batches of all processes, on the CPU.

    Torch's own ``SyncBatchNorm`` is for GPUs alone. It stands for one of any ``kind``.
    """

    kind: type[Norm]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """`[N, C, …]` to the same shape."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        others = (0, *range(2, values.ndim))
        along = (-1, *[1] * (values.ndim - 2))  # channels
        count = values.new_tensor([values.numel() // values.shape[1]])
        total: Tensor = _Summed.apply(torch.cat((values.sum(others), count)))
        size = total[-1].detach()
        mean = total[:-1] / size
        centred = values - mean.view(along)
        variance: Tensor = _Summed.apply(centred.square().sum(others)) / size
        self._remember(mean.detach(), variance.detach() * size / (size - 1))
        scale = (variance + self.eps).rsqrt() * self.weight
        out = centred * scale.view(along) + self.bias.view(along)
        return out.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        """Any will do."""

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # a cumulative average
            share = 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Summed(torch.autograd.Function):
    """The sum over all processes, of gradients too."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:  # noqa: ARG004
        """Of values, on the way there."""
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004
        """Of gradients, on the way back."""
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient


def _synchronised(norm: Norm) -> nn.Module:
    kind = SynchronisedBatchNorm if norm.weight.is_cuda else GlobalBatchNorm
    made: SynchronisedBatchNorm | GlobalBatchNorm = kind(
        norm.num_features, eps=norm.eps, momentum=norm.momentum
    )
    made.kind = next(each for each in _NORMS if isinstance(norm, each))
    return _with_tensors_of(norm, made)


def _with_tensors_of(norm: nn.Module, made: nn.Module) -> nn.Module:
    """``made`` with the very tensors of ``norm``."""
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(made, name, getattr(norm, name))
    return made.train(norm.training)
