from __future__ import annotations

import itertools

import pytest
from lightning_fabric import Fabric

from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.engine.cost import StageCost
from ktse.segmentation.cost import segmentation_costs


@pytest.fixture(autouse=True)
def a_second_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each piece of work take a second, and no time pass else."""
    ticks = itertools.count()
    monkeypatch.setattr("ktse.engine.cost._now", lambda device: float(next(ticks)))
    monkeypatch.setattr("ktse.engine.training_cost.time.perf_counter", lambda: 0.0)


def costs(dataset: Dataset, recipe: Recipe, **how: float) -> list[StageCost]:
    val = dataset.subset([0, 1, 2])
    return list(segmentation_costs(dataset, val, recipe, fabric=Fabric(accelerator="cpu", devices=1), **how))


def test_steps_and_predictions_are_counted(dataset: Dataset, recipe: Recipe) -> None:
    """Ten images in batches of four make two steps an epoch; weights that are not there are not asked for."""
    changed = replace(recipe, segmentation={"trunk_weights": "no/such/file"}, runtime={"inference_batch": 3})
    assert [(cost.stage, cost.count, cost.unit, cost.seconds) for cost in costs(dataset, changed)] == [
        ("segmenter", 4, "steps", 4.0),
        ("predictions", 3, "images", 1.0),
    ]


def test_co_training_has_a_warm_up(dataset: Dataset, recipe: Recipe) -> None:
    settings = {"method": "co_training", "epochs": 5, "co_training": {"warm_up_epochs": 2}}
    assert [(cost.stage, cost.seconds) for cost in costs(dataset, replace(recipe, segmentation=settings))] == [
        ("segmenter: warm-up", 4.0),
        ("segmenter: online labels", 6.0),
        ("predictions", 3.0),
    ]


def test_what_would_take_long_is_told_from_a_pair(dataset: Dataset, recipe: Recipe) -> None:
    """Two pairs a step; the online labels cost each a further forward pass, a third of a step."""
    settings = {"method": "co_training", "epochs": 2, "co_training": {"warm_up_epochs": 1}}
    warm_up, online, _ = costs(dataset, replace(recipe, segmentation=settings), patience=0.0)
    assert not warm_up.is_measured
    assert warm_up.seconds == 2 * 2
    assert online.seconds == pytest.approx(2 * 2 * 4 / 3)
