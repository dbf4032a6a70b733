"""The training loop. It never knows the method: it calls `task(batch, epoch)` and gets losses under their names."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ktse.artifacts import append_log
from ktse.engine.checkpoint import Place, load_checkpoint, save_checkpoint
from ktse.engine.interrupt import StopWish, stop_wishes
from ktse.engine.optim import Schedule, set_rate
from ktse.engine.progress import progress
from ktse.engine.seeding import keyed_seed, private_torch_seed
from ktse.errors import GuardError, StoppedError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ktse.types import LossTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training does, apart from the task.

    Attributes:
        stage: Name in the log and on the progress bar.
        epochs: Epochs in all.
        steps: Epoch to the number of its steps.
        batches: (epoch, first step) to the batches of this process, from that step on; a batch is a frozen dataclass
            of tensors whose first axis counts images (or pairs).
        schedule: Learning rate over all steps.
        micro_batches: Parts that a batch is dealt out to; gradients are summed over them.
        gradient_clip: Largest norm of the gradient, or None.
        random_seed: Random seed of dropout, keyed by step.
        checkpoint: File from which a stopped training goes on.
        checkpoint_interval: Seconds between two checkpoints.
        key: Stage key kept in the checkpoint.
        log: File of losses, one JSON line a step.
    """

    stage: str
    epochs: int
    steps: Callable[[int], int]
    batches: Callable[[int, int], Iterator[Any]]
    schedule: Schedule
    micro_batches: int
    gradient_clip: float | None
    random_seed: int
    checkpoint: Path
    checkpoint_interval: float
    key: str
    log: Path


def fit(task: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan, *, fabric: Fabric) -> None:
    """Train until the plan's last epoch, going on from its checkpoint when there is one.

    Args:
        task: `task(batch, epoch)` → LossTerms, with `epoch` fractional; its `start_epoch(epoch)` is called before each.
        optimizer: With groups as `make_sgd` makes them.
        plan: Everything else.
        fabric: Processes and device.

    Raises:
        GuardError: A loss is not finite; names the loss.
        StoppedError: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    module, optimizer = fabric.setup(_Plain(task), optimizer)
    place = load_checkpoint(plan.checkpoint, task, optimizer, key=plan.key) or Place()
    if place.total_steps and fabric.global_rank == 0:
        append_log(plan.log, {"stage": plan.stage, "event": "resumed", "epoch": place.epoch, "step": place.step,
                              "kept_steps": place.total_steps})  # fmt: skip
    task.train()
    total = sum(plan.steps(epoch) for epoch in range(plan.epochs))
    saved_at = time.monotonic()
    shown = fabric.global_rank == 0
    with (
        private_torch_seed(),
        stop_wishes() as wish,
        progress(plan.stage, total, done=place.total_steps, shown=shown) as report,
    ):
        while place.epoch < plan.epochs:
            steps = plan.steps(place.epoch)
            task.start_epoch(place.epoch)  # type: ignore[operator] # nn.Module hides it
            for batch in plan.batches(place.epoch, place.step):
                rate = plan.schedule.rate(place.total_steps)
                set_rate(optimizer, rate)
                torch.manual_seed(keyed_seed(plan.random_seed, place.epoch, place.step, fabric.global_rank))
                losses = _step(module, optimizer, batch, place.epoch + place.step / steps, plan, fabric)
                if shown:
                    append_log(
                        plan.log,
                        {"stage": plan.stage, "epoch": place.epoch, "step": place.step, "rate": rate, "losses": losses},
                    )
                place = Place(place.epoch, place.step + 1, place.total_steps + 1)
                stop = _anybody(wish, fabric)
                if stop or time.monotonic() - saved_at >= plan.checkpoint_interval:
                    _save(plan, task, optimizer, place, fabric)
                    saved_at = time.monotonic()
                if stop:
                    raise _stopped(plan, place, steps)
                report(note=f"loss {losses['total']:.3f}")
            place = Place(place.epoch + 1, 0, place.total_steps)
        _save(plan, task, optimizer, place, fabric)


def _stopped(plan: Plan, place: Place, steps: int) -> StoppedError:
    return StoppedError(
        f"{plan.stage} stopped after step {place.step} of {steps} in epoch {place.epoch + 1} of {plan.epochs}; "
        "all steps are kept.",
        remedy="Run the same command again to go on.",
    )


def _step(
    module: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, epoch: float, plan: Plan, fabric: Fabric
) -> dict[str, float]:
    """Do one step and return its losses by name, `total` among them."""
    optimizer.zero_grad(set_to_none=True)
    parts = split_batch(batch, plan.micro_batches)
    sums: dict[str, float] = {}
    for number, part in enumerate(parts, 1):
        with fabric.no_backward_sync(module, enabled=number < len(parts)):  # type: ignore[arg-type] # setup() widens it
            losses = module(type(part), fabric.to_device(_fields(part)), epoch)
            for name, value in _checked(losses, plan.stage, epoch).items():
                sums[name] = sums.get(name, 0.0) + value / len(parts)
            fabric.backward(losses["total"] / len(parts))
    if plan.gradient_clip is not None:
        fabric.clip_gradients(module, optimizer, max_norm=plan.gradient_clip)
    optimizer.step()
    return sums


class _Plain(nn.Module):
    """Takes and returns plain dictionaries: Fabric copies what passes through it and refuses frozen dataclasses."""

    def __init__(self, task: nn.Module) -> None:
        super().__init__()
        self.task = task

    def forward(self, kind: type, fields: dict[str, Tensor | None], epoch: float) -> dict[str, Tensor]:
        """Return the losses by name, with the weighted sum as `total`."""
        losses: LossTerms = self.task(kind(**fields), epoch)
        return {**losses.terms, "total": losses.total}


def split_batch(batch: Any, parts: int) -> list[Any]:
    """Deal the images of a batch out to at most `parts` smaller batches, as cards are dealt.

    The first images of a batch may have partners, such as pairs; dealt out in turn, each keeps its own.

    Example:
        >>> from ktse.types import PairBatch
        >>> batch = PairBatch(torch.zeros(4, 3, 8, 8), torch.zeros(4, 2), torch.zeros(2, 3, 8, 8), torch.zeros(2, 2))
        >>> [len(part.images) for part in split_batch(batch, 2)]
        [2, 2]
    """
    if parts == 1:
        return [batch]
    fields = _fields(batch)
    return [
        type(batch)(**{name: (value[part::parts] if value is not None else None) for name, value in fields.items()})
        for part in range(parts)
    ]


def _fields(batch: Any) -> dict[str, Tensor | None]:
    """Return the fields of a batch without copying its tensors."""
    return {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}


def _checked(losses: Mapping[str, Tensor], stage: str, epoch: float) -> dict[str, float]:
    """Return the losses as numbers, read from the device at once; a loss that is not finite stops the training."""
    values = dict(zip(losses, torch.stack([loss.detach().float() for loss in losses.values()]).tolist(), strict=True))
    worst = next((name for name, value in values.items() if not math.isfinite(value)), None)
    if worst is not None:
        raise GuardError(
            f"{stage}: loss '{worst}' is {values[worst]} in epoch {epoch:.2f}; stopped before it spoils the network.",
            remedy="The last checkpoint is kept; lower the learning rate, or use precision 32-true.",
        )
    return values


def _anybody(wish: StopWish, fabric: Fabric) -> bool:
    """Whether any process was asked to stop; all must stop at the same step."""
    if fabric.world_size == 1:
        return wish.asked
    asked = fabric.all_reduce(torch.tensor(float(wish.asked), device=fabric.device), reduce_op="sum")
    return bool(torch.as_tensor(asked).item() > 0)


def _save(plan: Plan, task: nn.Module, optimizer: torch.optim.Optimizer, place: Place, fabric: Fabric) -> None:
    """Write the checkpoint in the first process and let the others wait for it."""
    if fabric.global_rank == 0:
        save_checkpoint(plan.checkpoint, task, optimizer, place, key=plan.key)
    fabric.barrier()
