"""What a training takes on this machine: one step of each of its phases is done, and multiplied."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ktse.engine.cost import PATIENCE, Measured, StageCost, measured, measured_or_scaled
from ktse.engine.loop import split_batch
from ktse.engine.memory import memory_in_use
from ktse.engine.optim import make_sgd
from ktse.engine.step import SealedTask, accumulate_gradients, update_network
from ktse.engine.training_stage import Learner, TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps of a training that are alike.

    Attributes:
        stage: Their name.
        steps: How many there are.
        epoch: One of their epochs.
        read: Reads the batch of a step.
        parts: How many times a step takes what the first image (or pair) of the first phase takes.
    """

    stage: str
    steps: int
    epoch: int
    read: Callable[[], Any]
    parts: float


def training_costs(
    network: Learner,
    task: nn.Module,
    settings: TrainingSettings,
    phases: Sequence[Phase],
    *,
    workers: int,
    fabric: Fabric,
    patience: float = PATIENCE,
) -> Iterator[StageCost]:
    """Measure steps of a training at a learning rate of 0.

    The first image of the first phase, with all that belongs to it, goes through a step alone. Of each phase a whole
    step is measured if that can be expected to be done soon.

    Args:
        network: What learns.
        task: The network with its losses.
        settings: Optimiser and micro-batches.
        phases: Steps that are alike; those without any are left out.
        workers: Processes that read ahead; 0 where reading and learning take turns.
        fabric: One process and its device.
        patience: Seconds that a step may be expected to take for it to be measured.

    Yields:
        What each phase costs.

    Raises:
        DataError: An image cannot be read.
        InputError: There is not enough memory.
    """
    step = _step(network, task, settings, fabric)
    part: Measured | None = None
    for phase in (phase for phase in phases if phase.steps):
        task.start_epoch(phase.epoch)  # type: ignore[operator] # nn.Module hides it
        start = time.perf_counter()
        batch = phase.read()
        reading = time.perf_counter() - start
        if part is None:
            part, kept = _first_image(step, task, batch, phase.epoch, fabric.device, patience)
        held = memory_in_use(fabric.device)
        growth = _bytes_of_gradients(task) + kept * phase.parts / settings.micro_batches
        whole = measured_or_scaled(
            partial(step, split_batch(batch, settings.micro_batches), phase.epoch),
            part,
            phase.parts,
            fabric.device,
            memory=None if held is None else int(held + growth),
            patience=patience,
        )
        seconds = max(whole.seconds, reading / workers) if workers else whole.seconds + reading
        yield StageCost(phase.stage, phase.steps, "steps", phase.steps * seconds, whole.memory, whole.is_whole)


def _step(
    network: Learner, task: nn.Module, settings: TrainingSettings, fabric: Fabric
) -> Callable[[Sequence[Any], int], None]:
    """Return the step of `ktse.engine.loop.fit`, less its log and its guards."""
    optimizer = make_sgd(network.parameter_groups(), {}, momentum=settings.momentum, weight_decay=settings.weight_decay)
    module, optimizer = fabric.setup(SealedTask(task), optimizer)
    task.train()

    def step(parts: Sequence[Any], epoch: int) -> None:
        accumulate_gradients(module, parts, epoch, fabric=fabric)
        update_network(module, optimizer, gradient_clip=settings.gradient_clip, fabric=fabric)

    return step


def _first_image(
    step: Callable[[Sequence[Any], int], None],
    task: nn.Module,
    batch: Any,
    epoch: int,
    device: torch.device,
    patience: float,
) -> tuple[Measured, int]:
    """Return what a step with one image takes, and the bytes that it keeps for its gradients."""
    first = split_batch(batch, len(batch.images))[:1]
    with kept_for_gradients(task) as kept:
        part = measured(lambda: step(first, epoch), device, patience=0)
    if part.seconds <= patience:  # the first step also warmed up the machine
        part = measured(lambda: step(first, epoch), device, patience=0)
    return part, kept()


@contextmanager
def kept_for_gradients(module: nn.Module) -> Iterator[Callable[[], int]]:
    """Count the bytes that forward passes keep for their gradients, parameters aside.

    Args:
        module: Whose parameters are not counted.

    Yields:
        A function that returns the bytes so far.

    Example:
        >>> layer = nn.Linear(5, 3)
        >>> with kept_for_gradients(layer) as kept:  # its input, for the gradient of its weight
        ...     _ = layer(torch.zeros(7, 5))
        >>> kept() == 7 * 5 * 4
        True
    """
    storages: dict[int, int] = {}
    parameters = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if (place := storage.data_ptr()) not in parameters:
            seen = min(tensor.nbytes, storage.nbytes())  # views of a part, views that repeat
            storages[place] = max(seen, storages.get(place, 0))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield lambda: sum(storages.values())


def _bytes_of_gradients(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters() if parameter.requires_grad)
