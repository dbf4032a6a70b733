"""When a training is written down, and where the last writing is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ktse.engine.checkpoint import Place, load_checkpoint, save_checkpoint
from ktse.engine.step import loss_scaler

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Keeper:
    """Keeps the one checkpoint of a training.

    Args:
        path: File of the checkpoint.
        interval: Seconds between two checkpoints.
        key: Stage key; a checkpoint of another key is not gone on with.
        fabric: Processes; the first writes.
    """

    def __init__(self, path: Path, *, interval: float, key: str, fabric: Fabric) -> None:
        self.path, self.interval, self.key, self.fabric = path, interval, key, fabric
        self.written: Place | None = None
        self._written_at = time.monotonic()

    def load(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Place:
        """Restore what was written and return the next step; the first one if nothing was."""
        self.written = load_checkpoint(self.path, network, optimizer, key=self.key, scaler=loss_scaler(self.fabric))
        return self.written or Place()

    @property
    def is_due(self) -> bool:
        """Whether the last writing is longer ago than the interval. Clocks differ: the processes have to agree."""
        return time.monotonic() - self._written_at >= self.interval

    def write(self, network: nn.Module, optimizer: torch.optim.Optimizer, place: Place) -> bool:
        """Write network and optimizer, together with all processes, and return whether that was done.

        A network with a weight that is not finite is lost; it is not written over an older one.
        """
        if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
            return False
        if self.fabric.global_rank == 0:
            save_checkpoint(self.path, network, optimizer, place, key=self.key, scaler=loss_scaler(self.fabric))
        self.fabric.barrier()
        self.written, self._written_at = place, time.monotonic()
        return True

    def __str__(self) -> str:
        if self.written is None:
            return "There is no checkpoint from before."
        place = self.written
        return f"The last good checkpoint is '{self.path}', {place.total_steps} steps into the training."
