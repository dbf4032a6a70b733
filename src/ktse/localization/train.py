"""Training of the localizer: from images with tags to a network that knows where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ktse.artifacts import RunDirectory
from ktse.config import LocalizationSettings, Recipe
from ktse.data.dataset import Dataset
from ktse.data.loaders import localizer_batches, steps_per_epoch
from ktse.engine.fabric import make_fabric
from ktse.engine.guards import Guard
from ktse.engine.network_file import read_network, write_network
from ktse.engine.optim import Schedule
from ktse.engine.training_stage import run_training_stage, training_key
from ktse.localization.task import KtseTask
from ktse.nets.localizer import Localizer, build_localizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

INFERENCE_SETTINGS = {"scales", "mirror", "view_merge", "cam_stride", "seed_threshold", "sweep"}
"""Settings of localization that do not touch the training."""

GUARD_SETTINGS = {"collapse_activation", "guard_steps"}
"""Settings of localization that do not touch what the network learns: when to give up."""


def localizer_key(dataset: Dataset, recipe: Recipe) -> str:
    """Return the stage key of the localizer: it changes with everything that the network depends on."""
    settings = recipe.localization
    return training_key(
        "localizer",
        dataset,
        recipe,
        settings.model_dump(mode="json", exclude=INFERENCE_SETTINGS | GUARD_SETTINGS | {"trunk_weights"}),
        weights=settings.trunk_weights,
    )


def localizer_file(run: RunDirectory) -> Path:
    """Return the file of the trained localizer of a run."""
    return run.localizer / "last.safetensors"


def train_localizer(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None) -> Localizer:
    """Train the localizer of a recipe, or go on with it, or load it when it is done or was adopted.

    Args:
        dataset: Images with tags; masks are never asked for.
        recipe: Its section `localization` says how.
        run: Gets `localizer/last.safetensors`, and a line of `log.jsonl` for each step.
        fabric: Processes and device; made from the recipe when None.

    Returns:
        The trained network in evaluation mode, on the device of `fabric`.

    Raises:
        StoppedError: Stopped by Ctrl-C or SIGTERM; the same call goes on.
        GuardError: A loss was not finite, or the class activation maps have collapsed.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    settings, classes, key = recipe.localization, dataset.classes, localizer_key(dataset, recipe)
    return run_training_stage(
        "localizer",
        key,
        settings,
        recipe.runtime,
        run=run,
        fabric=fabric,
        draw=lambda: build(settings, num_classes=classes.count, weights=settings.trunk_weights),
        task=lambda localizer: KtseTask(localizer, settings, mean=recipe.data.mean, std=recipe.data.std),
        steps=lambda epoch: steps_per_epoch(dataset, recipe, epoch=epoch),
        batches=lambda epoch, start: localizer_batches(
            dataset, recipe, epoch=epoch, rank=fabric.global_rank, world_size=fabric.world_size, start_step=start
        ),
        schedule=_schedule(dataset, recipe),
        rate_factors={"head": settings.head_learning_rate_factor},
        write=lambda localizer: write_network(localizer_file(run), localizer, {"classes": classes.names, "key": key}),
        load=lambda: load_localizer(recipe, num_classes=classes.count, run=run, fabric=fabric),
        guards=[_collapse(settings)],
    )


def load_localizer(recipe: Recipe, *, num_classes: int, run: RunDirectory, fabric: Fabric | None = None) -> Localizer:
    """Load the trained localizer of a run, in evaluation mode.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
    """
    localizer = build(recipe.localization, num_classes=num_classes, weights=None)
    read_network(localizer_file(run), localizer)
    device = fabric.device if fabric is not None else torch.device("cpu")
    return localizer.to(device).eval()


def build(settings: LocalizationSettings, *, num_classes: int, weights: str | None) -> Localizer:
    """Build the network that a recipe describes."""
    return build_localizer(
        settings.trunk,
        num_classes,
        weights,
        width=settings.trunk_width,
        output_stride=settings.output_stride,
        head_width=settings.head_width,
        normalization_layers=settings.normalization_layers,
    )


def _schedule(dataset: Dataset, recipe: Recipe) -> Schedule:
    """Return the poly schedule; its horizon is the real number of steps, or the published miscount (REFERENCE 2.2)."""
    settings = recipe.localization
    if settings.horizon == "steps":
        horizon = sum(steps_per_epoch(dataset, recipe, epoch=epoch) for epoch in range(settings.epochs))
    else:
        horizon = len(dataset) // settings.warm_up_batch_size * settings.epochs
    return Schedule(start=settings.learning_rate, horizon=horizon, power=settings.learning_rate_power)


def _collapse(settings: LocalizationSettings) -> Guard:
    """Return the guard against a localizer whose activation is driven to 0, where GPP leaves it no gradient."""
    return Guard(
        monitor="cam_activation",
        below=settings.collapse_activation,
        steps=settings.guard_steps,
        reason="the class activation maps have collapsed to 0",
        remedy="Lower localization.learning_rate or localization.head_learning_rate_factor, or set gradient_clip.",
    )
