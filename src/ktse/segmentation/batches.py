"""Batches for the training of the segmenter.

Every draw is keyed by (random seed, epoch, position in the epoch), never by a stream that runs on: a resumed run, or
another number of processes that read or train, sees the very same crops.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import Recipe, SegmentationSettings
from ktse.data.dataset import Dataset
from ktse.data.read_ahead import read_ahead
from ktse.data.transforms import normalize
from ktse.errors import DataError, RecipeError
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
    order = _generator(recipe, _Draw.ORDER, epoch, 0).permutation(len(dataset))
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
    size = settings.batch_size
    if len(dataset) < size:
        raise DataError(
            f"{dataset.name}, split '{dataset.split}', has {len(dataset)} images, "
            f"segmentation.batch_size asks for {size} at once.",
            remedy=f"Add images or set segmentation.batch_size={len(dataset)}.",
        )
    parts = world_size * settings.micro_batches
    if size % parts:
        raise RecipeError(
            f"segmentation.batch_size is {size}, which does not divide into {world_size} processes with "
            f"{settings.micro_batches} micro-batches each.",
            remedy=f"Set it to a multiple of {parts}.",
        )


class _Draw(enum.IntEnum):
    """What a random number is for."""

    ORDER = 0
    CROP = 1


def _generator(recipe: Recipe, draw: _Draw, epoch: int, position: int) -> np.random.Generator:
    # All keys have the same length: numpy takes (1, 2) and (1, 2, 0) for the same key.
    return np.random.default_rng([recipe.runtime.random_seed, epoch, draw, position])


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
        share = self.recipe.segmentation.batch_size // self.world_size
        first = (step * self.world_size + self.rank) * share
        crops = [self._crop(position) for position in range(first, first + share)]
        images = np.stack([image for image, _ in crops]).transpose(0, 3, 1, 2)  # (B, H, W, 3) -> (B, 3, H, W)
        labels = np.stack([labels for _, labels in crops])
        return SegmentationBatch(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels))

    def _crop(self, position: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        index, settings = int(self.order[position]), self.recipe.segmentation
        generator = _generator(self.recipe, _Draw.CROP, self.epoch, position)
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
