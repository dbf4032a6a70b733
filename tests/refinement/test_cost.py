from __future__ import annotations

import itertools
from typing import Any

import pytest
from lightning_fabric import Fabric

from ktse.config import Recipe, replace
from ktse.engine.cost import StageCost
from ktse.refinement.cost import refinement_costs

IRN = {"trunk": "demo", "trunk_weights": "no/such/file", "path_radius": 2, "crop_size": 32, "canvas": 32,
       "batch_size": 2, "epochs": 3, "walk_steps": 2, "mean_shift_images": 4}  # fmt: skip


@pytest.fixture(autouse=True)
def a_second_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each piece of work take a second, and no time pass else."""
    ticks = itertools.count()
    monkeypatch.setattr("ktse.engine.cost._now", lambda device: float(next(ticks)))
    monkeypatch.setattr("ktse.engine.training_cost.time.perf_counter", lambda: 0.0)


def costs(dataset: Any, *steps: str) -> list[StageCost]:
    refinement = {"steps": steps, "par_batch": 2, "par_iterations": 1, "crf": {"iterations": 1}, "irn": IRN}
    recipe = replace(Recipe(), refinement=refinement, runtime={"accelerator": "cpu"})
    return list(refinement_costs(dataset, recipe, fabric=Fabric(accelerator="cpu", devices=1)))


def test_steps_are_measured_by_image(memory: Any) -> None:
    """Four of five images have tags; PAR sees two at a time."""
    assert [(cost.stage, cost.count, cost.seconds) for cost in costs(memory, "par", "crf")] == [
        ("refinement: par", 4, 2.0),
        ("refinement: crf", 4, 4.0),
        ("masks", 5, 5.0),
    ]


def test_irn_has_labels_and_a_training(memory: Any) -> None:
    """Five images in batches of two make two steps an epoch."""
    assert [(cost.stage, cost.count, cost.unit, cost.seconds) for cost in costs(memory, "irn")] == [
        ("IR labels", 4, "images", 4.0),
        ("IRNet", 6, "steps", 6.0),
        ("IRNet: displacement", 4, "images", 4.0),
        ("refinement: irn", 4, "images", 4.0),
        ("masks", 5, "images", 5.0),
    ]


def test_without_steps_masks_are_written(memory: Any) -> None:
    assert [cost.stage for cost in costs(memory)] == ["masks"]
