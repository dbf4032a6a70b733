"""Training of the segmenter: from images with pseudo masks to a network that needs no tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ktse.artifacts import RunDirectory, stage_key
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.engine.begun_stage import begun_stage
from ktse.engine.fabric import make_fabric
from ktse.engine.loop import Plan, fit
from ktse.engine.optim import Schedule, make_sgd
from ktse.engine.seeding import keyed_seed, private_torch_seed
from ktse.nets.deeplab import DeepLab
from ktse.segmentation.batches import check_batches, segmentation_batches, steps_per_epoch
from ktse.segmentation.labels import LabelSource, ReadLabels, label_reader
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import read_segmenter, write_segmenter
from ktse.segmentation.task import SegmentationTask

if TYPE_CHECKING:
    from lightning_fabric import Fabric

INFERENCE_SETTINGS = {"scales", "mirror"}
"""Settings of segmentation that do not touch the training."""


def segmenter_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, labels: LabelSource = "masks") -> str:
    """Return the stage key of a training: it changes with everything that the network depends on."""
    return stage_key(
        "segmenter",
        dataset.fingerprint(),
        run.stage("masks").key if labels == "masks" else labels,
        recipe.segmentation.model_dump(mode="json", exclude=INFERENCE_SETTINGS),
        recipe.segmenter_weights,
        {"mean": recipe.data.mean, "std": recipe.data.std, "random_seed": recipe.runtime.random_seed,
         "precision": recipe.runtime.precision},
    )  # fmt: skip


def segmenter_file(run: RunDirectory) -> Path:
    """Return the file of the trained segmenter of a run."""
    return run.segmenter / "last.safetensors"


def train_segmenter(
    dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None, labels: LabelSource = "masks"
) -> DeepLab:
    """Train the segmenter of a recipe, or go on with it, or load it when it is done.

    Args:
        dataset: Images to learn from.
        recipe: Its section `segmentation` says how.
        run: Holds the pseudo masks; gets `segmenter/last.safetensors`, and a line of `log.jsonl` for each step.
        fabric: Processes and device; made from the recipe when None.
        labels: What to learn from: the pseudo `masks` of the run, or the `truth`, as a bound of what tags could reach.

    Returns:
        The trained network in evaluation mode, on the device of `fabric`.

    Raises:
        DataError: There are no labels, they do not fit the images, or there are fewer images than a batch.
        StoppedError: Stopped by Ctrl-C or SIGTERM; the same call goes on.
        GuardError: A loss was not finite.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    settings = recipe.segmentation
    read_labels = label_reader(dataset, labels, run=run, trusted_only=settings.trusted_only)
    check_batches(dataset, settings, world_size=fabric.world_size)
    key = segmenter_key(dataset, recipe, run=run, labels=labels)
    with begun_stage("segmenter", key, run=run, fabric=fabric) as stage:
        if stage is None:
            return read_segmenter(segmenter_file(run), device=fabric.device).network
        network = _train(dataset, recipe, read_labels, run, fabric, key)
    return network.eval()


def _train(
    dataset: Dataset, recipe: Recipe, read_labels: ReadLabels, run: RunDirectory, fabric: Fabric, key: str
) -> DeepLab:
    settings, classes, seed = recipe.segmentation, dataset.classes, recipe.runtime.random_seed
    with private_torch_seed():
        torch.manual_seed(keyed_seed(seed))
        network = build_network(settings, num_labels=classes.num_labels, weights=recipe.segmenter_weights)
    optimizer = make_sgd(
        network.parameter_groups(),
        {"head": settings.head_learning_rate_factor},
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    steps = steps_per_epoch(dataset, settings)
    plan = Plan(
        stage="segmenter",
        epochs=settings.epochs,
        steps=lambda epoch: steps,
        batches=lambda epoch, start: segmentation_batches(
            dataset, recipe, read_labels, epoch=epoch, rank=fabric.global_rank, world_size=fabric.world_size,
            start_step=start,
        ),
        schedule=Schedule(
            start=settings.learning_rate, horizon=settings.epochs * steps, power=settings.learning_rate_power,
            floor=settings.learning_rate_floor,
        ),
        micro_batches=settings.micro_batches,
        gradient_clip=settings.gradient_clip,
        random_seed=seed,
        checkpoint=run.segmenter / "resume.safetensors",
        checkpoint_interval=recipe.runtime.checkpoint_interval,
        key=key,
        log=run.log(fabric.global_rank),
    )  # fmt: skip
    fit(SegmentationTask(network, ignore_index=classes.ignore_index), optimizer, plan, fabric=fabric)
    if fabric.global_rank == 0:
        write_segmenter(segmenter_file(run), Segmenter(network, classes, recipe), key=key)
        plan.checkpoint.unlink(missing_ok=True)
    return network
