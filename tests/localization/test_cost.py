from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from ktse.config import LocalizationSettings, Recipe, replace
from ktse.config.localization import LossWeights
from ktse.data.shapes import Shapes
from ktse.engine.cost import StageCost
from ktse.localization.cost import images_seen, localization_costs


def test_images_seen_are_those_that_the_network_is_shown() -> None:
    """Counted by hand from the paper's Figure 2: anchor, erased anchor, pair, and a joint image of two."""
    settings = LocalizationSettings(pairs=2, warm_up_epochs=1)
    assert images_seen(settings, images=5, epoch=0) == 5
    assert images_seen(settings, images=6, epoch=1) == 6 + 6 + 2 + 2 * 2
    assert images_seen(settings, images=1, epoch=1) == 1 + 1 + 1 + 2
    off = dict.fromkeys(LossWeights.model_fields, 0.0)
    classification = settings.model_copy(update={"weights": LossWeights(**{**off, "classification": 1.0})})
    assert images_seen(classification, images=6, epoch=1) == 6
    cutmix = settings.model_copy(update={"join": "cutmix"})
    assert images_seen(cutmix, images=6, epoch=1) == 6 + 6 + 2 + 2


def costs(world: Shapes, recipe: Recipe, **how: float) -> list[StageCost]:
    return list(localization_costs(world, recipe, fabric=Fabric(accelerator="cpu", devices=1), **how))


@pytest.fixture
def a_second_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each piece of work take a second, and no time pass else."""
    ticks = itertools.count()
    monkeypatch.setattr("ktse.engine.cost._now", lambda device: float(next(ticks)))
    monkeypatch.setattr("ktse.engine.training_cost.time.perf_counter", lambda: 0.0)


@pytest.mark.usefixtures("a_second_each")
def test_steps_and_images_are_counted(world: Shapes, tiny: Recipe) -> None:
    """Twelve images in batches of six make two steps an epoch; all of them get CAMs, here four at a time."""
    recipe = replace(tiny, localization={"epochs": 4}, runtime={"inference_batch": 4})
    told = {cost.stage: (cost.count, cost.unit, cost.seconds) for cost in costs(world, recipe, patience=50.0)}
    assert told == {
        "localizer: warm-up": (2, "steps", 2.0),
        "localizer: all losses": (6, "steps", 6.0),
        "CAMs and seeds": (12, "images", 3.0),
    }


@pytest.mark.usefixtures("a_second_each")
def test_what_would_take_long_is_told_from_an_image_or_a_view(world: Shapes, tiny: Recipe) -> None:
    recipe = replace(tiny, localization={"scales": (0.5, 1.0, 1.5), "mirror": True}, runtime={"inference_batch": 1})
    warm_up, all_losses, cams = costs(world, recipe, patience=0.0)
    assert not any(cost.is_measured for cost in (warm_up, all_losses, cams))
    assert warm_up.seconds == 2 * 6
    assert all_losses.seconds == 2 * (6 + 6 + 2 + 2 * 2)
    views = (0.5**2 + 1 + 1.5**2) / 0.5**2 * 2  # each in pixels of the smallest, and its mirror image
    assert cams.seconds == pytest.approx(12 * views)


def test_no_weights_are_needed_and_nothing_stays(world: Shapes, tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTSE_OFFLINE", "1")
    made = []
    mkdir = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path, *how: (made.append(path), mkdir(path, *how))[1])
    recipe = replace(tiny, localization={"trunk_weights": "no/such/file.pth"})
    assert all(cost.seconds and cost.seconds > 0 for cost in costs(world, recipe))
    assert made
    assert not any(Path(path).exists() for path in made)
