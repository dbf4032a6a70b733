"""Batches for the training of the segmenter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import Recipe, SegmentationSettings
from ktse.data.dataset import Dataset
from ktse.data.epochs import Draw, check_batch_size, keyed_generator, positions_of, shuffled
from ktse.data.read_ahead import read_ahead
from ktse.data.transforms import normalize
from ktse.errors import DataError
from ktse.segmentation.crops import random_resized_crop
from ktse.segmentation.labels import ReadLabels


@dataclass(frozen=True, slots=True)
class SegmentationBatch:
    """Crops with their labels.

    Attributes:
        images: (B, 3, H, W) normalised.
        labels: (B, H, W) int64 labels, some of them the ignore index of the classes.
    """

    images: Tensor
    labels: Tensor


def segmentation_batches(
    dataset: Dataset,
    recipe: Recipe,
    read_labels: ReadLabels,
    *,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    start_step: int = 0,
) -> Iterator[SegmentationBatch]:
    """Yield this process's part of the batches of one epoch: shuffled, an incomplete last batch dropped.

    Args:
        dataset: Images to learn from.
        recipe: Says sizes, random seed and number of reading processes.
        read_labels: Reads the labels of an image; one without labels is shown with all its pixels ignored.
        epoch: From 0.
        rank: This process.
        world_size: Number of processes that train.
        start_step: First step to yield, for a resumed run.

    Yields:
        A batch of CPU tensors for each step.

    Raises:
        DataError: An image or its labels cannot be read, or do not fit together.
    """
    order = shuffled(len(dataset), recipe.runtime.random_seed, epoch)
    plan = _EpochPlan(dataset, recipe, read_labels, epoch, rank, world_size, order)
    steps = range(start_step, steps_per_epoch(dataset, recipe.segmentation))
    return read_ahead(plan.read, steps, workers=recipe.runtime.workers)


def steps_per_epoch(dataset: Dataset, settings: SegmentationSettings) -> int:
    """Return the number of whole batches in an epoch, the same for every process."""
    return len(dataset) // settings.batch_size


def check_batches(dataset: Dataset, settings: SegmentationSettings, *, world_size: int = 1) -> None:
    """Refuse, before any work, what could not be cut into batches.

    Raises:
        DataError: Fewer images than a batch.
        RecipeError: A batch does not divide into the processes and their micro-batches.
    """
    check_batch_size(
        dataset,
        "segmentation.batch_size",
        settings.batch_size,
        world_size=world_size,
        micro_batches=settings.micro_batches,
    )


@dataclass(frozen=True, slots=True)
class _EpochPlan:
    """Which image is cropped for what in one epoch; a batch follows from the number of its step alone."""

    dataset: Dataset
    recipe: Recipe
    read_labels: ReadLabels
    epoch: int
    rank: int
    world_size: int
    order: NDArray[np.intp]

    def read(self, step: int) -> SegmentationBatch:
        """Read this process's part of a step."""
        size = self.recipe.segmentation.batch_size
        positions = positions_of(step, size, rank=self.rank, world_size=self.world_size)
        crops = [self._crop(position) for position in positions]
        images = np.stack([image for image, _ in crops]).transpose(0, 3, 1, 2)  # (B, H, W, 3) -> (B, 3, H, W)
        labels = np.stack([labels for _, labels in crops])
        return SegmentationBatch(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels))

    def _crop(self, position: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        index, settings = int(self.order[position]), self.recipe.segmentation
        generator = keyed_generator(self.recipe.runtime.random_seed, Draw.IMAGE, self.epoch, position)
        image, labels = self.dataset.image(index), self.read_labels(index)
        if labels is None:
            labels = np.full(image.shape[:2], self.dataset.classes.ignore_index)
        if labels.shape != image.shape[:2]:
            raise DataError(
                f"image '{self.dataset.ids[index]}' is {image.shape[:2]}, but its labels are {labels.shape}.",
                remedy="Make the masks of this image anew.",
            )
        image, labels = random_resized_crop(
            image, labels, side=settings.crop_size, area=settings.crop_area, generator=generator
        )
        if generator.random() < settings.flip_probability:
            image, labels = image[:, ::-1], labels[:, ::-1]
        return normalize(image, self.recipe.data.mean, self.recipe.data.std), labels.astype(np.int64)
