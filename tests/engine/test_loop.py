from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from torch import Tensor, nn

from ktse.config import RuntimeSettings
from ktse.engine.checkpoint import load_checkpoint
from ktse.engine.fabric import make_fabric
from ktse.engine.guards import Guard
from ktse.engine.loop import Plan, fit, split_batch
from ktse.engine.optim import Schedule, make_sgd
from ktse.errors import GuardError, InputError, StoppedError
from ktse.types import LossTerms

STEPS, EPOCHS = 5, 3


@dataclass(frozen=True)
class Numbers:
    inputs: Tensor
    targets: Tensor


class Regression(nn.Module):
    """A task with dropout, so that the random seed of each step matters; what it watches is told beforehand."""

    def __init__(self, *, poison_at: int | None = None, watched: Sequence[float] = ()) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.calls, self.poison_at, self.epochs_started = 0, poison_at, []
        self.watched = watched

    def start_epoch(self, epoch: int) -> None:
        self.epochs_started.append(epoch)

    def forward(self, batch: Numbers, epoch: float) -> LossTerms:
        self.calls += 1
        squared = (self.net(batch.inputs) - batch.targets).square().mean()
        weight = torch.tensor(float("nan") if self.calls == self.poison_at else 1.0)
        terms = {"squared": squared, "size": self.net[0].weight.square().mean() * weight}
        monitors = {"watched": torch.tensor(self.watched[self.calls - 1])} if self.watched else {}
        return LossTerms(terms, terms["squared"] + 0.1 * terms["size"], monitors=monitors)


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


def train(task: Regression, plan: Plan, fabric: Fabric | None = None) -> Regression:
    optimizer = make_sgd({"all": list(task.parameters())}, {}, momentum=0.9, weight_decay=1e-4)
    fit(task, optimizer, plan, fabric=fabric or make_fabric(RuntimeSettings(accelerator="cpu")))
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
    with pytest.raises(GuardError, match=r"toy stopped after 3 steps .*: loss 'size' is nan") as caught:
        train(task, plan(tmp_path))
    assert caught.value.exit_code == 3
    assert f"'{tmp_path / 'resume.safetensors'}', 3 steps into the training" in str(caught.value)
    assert all(torch.isfinite(parameter).all() for parameter in task.parameters())
    assert len(records(tmp_path)) == 3
    assert same(train(Regression(), plan(tmp_path)), train(Regression(), plan(tmp_path / "whole")))


@pytest.mark.parametrize("epochs", [1, 3], ids=["at the last step", "in between"])
def test_a_network_with_a_weight_that_is_not_finite_is_never_written(tmp_path: Path, epochs: int) -> None:
    """The loss of a step is finite, and its gradient is not: the square root of 0."""

    class Root(Regression):
        def forward(self, batch: Numbers, epoch: float) -> LossTerms:
            losses = super().forward(batch, epoch)
            weight = self.net[0].weight
            root = (weight - weight.detach()).square().sum().sqrt() if self.calls == STEPS else torch.zeros(())
            return LossTerms(losses.terms, losses.total + root)

    what = "a weight of the network is not finite" if epochs == 1 else "loss 'squared' is nan"
    with pytest.raises(GuardError, match=f"stopped after 5 steps .*: {what}.*, 4 steps into the training"):
        train(Root(), plan(tmp_path, epochs=epochs))


def guarded(folder: Path, **changes: Any) -> Plan:
    guard = Guard(monitor="watched", below=0.1, steps=4, reason="collapsed", remedy="Do less.")
    return plan(folder, guards=[guard], **changes)


def test_a_collapse_stops_and_leaves_the_checkpoint_from_before(tmp_path: Path) -> None:
    """Means of four are 0.3, 0.225, 0.15, 0.075; the third step of the second epoch is the first that is too low."""
    values = [0.3] * 7 + [0.0] * 8
    with pytest.raises(GuardError, match=r"collapsed: the mean of 'watched' over 4 steps is 0.075") as caught:
        train(Regression(watched=values), guarded(tmp_path))
    assert f"'{tmp_path / 'resume.safetensors'}', 7 steps into the training. Do less." in str(caught.value)
    assert [line["monitors"] for line in records(tmp_path)] == [{"watched": pytest.approx(v)} for v in values[:10]]
    # the checkpoint that is left is that of the undisturbed training after seven steps
    assert same(train(Regression(), plan(tmp_path)), train(Regression(), plan(tmp_path / "whole")))
    assert [line["kept_steps"] for line in records(tmp_path) if line.get("event") == "resumed"] == [7]


def test_a_short_collapse_is_survived_without_a_checkpoint(tmp_path: Path) -> None:
    values = [0.3] * 5 + [0.0, 0.0] + [0.3] * 8
    kept = []

    def looking(epoch: int, start: int) -> Iterator[Numbers]:
        for batch in batches(epoch, start):
            task, optimizer = Regression(), torch.optim.SGD(Regression().parameters())
            place = load_checkpoint(tmp_path / "resume.safetensors", task, optimizer, key="k")
            kept.append(place.total_steps if place else 0)
            yield batch

    train(Regression(watched=values), guarded(tmp_path, batches=looking))
    assert kept == [0, 1, 2, 3, 4, 5, 5, 5, 8, 9, 10, 11, 12, 13, 14]


def test_a_training_that_ends_collapsed_has_failed(tmp_path: Path) -> None:
    """At the end a quarter of the window is enough: 15 of 60 steps, but not 15 of 61."""
    long = Guard(monitor="watched", below=0.1, steps=60, reason="collapsed", remedy="Do less.")
    with pytest.raises(GuardError, match=r"after 15 steps \(epoch 3 of 3\).*over 15 steps is 0,"):
        train(Regression(watched=[0.0] * 15), plan(tmp_path / "long", guards=[long]))
    train(Regression(watched=[0.0] * 15), plan(tmp_path / "short", guards=[replace(long, steps=61)]))


def test_stopped_in_doubt_it_goes_on_from_before(tmp_path: Path) -> None:
    def signalling(epoch: int, start: int) -> Iterator[Numbers]:
        for step, batch in enumerate(batches(epoch, start), start):
            if (epoch, step) == (1, 3):
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    task = Regression(watched=[0.3] * 7 + [0.0] * 8)
    with pytest.raises(StoppedError, match="after step 4 of 5 in epoch 2 of 3; the last 2, which are in doubt"):
        train(task, guarded(tmp_path, batches=signalling))
    assert same(train(Regression(), plan(tmp_path)), train(Regression(), plan(tmp_path / "whole")))


def test_a_guard_of_something_that_is_not_watched_is_named(tmp_path: Path) -> None:
    guard = Guard(monitor="watchd", below=0.1, steps=4, reason="collapsed", remedy="")
    with pytest.raises(InputError, match=r"a guard watches 'watchd', .* Did you mean 'watched'"):
        train(Regression(watched=[0.3] * 15), plan(tmp_path, guards=[guard]))


def in_float16(scale: float) -> Fabric:
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=4)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    fabric.launch()
    return fabric


def scales(folder: Path) -> list[float]:
    return [line["monitors"]["loss_scale"] for line in records(folder) if "losses" in line]


def test_float16_finds_its_scale_and_goes_on_with_it(tmp_path: Path) -> None:
    """Gradients of the first steps overflow; no guard takes that for a loss that is not finite."""
    whole = train(Regression(), plan(tmp_path / "whole", gradient_clip=1.0), in_float16(2.0**24))
    assert scales(tmp_path / "whole")[0] == 2.0**24
    assert min(scales(tmp_path / "whole")) < 2.0**24

    def dying(epoch: int, start: int) -> Iterator[Numbers]:
        for step, batch in enumerate(batches(epoch, start), start):
            if (epoch, step) == (1, 2):
                raise KilledError
            yield batch

    with pytest.raises(KilledError):
        train(Regression(), plan(tmp_path / "cut", gradient_clip=1.0, batches=dying), in_float16(2.0**24))
    resumed = train(Regression(), plan(tmp_path / "cut", gradient_clip=1.0), in_float16(2.0**24))
    assert same(whole, resumed)
    assert scales(tmp_path / "cut") == scales(tmp_path / "whole")


def test_float16_that_no_scale_helps_is_stopped(tmp_path: Path) -> None:
    class Steep(Regression):
        def forward(self, batch: Numbers, epoch: float) -> LossTerms:
            losses = super().forward(batch, epoch)
            return LossTerms(losses.terms, losses.total * 1e30)

    with pytest.raises(GuardError, match=r"gradients overflow in float16 at every scale.*bf16-mixed"):
        train(Steep(), plan(tmp_path), in_float16(4.0))
    assert scales(tmp_path) == [4.0, 2.0, 1.0, 0.5]


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
