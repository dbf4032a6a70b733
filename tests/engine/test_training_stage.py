from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktse.artifacts import RunDirectory
from ktse.config import RuntimeSettings
from ktse.engine.fabric import make_fabric
from ktse.engine.guards import Guard
from ktse.engine.network_file import read_network, write_network
from ktse.engine.optim import Schedule
from ktse.engine.training_stage import run_training_stage
from ktse.errors import GuardError, RecipeError, WeightsError
from ktse.types import LossTerms

FABRIC = make_fabric(RuntimeSettings(accelerator="cpu"))


@dataclass(frozen=True)
class Numbers:
    inputs: Tensor


class Line(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 1)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"slope": [self.weight], "height": [self.bias]}


class Square(nn.Module):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line

    def start_epoch(self, epoch: int) -> None: ...

    def forward(self, batch: Numbers, epoch: float) -> LossTerms:
        loss = self.line(batch.inputs).square().mean()
        return LossTerms({"square": loss}, loss, monitors={"height": self.line.bias.detach().mean()})


def batches(epoch: int, start: int) -> Iterator[Numbers]:
    for step in range(start, 3):
        yield Numbers(torch.randn(4, 2, generator=torch.Generator().manual_seed(3 * epoch + step)))


def train(run: RunDirectory, key: str = "k", precision: Any = "32-true", **changes: Any) -> Line:
    file = run.localizer / "last.safetensors"

    def load() -> Line:
        line = Line()
        read_network(file, line)
        return line

    whole: dict[str, Any] = {
        "draw": Line, "task": Square, "steps": lambda epoch: 3, "batches": batches,
        "schedule": Schedule(start=0.1, horizon=6, power=1.0), "rate_factors": {"height": 0.0},
        "write": lambda line: write_network(file, line, {}), "load": load,
    }  # fmt: skip
    settings = SimpleNamespace(epochs=2, micro_batches=1, gradient_clip=None, momentum=0.0, weight_decay=0.0)
    runtime = RuntimeSettings(accelerator="cpu", checkpoint_interval=0.0, precision=precision)
    return run_training_stage("localizer", key, settings, runtime, run=run, fabric=FABRIC, **{**whole, **changes})


def records(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log().read_text().splitlines()]


def test_it_is_trained_once_and_loaded_then(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    trained = train(run)
    assert not trained.training
    assert run.stage("localizer").is_done("k")
    assert not (run.localizer / "resume.safetensors").exists()
    assert len(records(run)) == 6
    again = train(run)
    assert torch.equal(trained.weight, again.weight)
    assert not again.training
    assert len(records(run)) == 6
    train(run, key="other")
    assert [line.get("event") for line in records(run)[6:]] == ["stale", *[None] * 6]


def test_a_network_that_cannot_be_built_does_not_cost_the_one_that_is_there(tmp_path: Path) -> None:
    def draw() -> Line:
        raise WeightsError("no such file.")

    run = RunDirectory(tmp_path)
    trained = train(run)
    with pytest.raises(WeightsError, match="no such file"):
        train(run, key="other", draw=draw)
    assert torch.equal(train(run).weight, trained.weight)
    assert len(records(run)) == 6, "nothing was trained again"


def test_a_cpu_does_not_train_in_float16_but_loads_what_was_trained_so(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(RecipeError, match=r"precision is 16-mixed, .* Set it to bf16-mixed or 32-true"):
        train(run, precision="16-mixed")
    assert not run.stage("localizer").is_done("k")
    trained = train(run, precision="bf16-mixed")
    assert torch.equal(train(run, precision="16-mixed").weight, trained.weight)


def test_first_weights_follow_the_random_seed_and_groups_their_factors(tmp_path: Path) -> None:
    """A factor of 0 leaves a group where it was drawn."""
    drawn: list[Tensor] = []

    def draw() -> Line:
        line = Line()
        drawn.append(line.bias.detach().clone())
        return line

    state = torch.get_rng_state()
    networks = [train(RunDirectory(tmp_path / name), draw=draw) for name in ("one", "two")]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(networks[0].weight, networks[1].weight)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(networks[0].bias, drawn[0])


def test_a_guard_leaves_the_stage_unfinished(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    guard = Guard(monitor="height", above=-9.0, steps=2, reason="too high", remedy="Sink.")
    with pytest.raises(GuardError, match=r"localizer stopped after 2 steps \(epoch 1 of 2\): too high: .* Sink\."):
        train(run, guards=[guard])
    assert not run.stage("localizer").is_done("k")
    assert not (run.localizer / "last.safetensors").exists()
    assert train(run).weight.isfinite().all()


def test_what_is_left_to_do_is_done_before_writing(tmp_path: Path) -> None:
    def complete(line: Line) -> None:
        assert not line.training
        line.bias.data.fill_(7.0)

    run = RunDirectory(tmp_path)
    assert train(run, complete=complete).bias.item() == 7.0
    assert train(run).bias.item() == 7.0, "as it is read"
