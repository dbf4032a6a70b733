from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktse.config import RuntimeSettings
from ktse.engine.fabric import make_fabric
from ktse.engine.loop import Plan, fit, split_batch
from ktse.engine.optim import Schedule, make_sgd
from ktse.errors import GuardError, StoppedError
from ktse.types import LossTerms

STEPS, EPOCHS = 5, 3


@dataclass(frozen=True)
class Numbers:
    inputs: Tensor
    targets: Tensor


class Regression(nn.Module):
    """A task with dropout, so that the random seed of each step matters."""

    def __init__(self, *, poison_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.calls, self.poison_at, self.epochs_started = 0, poison_at, []

    def start_epoch(self, epoch: int) -> None:
        self.epochs_started.append(epoch)

    def forward(self, batch: Numbers, epoch: float) -> LossTerms:
        self.calls += 1
        squared = (self.net(batch.inputs) - batch.targets).square().mean()
        weight = torch.tensor(float("nan") if self.calls == self.poison_at else 1.0)
        terms = {"squared": squared, "size": self.net[0].weight.square().mean() * weight}
        return LossTerms(terms, terms["squared"] + 0.1 * terms["size"])


def batches(epoch: int, start: int) -> Iterator[Numbers]:
    for step in range(start, STEPS):
        generator = torch.Generator().manual_seed(epoch * 100 + step)
        inputs = torch.randn(4, 3, generator=generator)
        yield Numbers(inputs, inputs.sum(1, keepdim=True))


def plan(folder: Path, **changes: Any) -> Plan:
    whole = Plan(
        stage="toy", epochs=EPOCHS, steps=lambda epoch: STEPS, batches=batches,
        schedule=Schedule(start=0.05, horizon=STEPS * EPOCHS, power=0.9), micro_batches=1, gradient_clip=None,
        random_seed=3, checkpoint=folder / "resume.safetensors", checkpoint_interval=0.0, key="k",
        log=folder / "log.jsonl",
    )  # fmt: skip
    return replace(whole, **changes)


def train(task: Regression, plan: Plan) -> Regression:
    optimizer = make_sgd({"all": list(task.parameters())}, {}, momentum=0.9, weight_decay=1e-4)
    fit(task, optimizer, plan, fabric=make_fabric(RuntimeSettings(accelerator="cpu")))
    return task


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_learns_and_logs_every_loss_under_its_name(tmp_path: Path) -> None:
    task = train(Regression(), plan(tmp_path))
    lines = records(tmp_path)
    assert task.epochs_started == [0, 1, 2]
    assert [(line["epoch"], line["step"]) for line in lines] == [(e, s) for e in range(EPOCHS) for s in range(STEPS)]
    for line in lines:
        losses = line["losses"]
        assert losses["total"] == pytest.approx(losses["squared"] + 0.1 * losses["size"], rel=1e-5)
    first, last = lines[:STEPS], lines[-STEPS:]
    assert sum(r["losses"]["squared"] for r in last) < sum(r["losses"]["squared"] for r in first)
    assert lines[0]["rate"] == 0.05
    assert lines[-1]["rate"] < 0.05


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [2, 5, 8], ids=["mid-epoch", "end of epoch", "second epoch"])
def test_a_killed_training_goes_on_to_the_bit(tmp_path: Path, after: int) -> None:
    """What kill -9 leaves is the last checkpoint; going on from it gives the undisturbed network."""
    whole = train(Regression(), plan(tmp_path / "whole"))

    def dying(epoch: int, start: int) -> Iterator[Numbers]:
        for number, batch in enumerate(batches(epoch, start), epoch * STEPS + start):
            if number == after:
                raise KilledError
            yield batch

    with pytest.raises(KilledError):
        train(Regression(), plan(tmp_path / "cut", batches=dying))
    resumed = train(Regression(), plan(tmp_path / "cut"))
    assert same(whole, resumed)
    events = [line for line in records(tmp_path / "cut") if line.get("event") == "resumed"]
    assert [(event["kept_steps"]) for event in events] == [after]
    steps = [line for line in records(tmp_path / "cut") if "losses" in line]
    assert len(steps) == STEPS * EPOCHS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_with_a_checkpoint_at_the_next_step(tmp_path: Path, number: signal.Signals) -> None:
    whole = train(Regression(), plan(tmp_path / "whole"))

    def signalling(epoch: int, start: int) -> Iterator[Numbers]:
        for step, batch in enumerate(batches(epoch, start), start):
            if (epoch, step) == (1, 2):
                os.kill(os.getpid(), number)
            yield batch

    with pytest.raises(StoppedError, match="step 3 of 5 in epoch 2") as caught:
        train(Regression(), plan(tmp_path / "cut", batches=signalling, checkpoint_interval=1e9))
    assert caught.value.exit_code == 3
    assert same(whole, train(Regression(), plan(tmp_path / "cut", checkpoint_interval=1e9)))


def test_micro_batches_sum_to_the_gradient_of_the_batch(tmp_path: Path) -> None:
    def without_dropout() -> Regression:
        task = Regression()
        task.net[1] = nn.Identity()
        return task

    whole = train(without_dropout(), plan(tmp_path / "whole"))
    parts = train(without_dropout(), plan(tmp_path / "parts", micro_batches=2))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    task = Regression()
    before = torch.cat([parameter.detach().flatten() for parameter in task.parameters()])
    one = plan(tmp_path, epochs=1, steps=lambda epoch: 1, gradient_clip=1e-3,
               batches=lambda epoch, start: iter(list(batches(epoch, start))[:1]))  # fmt: skip
    train(task, one)
    after = torch.cat([parameter.detach().flatten() for parameter in task.parameters()])
    decay = 1e-4 * before.norm() * 0.05
    assert (after - before).norm() <= 0.05 * 1e-3 + decay + 1e-7


def test_a_loss_that_is_not_finite_stops_and_is_named(tmp_path: Path) -> None:
    task = Regression(poison_at=4)
    with pytest.raises(GuardError, match="loss 'size' is nan") as caught:
        train(task, plan(tmp_path))
    assert caught.value.exit_code == 3
    assert all(torch.isfinite(parameter).all() for parameter in task.parameters())
    assert len(records(tmp_path)) == 3


def test_every_image_stays_beside_its_pair() -> None:
    from ktse.types import PairBatch

    numbers = torch.arange(8.0)
    batch = PairBatch(numbers, numbers + 10, numbers[:4] + 100, numbers[:4] + 110)
    parts = split_batch(batch, 2)
    assert sorted(torch.cat([part.images for part in parts]).tolist()) == numbers.tolist()
    for part in parts:
        assert torch.equal(part.tags, part.images + 10)
        assert torch.equal(part.paired_images, part.images[: len(part.paired_images)] + 100)
        assert part.paste_region is None
