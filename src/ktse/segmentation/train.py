"""Training of the segmenter: from images with pseudo masks to a network that needs no tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, SegmentationSettings
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.engine.fabric import make_fabric
from ktse.engine.guards import Guard
from ktse.engine.optim import Schedule
from ktse.engine.training_stage import run_training_stage, training_key
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.normalization import set_normalization
from ktse.segmentation.batches import (
    CoTrainingBatch,
    SegmentationBatch,
    check_batches,
    co_training_batches,
    segmentation_batches,
    steps_per_epoch,
)
from ktse.segmentation.co_training import CoTrainingTask
from ktse.segmentation.inference_settings import INFERENCE_SETTINGS
from ktse.segmentation.labels import LabelSource, foreground_share, label_reader, trust_reader
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import read_segmenter, write_segmenter
from ktse.segmentation.task import SegmentationTask

if TYPE_CHECKING:
    from lightning_fabric import Fabric

GUARD_SETTINGS = {"collapse_share", "collapse_ratio", "ignored_share", "guard_steps"}
"""Settings of segmentation that do not touch what the network learns: when to give up."""

OTHER_METHODS_SETTINGS = {"plain": {"co_training"}, "co_training": {"trusted_only"}}
"""Method to the settings of segmentation that it does not look at."""


def segmenter_key(dataset: Dataset, recipe: Recipe, *, run: RunDirectory, labels: LabelSource = "masks") -> str:
    """Return the stage key of a training: it changes with everything that the network depends on."""
    unused = (
        {"trunk_weights"} | INFERENCE_SETTINGS | GUARD_SETTINGS | OTHER_METHODS_SETTINGS[recipe.segmentation.method]
    )
    return training_key(
        "segmenter",
        dataset,
        recipe,
        run.stage("masks").key if labels == "masks" else labels,
        recipe.segmentation.model_dump(mode="json", exclude=set(unused)),
        weights=recipe.segmenter_weights,
    )


def segmenter_file(run: RunDirectory) -> Path:
    """Return the file of the trained segmenter of a run."""
    return run.segmenter / "last.safetensors"


def train_segmenter(
    dataset: Dataset, recipe: Recipe, *, run: RunDirectory, fabric: Fabric | None = None, labels: LabelSource = "masks"
) -> DeepLab | DeepLabPair:
    """Train the segmenter of a recipe, or go on with it, or load it when it is done.

    Args:
        dataset: Images to learn from.
        recipe: Its section `segmentation` says how.
        run: Holds the pseudo masks; gets `segmenter/last.safetensors`, and a line of `log.jsonl` for each step.
        fabric: Processes and device; made from the recipe when None.
        labels: What to learn from: the pseudo `masks` of the run, or the `truth`, as a bound of what tags could reach.

    Returns:
        The trained network in evaluation mode, on the device of `fabric`: one, or the two of co-training.

    Raises:
        DataError: There are no labels, they do not fit the images, or there are fewer images than a batch.
        StoppedError: Stopped by Ctrl-C or SIGTERM; the same call goes on.
        GuardError: A loss was not finite, the predictions collapsed to background, or nearly all labels are ignored.
    """
    fabric = fabric or make_fabric(recipe.runtime)
    settings, classes = recipe.segmentation, dataset.classes
    is_plain = settings.method == "plain"
    largest = recipe.data.max_pixels
    trusted_only = settings.trusted_only and is_plain
    read_labels = label_reader(dataset, labels, run=run, trusted_only=trusted_only, max_pixels=largest)
    read_trust = trust_reader(dataset, labels, run=run, max_pixels=largest)
    check_batches(dataset, settings, world_size=fabric.world_size)
    key = segmenter_key(dataset, recipe, run=run, labels=labels)
    is_done = run.stage("segmenter").is_done(key)
    steps = steps_per_epoch(dataset, settings)

    def batches(epoch: int, start: int) -> Iterator[SegmentationBatch] | Iterator[CoTrainingBatch]:
        place = {"epoch": epoch, "rank": fabric.global_rank, "world_size": fabric.world_size, "start_step": start}
        if is_plain:
            return segmentation_batches(dataset, recipe, read_labels, **place)
        return co_training_batches(dataset, recipe, read_labels, read_trust, **place)

    return run_training_stage(
        "segmenter",
        key,
        settings,
        recipe.runtime,
        run=run,
        fabric=fabric,
        draw=lambda: draw_network(recipe, classes, fabric),
        task=lambda network: task_of(network, recipe, classes),
        steps=lambda epoch: steps,
        batches=batches,
        schedule=Schedule(
            start=settings.learning_rate, horizon=settings.epochs * steps, power=settings.learning_rate_power,
            floor=settings.learning_rate_floor,
        ),
        rate_factors={"head": settings.head_learning_rate_factor},
        write=lambda network: write_segmenter(segmenter_file(run), Segmenter(network, classes, recipe), key=key),
        load=lambda: read_segmenter(segmenter_file(run), device=fabric.device).network,
        guards=[] if is_done else guards(settings, labelled_share=foreground_share(dataset, read_labels)),
    )  # fmt: skip


def guards(settings: SegmentationSettings, *, labelled_share: float) -> list[Guard]:
    """Return what stops a training that leads nowhere.

    Args:
        settings: Limits.
        labelled_share: Share of foreground in the labels. Where it is small the limit of a collapse is smaller too, and
            without any there is none.

    Example:
        >>> [(guard.monitor, guard.below) for guard in guards(SegmentationSettings(), labelled_share=0.01)]
        [('predicted_foreground', 0.001), ('ignored', None)]
    """
    collapse = Guard(
        monitor="predicted_foreground",
        below=min(settings.collapse_share, settings.collapse_ratio * labelled_share),
        steps=settings.guard_steps,
        reason="the predictions have collapsed to background",
        remedy="Look at the pseudo masks first; then lower segmentation.learning_rate or set gradient_clip.",
    )
    ignored = Guard(
        monitor="ignored",
        above=settings.ignored_share,
        steps=settings.guard_steps,
        reason="nearly all labels are ignored, so that there is nothing to learn",
        remedy="Look at the masks; `trusted_only` and a low refinement.confident_share ignore much.",
    )
    return [collapse, ignored]


def draw_network(recipe: Recipe, classes: Classes, fabric: Fabric) -> DeepLab | DeepLabPair:
    """Build the network with its first weights."""
    settings = recipe.segmentation
    network = build_network(settings, num_labels=classes.num_labels, weights=recipe.segmenter_weights)
    set_normalization(network, settings.normalization_layers, device=fabric.device, world_size=fabric.world_size)
    return network


def task_of(network: DeepLab | DeepLabPair, recipe: Recipe, classes: Classes) -> nn.Module:
    """Return the network with its losses."""
    if isinstance(network, DeepLab):
        return SegmentationTask(network, ignore_index=classes.ignore_index)
    return CoTrainingTask(
        network,
        recipe.segmentation.co_training,
        mean=recipe.data.mean,
        std=recipe.data.std,
        ignore_index=classes.ignore_index,
    )
