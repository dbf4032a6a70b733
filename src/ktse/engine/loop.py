"""The training loop. It never knows the method: it calls `task(batch, epoch)` and gets losses under their names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ktse.artifacts import append_log
from ktse.engine.checkpoint import Place
from ktse.engine.guards import Guard, Watch
from ktse.engine.interrupt import stop_wishes
from ktse.engine.keeper import Keeper
from ktse.engine.optim import Schedule, set_rate
from ktse.engine.progress import progress
from ktse.engine.seeding import keyed_seed, private_torch_seed
from ktse.engine.step import LOSS_SCALE, Readings, SealedTask, accumulate_gradients, agreed, loss_scaler, update_network
from ktse.errors import GuardError, InputError, StoppedError, near_matches

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FLOAT16_GUARD = Guard(
    monitor=LOSS_SCALE,
    below=1.0,
    steps=1,
    reason="gradients overflow in float16 at every scale",
    remedy="Use precision bf16-mixed or 32-true, or lower the learning rate.",
)
"""A loss scale below 1 makes gradients smaller than they are, and still they overflow: nothing is learned any more."""

LOWER_THE_RATE = "Lower the learning rate, or use precision 32-true."


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
        log: File of losses and monitors, one JSON line a step.
        guards: Limits for monitors of the task; a training that passes one is stopped.
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
    guards: Sequence[Guard] = ()


def fit(task: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan, *, fabric: Fabric) -> None:
    """Train until the plan's last epoch, going on from its checkpoint when there is one.

    Losses and monitors are logged as means over all processes. A checkpoint is not written over an older one while a
    guard doubts the network, so that the last one is from before a collapse.

    Args:
        task: `task(batch, epoch)` → LossTerms, with `epoch` fractional; its `start_epoch(epoch)` is called before each.
        optimizer: With groups as `make_sgd` makes them.
        plan: Everything else.
        fabric: Processes and device.

    Raises:
        GuardError: A loss is not finite, or a guard's limit is passed; names it and the last good checkpoint.
        StoppedError: Ctrl-C or SIGTERM; the same call goes on.
        InputError: The task does not report a monitor that is guarded.
    """
    module, optimizer = fabric.setup(SealedTask(task), optimizer)
    keeper = Keeper(plan.checkpoint, interval=plan.checkpoint_interval, key=plan.key, fabric=fabric)
    place = keeper.load(task, optimizer)
    shown = fabric.global_rank == 0
    if place.total_steps and shown:
        append_log(plan.log, {"stage": plan.stage, "event": "resumed", "epoch": place.epoch, "step": place.step,
                              "kept_steps": place.total_steps})  # fmt: skip
    task.train()
    total = sum(plan.steps(epoch) for epoch in range(plan.epochs))
    watches = [Watch(guard) for guard in (*plan.guards, *([FLOAT16_GUARD] if loss_scaler(fabric) else []))]
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
                parts = split_batch(batch, plan.micro_batches)
                readings = accumulate_gradients(module, parts, place.epoch + place.step / steps, fabric=fabric)
                _check_losses(readings, plan, place, keeper)
                update_network(module, optimizer, gradient_clip=plan.gradient_clip, fabric=fabric)
                if shown:
                    append_log(plan.log, {"stage": plan.stage, "epoch": place.epoch, "step": place.step, "rate": rate,
                                          **dataclasses.asdict(readings)})  # fmt: skip
                place = Place(place.epoch, place.step + 1, place.total_steps + 1)
                _check_monitors(readings, watches, plan, place, keeper)
                stop, due = agreed(wish.asked, keeper.is_due, fabric=fabric)
                if (stop or due) and not any(watch.is_doubtful for watch in watches):
                    keeper.write(task, optimizer, place)
                if stop:
                    raise _stopped(plan, place, steps, keeper)
                report(note=f"loss {readings.losses['total']:.3f}")
            place = Place(place.epoch + 1, 0, place.total_steps)
        if lost := [watch for watch in watches if watch.is_alarmed_at_the_end]:
            raise _gone_wrong(plan, place, keeper, f"{lost[0].guard.reason}: {lost[0]}", lost[0].guard.remedy)
        if not keeper.write(task, optimizer, place):
            raise _gone_wrong(plan, place, keeper, "a weight of the network is not finite", LOWER_THE_RATE)


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
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return [
        type(batch)(**{name: (value[part::parts] if value is not None else None) for name, value in fields.items()})
        for part in range(parts)
    ]


def _check_losses(readings: Readings, plan: Plan, place: Place, keeper: Keeper) -> None:
    """Stop before a loss that is not finite spoils the network."""
    for name, value in readings.losses.items():
        if not math.isfinite(value):
            raise _gone_wrong(plan, place, keeper, f"loss '{name}' is {value}", LOWER_THE_RATE)


def _check_monitors(readings: Readings, watches: Sequence[Watch], plan: Plan, place: Place, keeper: Keeper) -> None:
    """Show what was read to the guards, and stop when one is alarmed."""
    for watch in watches:
        guard = watch.guard
        if guard.monitor not in readings.monitors:
            raise InputError(
                f"{plan.stage}: a guard watches '{guard.monitor}', which the task does not report.",
                remedy=near_matches(guard.monitor, readings.monitors),
            )
        watch.see(readings.monitors[guard.monitor])
        if watch.is_alarmed:
            raise _gone_wrong(plan, place, keeper, f"{guard.reason}: {watch}", guard.remedy)


def _gone_wrong(plan: Plan, place: Place, keeper: Keeper, what: str, remedy: str) -> GuardError:
    return GuardError(
        f"{plan.stage} stopped after {place.total_steps} steps "
        f"(epoch {min(place.epoch + 1, plan.epochs)} of {plan.epochs}): {what}. {keeper}",
        remedy=remedy,
    )


def _stopped(plan: Plan, place: Place, steps: int, keeper: Keeper) -> StoppedError:
    kept = keeper.written.total_steps if keeper.written else 0
    lost = place.total_steps - kept
    return StoppedError(
        f"{plan.stage} stopped after step {place.step} of {steps} in epoch {place.epoch + 1} of {plan.epochs}; "
        + (f"the last {lost}, which are in doubt, are done again." if lost else "all steps are kept."),
        remedy="Run the same command again to go on.",
    )
