"""Train a toy in the processes that torchrun starts, for test_training_processes: `train_together.py FOLDER CASE ...`.

Cases: `well`; `interval`, the clocks of the processes disagree on checkpoints; `poison`, a loss of the second process
alone is not finite; `collapse`, a guarded monitor of the second process alone falls.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ktse.config import RuntimeSettings
from ktse.engine.fabric import joined
from ktse.engine.guards import Guard
from ktse.engine.loop import Plan, fit
from ktse.engine.optim import Schedule, make_sgd
from ktse.errors import GuardError
from ktse.types import LossTerms

STEPS, EPOCHS, BATCH = 4, 2, 4
GUARD = Guard(monitor="size", below=0.1, steps=2, reason="collapsed", remedy="Do less.")


@dataclass(frozen=True)
class Numbers:
    inputs: Tensor


class Toy(nn.Module):
    def __init__(self, *, bad_step: int | None = None, falling: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.calls, self.bad_step, self.falling = 0, bad_step, falling

    def start_epoch(self, epoch: int) -> None:
        """All epochs are alike."""

    def forward(self, batch: Numbers, epoch: float) -> LossTerms:
        errors = self.net(batch.inputs) - batch.inputs.sum(1, keepdim=True)
        loss = errors.square().mean()
        if self.calls == self.bad_step:
            loss = loss * torch.nan
        self.calls += 1
        size = torch.tensor(-0.5 if self.falling and epoch >= 1 else 0.5)
        return LossTerms({"squared": loss}, loss, monitors={"size": size})


def batches(epoch: int, start: int, rank: int, world_size: int) -> Iterator[Numbers]:
    for step in range(start, STEPS):
        generator = torch.Generator().manual_seed(epoch * STEPS + step)
        yield Numbers(torch.randn(BATCH, 3, generator=generator)[rank::world_size])


def train(folder: Path, case: str, fabric: Fabric, *, micro_batches: int = 1) -> str:
    """Train and return how it ended."""
    second = fabric.global_rank == 1
    task = Toy(bad_step=5 if case == "poison" and second else None, falling=case == "collapse" and second)
    optimizer = make_sgd({"all": list(task.parameters())}, {}, momentum=0.9, weight_decay=1e-4)
    plan = Plan(
        stage="toy", epochs=EPOCHS, steps=lambda epoch: STEPS,
        batches=lambda epoch, start: batches(epoch, start, fabric.global_rank, fabric.world_size),
        schedule=Schedule(start=0.05, horizon=STEPS * EPOCHS, power=0.9), micro_batches=micro_batches,
        gradient_clip=1.0, random_seed=3, checkpoint=folder / "resume.safetensors",
        checkpoint_interval=1e9 if case == "interval" and second else 0.0, key="k", log=folder / "log.jsonl",
        guards=[GUARD],
    )  # fmt: skip
    try:
        fit(task, optimizer, plan, fabric=fabric)
    except GuardError as error:
        return str(error)
    return "finished"


def main(root: Path, cases: list[str]) -> None:
    with joined(RuntimeSettings(accelerator="cpu")) as fabric:
        for case in cases:
            folder = root / case
            folder.mkdir(parents=True, exist_ok=True)
            outcome = train(folder, case, fabric)
            (folder / f"outcome{fabric.global_rank}.txt").write_text(outcome)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
