"""A layer whose step costs what its clock is told: one second for each image that it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ktse.engine import cost, training_cost
from ktse.engine.cost import StageCost
from ktse.engine.training_cost import Phase, kept_for_gradients, training_costs
from ktse.types import LossTerms

SETTINGS = SimpleNamespace(epochs=1, micro_batches=1, gradient_clip=None, momentum=0.9, weight_decay=0.1)


@dataclass(frozen=True)
class Batch:
    images: Tensor


class Layer(nn.Linear):
    """A network of one layer with a loss, which notes the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__(5, 3)
        self.seen: list[int] = []
        self.epochs: list[int] = []
        self.clock = 0.0

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}

    def start_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def forward(self, batch: Batch, epoch: float) -> LossTerms:  # type: ignore[override]
        self.seen.append(len(batch.images))
        self.clock += len(batch.images)
        loss = super().forward(batch.images).sum()
        return LossTerms({"loss": loss}, loss)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    made = Layer()
    monkeypatch.setattr(cost, "_now", lambda device: made.clock)
    monkeypatch.setattr(training_cost, "time", SimpleNamespace(perf_counter=lambda: made.clock))
    return made


def costs(layer: Layer, *phases: Phase, workers: int = 0, patience: float = 10.0, **settings: Any) -> list[StageCost]:
    chosen = SimpleNamespace(**vars(SETTINGS) | settings)
    fabric = Fabric(accelerator="cpu", devices=1)
    return list(
        training_costs(layer, layer, chosen, phases, workers=workers, fabric=fabric, patience=patience)  # type: ignore[arg-type]
    )


def phase(layer: Layer, *, steps: int = 6, size: int = 4, epoch: int = 0, reading: float = 0.0) -> Phase:
    def read() -> Batch:
        layer.clock += reading
        return Batch(torch.ones(size, 5))

    return Phase("training", steps, epoch, read, parts=size)


def test_a_step_is_measured_and_multiplied(layer: Layer) -> None:
    (told,) = costs(layer, phase(layer))
    assert layer.seen == [1, 1, 4, 4]
    assert (told.stage, told.count, told.unit, told.seconds, told.is_measured) == ("training", 6, "steps", 24.0, True)


def test_what_would_take_too_long_is_told_from_one_image(layer: Layer) -> None:
    (told,) = costs(layer, phase(layer, size=4), patience=3.0)
    assert layer.seen == [1, 1]
    assert (told.seconds, told.is_measured) == (24.0, False)


def test_phases_are_measured_in_their_own_epochs_and_empty_ones_left_out(layer: Layer) -> None:
    first, *rest = costs(layer, phase(layer, steps=0), phase(layer, epoch=2, size=2), phase(layer, epoch=5, size=3))
    assert layer.epochs == [2, 5]
    assert [told.seconds for told in (first, *rest)] == [12.0, 18.0]
    assert layer.seen == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(("workers", "seconds"), [(0, 2 + 8), (2, 4), (8, 2)])
def test_reading_takes_turns_with_learning_unless_others_read(layer: Layer, workers: int, seconds: float) -> None:
    (told,) = costs(layer, phase(layer, steps=1, size=2, reading=8.0), workers=workers)
    assert told.seconds == seconds


def test_micro_batches_are_steps_of_their_own(layer: Layer) -> None:
    costs(layer, phase(layer), micro_batches=2)
    assert layer.seen == [1, 1, 2, 2, 2, 2]


def test_nothing_is_learned(layer: Layer) -> None:
    before = layer.weight.clone()
    costs(layer, phase(layer))
    assert torch.equal(layer.weight, before)


def test_memory_is_expected_from_what_one_image_keeps(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 1,000 bytes are there; gradients of 5 x 3 weights and 3 biases; 8 images keep 5 numbers each."""
    monkeypatch.setattr(training_cost, "memory_in_use", lambda device: 1000)
    (told,) = costs(layer, phase(layer, size=8), patience=3.0, micro_batches=2)
    assert told.memory == 1000 + 4 * (15 + 3) + 4 * 5 * 8 // 2


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (lambda: nn.Linear(5, 3), 7 * 5),
        (lambda: nn.Sequential(nn.Linear(5, 3), nn.Sigmoid()), 7 * 5 + 7 * 3),
        (lambda: nn.Linear(5, 3).requires_grad_(False), 0),
    ],
    ids=["input of a layer", "output of a sigmoid", "frozen"],
)
def test_kept_bytes_are_those_of_the_graph(make: Callable[[], nn.Module], kept: int) -> None:
    module = make()
    with kept_for_gradients(module) as told:
        module(torch.zeros(7, 5))
    assert told() == kept * 4
