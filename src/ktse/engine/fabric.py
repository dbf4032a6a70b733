"""The processes and devices of a run, through Lightning Fabric."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ktse.config import RuntimeSettings
from ktse.errors import InputError, RecipeError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE: Final = timedelta(days=7)
"""How long a process waits for the others, whose images may be larger or whose machine slower. One that dies does not
let them wait: torchrun ends them."""


def make_fabric(runtime: RuntimeSettings) -> Fabric:
    """Join the processes that torchrun started, or stand alone with one process on one device.

    Args:
        runtime: Device and arithmetic.

    Returns:
        A launched Fabric; `global_rank` and `world_size` say which share of the images is ours.

    Raises:
        InputError: The machine has no such device, or fewer than there are processes.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size)))
    try:
        fabric = Fabric(
            accelerator=runtime.accelerator,
            devices=local_size,
            num_nodes=max(1, world_size // local_size),
            # normalisation layers that freeze after the warm-up get no gradient any more
            strategy=DDPStrategy(find_unused_parameters=True, timeout=PATIENCE) if world_size > 1 else "auto",
            precision=runtime.precision,
        )
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise InputError(
            f"runtime.accelerator={runtime.accelerator} asks for {local_size} device(s) that the machine has not "
            f"({' '.join(str(error).split())}).",
            remedy="Set runtime.accelerator to auto or cpu, or start no more processes than there are devices.",
        ) from error
    fabric.launch()
    return fabric


@contextmanager
def joined(runtime: RuntimeSettings) -> Iterator[Fabric]:
    """Use the processes of a run and leave them in order.

    A gloo process that reaches the end of the interpreter while its group is alive can abort, so that finished work
    looks like a crash; the group is therefore closed as soon as the work is done.
    """
    fabric = make_fabric(runtime)
    finished = False
    try:
        yield fabric
        finished = True
    finally:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            if finished:  # after an error the others may never come to a barrier
                fabric.barrier()
            dist.destroy_process_group()


def check_precision(runtime: RuntimeSettings, fabric: Fabric) -> None:
    """Refuse to train in an arithmetic that the device does not have: Fabric would take another one.

    Only trainings ask: whatever they have made may be used on any device.

    Raises:
        RecipeError: float16 is asked for on a CPU.
    """
    if runtime.precision == "16-mixed" and fabric.device.type == "cpu":
        raise RecipeError(
            "runtime.precision is 16-mixed, in which a CPU cannot train.",
            remedy="Set it to bf16-mixed or 32-true, or train on a GPU.",
        )


def shard(count: int, fabric: Fabric | None) -> range:
    """Return the indices of `count` images that this process works on.

    Example:
        >>> list(shard(3, None))
        [0, 1, 2]
    """
    if fabric is None:
        return range(count)
    return range(fabric.global_rank, count, fabric.world_size)
