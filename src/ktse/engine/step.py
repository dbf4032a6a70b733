"""One step of a training: gradients over micro-batches and processes, and the update of the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ktse.types import LossTerms

LOSS_SCALE = "loss_scale"
"""Monitor of a training in float16: the factor on the loss that keeps small gradients from vanishing."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What a step says in numbers: means over micro-batches and processes, so that all processes read the same.

    Attributes:
        losses: Name to loss, the weighted sum as `total` among them.
        monitors: Name to what is watched but not minimised.
    """

    losses: dict[str, float]
    monitors: dict[str, float]


class Sealed:
    """A batch that nobody looks into on its way to the task."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


class SealedTask(nn.Module):
    """A task in the form that Fabric can set up.

    Fabric looks into what passes through a module: it refuses frozen dataclasses, and under mixed precision it halves
    the precision of every input. A sealed batch escapes that: autocast alone decides what is done in half precision,
    and losses that look at the image see it as it was read.

    Args:
        task: `task(batch, epoch)` → LossTerms.
    """

    def __init__(self, task: nn.Module) -> None:
        super().__init__()
        self.task = task

    def forward(self, sealed: Sealed, epoch: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the losses by name, with the weighted sum as `total`, and the monitors by name."""
        losses: LossTerms = self.task(sealed.batch, epoch)
        return {**losses.terms, "total": losses.total}, {
            name: value.detach() for name, value in losses.monitors.items()
        }


def accumulate_gradients(module: nn.Module, parts: Sequence[Any], epoch: float, *, fabric: Fabric) -> Readings:
    """Take the gradient of the mean loss over the parts of a batch and over the processes.

    Nothing is judged in between: a loss that is not finite in one process is so in the mean that all read, and no
    process is left waiting for one that has stopped.

    Args:
        module: A `SealedTask` as Fabric has set it up; its task reports the same names in every process.
        parts: Micro-batches of this process, dataclasses of tensors.
        epoch: How far the training is, in epochs.
        fabric: Processes and device.

    Returns:
        Losses and monitors; a part that does not report a name counts as 0.
    """
    losses: dict[str, Tensor] = {}
    monitors: dict[str, Tensor] = {}
    for number, part in enumerate(parts, 1):
        with fabric.no_backward_sync(module, enabled=number < len(parts)):  # type: ignore[arg-type] # setup() widens it
            of_part, monitors_of_part = module(Sealed(_on_device(part, fabric)), epoch)
            _add(losses, of_part, len(parts))
            _add(monitors, monitors_of_part, len(parts))
            fabric.backward(of_part["total"] / len(parts))
    means = torch.stack([*losses.values(), *monitors.values()])
    if fabric.world_size > 1:
        means = torch.as_tensor(fabric.all_reduce(means, reduce_op="mean"))
    numbers = means.tolist()  # read from the device at once
    readings = Readings(
        dict(zip(losses, numbers[: len(losses)], strict=True)), dict(zip(monitors, numbers[len(losses) :], strict=True))
    )
    if (scaler := loss_scaler(fabric)) is not None:
        readings.monitors[LOSS_SCALE] = scaler.get_scale()
    return readings


def update_network(
    module: nn.Module, optimizer: torch.optim.Optimizer, *, gradient_clip: float | None, fabric: Fabric
) -> None:
    """Clip the gradient, let the optimizer do its step, and clear the gradient for the next one.

    In float16 a gradient may overflow: the loss scaler leaves such a step out and lowers the scale, as it has to in
    the first steps of a training.
    """
    if gradient_clip is not None:
        fabric.clip_gradients(module, optimizer, max_norm=gradient_clip, error_if_nonfinite=False)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def loss_scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """Return what scales the loss in float16, or None in other arithmetic."""
    return getattr(fabric.strategy.precision, "scaler", None)


def agreed(*wishes: bool, fabric: Fabric) -> list[bool]:
    """Return for each wish whether any process has it, so that all do the same at the same step."""
    if fabric.world_size == 1:
        return list(wishes)
    votes = fabric.all_reduce(torch.tensor(wishes, dtype=torch.float32, device=fabric.device), reduce_op="sum")
    return [vote > 0 for vote in torch.as_tensor(votes).tolist()]


def _add(sums: dict[str, Tensor], values: Mapping[str, Tensor], parts: int) -> None:
    for name, value in values.items():
        share = value.detach().float() / parts
        sums[name] = sums[name] + share if name in sums else share


def _on_device(part: Any, fabric: Fabric) -> Any:
    """Return a batch on the device of this process."""
    moved = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return type(part)(**fabric.to_device(moved))
