"""One step of a training: forward, backward, and what the optimizer makes of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from search_space.architecture import Json
from training.averages import WeightAverage
from training.distributed import World, sharing
from training.optimizers import clip, optimizer_of, set_rate
from training.saved import Saved, load_module, load_optimizer, module_tensors, optimizer_tensors
from training.schedule import Arithmetic, Schedule
from training.task import Outputs, Task

_DTYPES = {Arithmetic.BF16: torch.bfloat16, Arithmetic.FP16: torch.float16}


class Stepper:
    """Changes the weights of a network, and keeps all that goes on from step to step.

    Args:
        module: On its device.
        task: Gives the loss.
        schedule: How.
        world: The processes that share each batch.
    """

    def __init__(self, module: nn.Module, task: Task, schedule: Schedule, world: World) -> None:
        self._module, self._task, self._schedule, self._world = module, task, schedule, world
        self._device = next(module.parameters()).device
        self._optimizer = optimizer_of(module, schedule)
        self._scaler = torch.amp.GradScaler(
            self._device.type, enabled=schedule.arithmetic is Arithmetic.FP16
        )
        self._forward = self._made_forward()
        self.average = WeightAverage(module, schedule.ema) if schedule.ema else None

    def step(
        self, inputs: tuple[Tensor, ...], targets: Tensor, *, rate: float, share: float
    ) -> Tensor:
        """Do one step; this process's part of the loss, not waited for.

        Args:
            inputs: Of the network, this process's part of a batch.
            targets: As the task's loss takes them.
            rate: Learning rate.
            share: Of the batch that this part is.
        """
        set_rate(self._optimizer, rate)
        with torch.autocast(
            self._device.type,
            dtype=_DTYPES.get(self._schedule.arithmetic, torch.bfloat16),
            enabled=self._schedule.arithmetic is not Arithmetic.FP32,
        ):
            outputs = self._forward(*inputs)
            with sharing(self._world):
                loss = self._task.loss(
                    outputs, targets, label_smoothing=self._schedule.label_smoothing
                )
        self._optimizer.zero_grad(set_to_none=True)
        # What the processes have is averaged, and they may have shares of different sizes.
        self._scaler.scale(loss * (share * self._world.size)).backward()
        if self._schedule.clip:
            self._scaler.unscale_(self._optimizer)
            clip(self._module, self._schedule)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self.average is not None:
            self.average.update()
        return loss.detach() * share

    def saved(self) -> Saved:
        """All of the state between two steps."""
        average = self.average
        scaler: dict[str, Json] = self._scaler.state_dict()
        return Saved(
            tensors={
                **module_tensors(self._module, "model."),
                **optimizer_tensors(self._optimizer),
                **({} if average is None else module_tensors(average.network, "average.")),
            },
            facts={"average_steps": 0 if average is None else average.steps, "scaler": scaler},
        )

    def go_on_from(self, saved: Saved) -> None:
        """Be where another one was."""
        load_module(self._module, saved.tensors, "model.")
        load_optimizer(self._optimizer, saved.tensors)
        if self.average is not None:
            load_module(self.average.network, saved.tensors, "average.")
            self.average.steps = int(str(saved.facts["average_steps"]))
        scaler = saved.facts["scaler"]
        if isinstance(scaler, dict) and scaler:
            self._scaler.load_state_dict(scaler)

    def _made_forward(self) -> Callable[..., Outputs]:
        """The network as steps call it."""
        forward: nn.Module = self._module
        if self._world.size > 1:
            devices = None if self._device.type == "cpu" else [self._device]
            forward = DistributedDataParallel(forward, device_ids=devices)
        return torch.compile(forward) if self._schedule.compiled else forward
