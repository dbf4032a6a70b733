"""Batches for the training of the segmenter: single crops, or pairs of crops that co-training mixes.

Whatever is random in a batch is drawn here, keyed by its place in the epoch: the number of processes that read or
train, and the parts into which a batch is cut, change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import Recipe, SegmentationSettings
from ktse.data.dataset import Dataset
from ktse.data.epochs import Draw, Epoch, check_batch_size
from ktse.data.read_ahead import read_ahead
from ktse.data.transforms import normalize
from ktse.errors import DataError
from ktse.segmentation.crops import random_resized_crop
from ktse.segmentation.labels import ReadLabels, ReadTrust
from ktse.segmentation.mixing import draw_mixing
from ktse.segmentation.photometric import draw_change


@dataclass(frozen=True, slots=True)
class SegmentationBatch:
    """Crops with their labels.

    Attributes:
        images: (B, 3, H, W) normalised.
        labels: (B, H, W) int64 labels, some of them the ignore index of the classes.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class CoTrainingBatch:
    """Pairs of crops, and all chance of what is done with them.

    Attributes:
        images: (Q, 2, 3, H, W) uint8, RGB.
        labels: (Q, 2, H, W) int64 labels, some of them the ignore index of the classes.
        trusted: (Q, 2, H, W) bool, where the labels are trusted.
        is_mixed: (Q, 2) bool, whether a crop gets parts of its partner.
        order: (Q, 2, L) int64, in which order a crop would take the classes of its partner.
        changes: (Q, 2, 7) float32, changes of colour and sharpness after mixing.
    """

    images: Tensor
    labels: Tensor
    trusted: Tensor
    is_mixed: Tensor
    order: Tensor
    changes: Tensor


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
    """Yield the batches of one epoch, shuffled and shared as by `ktse.data.loaders.localizer_batches`.

    The arguments are those of that function, and `read_labels`: it reads the labels of an image. An image without
    labels is shown with all its pixels ignored.

    Raises:
        DataError: An image or its labels cannot be read, or do not fit together.
    """
    plan = _EpochPlan(dataset, recipe, read_labels, None, Epoch.shuffled(dataset, recipe, epoch, rank, world_size))
    steps = range(start_step, steps_per_epoch(dataset, recipe.segmentation))
    return read_ahead(plan.read, steps, workers=recipe.runtime.workers)


def co_training_batches(
    dataset: Dataset,
    recipe: Recipe,
    read_labels: ReadLabels,
    read_trust: ReadTrust,
    *,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    start_step: int = 0,
) -> Iterator[CoTrainingBatch]:
    """Yield the batches of `segmentation_batches` as pairs of the very same crops.

    The first half of a batch is paired with its second half (REFERENCE 6.3), and both images of a pair come to the same
    process. The arguments are those of that function, and `read_trust`: it reads which of the labels are trusted.

    Raises:
        DataError: An image, its labels or their trust cannot be read, or do not fit together.
    """
    shuffled = Epoch.shuffled(dataset, recipe, epoch, rank, world_size)
    plan = _EpochPlan(dataset, recipe, read_labels, read_trust, shuffled)
    steps = range(start_step, steps_per_epoch(dataset, recipe.segmentation))
    return read_ahead(plan.read_pairs, steps, workers=recipe.runtime.workers)


def steps_per_epoch(dataset: Dataset, settings: SegmentationSettings) -> int:
    """Return the number of whole batches in an epoch, the same for every process."""
    return len(dataset) // settings.batch_size


def check_batches(dataset: Dataset, settings: SegmentationSettings, *, world_size: int = 1) -> None:
    """Refuse, before any work, what could not be cut into batches.

    Raises:
        DataError: Fewer images than a batch.
        RecipeError: A batch does not divide into the processes and their micro-batches, pairs left whole.
    """
    check_batch_size(
        dataset,
        "segmentation.batch_size",
        settings.batch_size,
        world_size=world_size,
        micro_batches=settings.micro_batches,
        together=2 if settings.method == "co_training" else 1,
    )


@dataclass(frozen=True, slots=True)
class _EpochPlan:
    """Which image is cropped for what in one epoch; a batch follows from the number of its step alone."""

    dataset: Dataset
    recipe: Recipe
    read_labels: ReadLabels
    read_trust: ReadTrust | None
    epoch: Epoch

    def read(self, step: int) -> SegmentationBatch:
        """Read this process's part of a step."""
        images, maps = self._crops(self.epoch.positions(step, self.recipe.segmentation.batch_size))
        normalized = normalize(images, self.recipe.data.mean, self.recipe.data.std)
        return SegmentationBatch(_channels_first(normalized), _labels(maps))

    def read_pairs(self, step: int) -> CoTrainingBatch:
        """Read this process's part of a step, as pairs."""
        half = self.recipe.segmentation.batch_size // 2
        pairs = self.epoch.positions(step, half)
        positions = [position for pair in pairs for position in (pair + step * half, pair + (step + 1) * half)]
        images, maps = self._crops(positions)
        mixing = [self._mixing(pair) for pair in pairs]
        return CoTrainingBatch(
            images=_paired(_channels_first(images)),
            labels=_paired(_labels(maps)),
            trusted=_paired(torch.from_numpy(maps[..., 1] != 0)),
            is_mixed=torch.from_numpy(np.stack([is_mixed for is_mixed, _ in mixing])),
            order=torch.from_numpy(np.stack([order for _, order in mixing])),
            changes=_paired(torch.from_numpy(np.stack([self._change(position) for position in positions]))),
        )

    def _crops(self, positions: Iterable[int]) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return crops (N, H, W, 3) uint8 with their maps (N, H, W, C): labels, and trust where it is read."""
        crops = [self._crop(position) for position in positions]
        return np.stack([image for image, _ in crops]), np.stack([maps for _, maps in crops])

    def _crop(self, position: int) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        index, settings = self.epoch.index(position), self.recipe.segmentation
        generator = self.epoch.generator(Draw.IMAGE, position)
        image = self.dataset.image(index)
        maps = self._maps(index, (image.shape[0], image.shape[1]))
        if maps.shape[:2] != image.shape[:2]:
            raise DataError(
                f"image '{self.dataset.ids[index]}' is {image.shape[:2]}, but its labels are {maps.shape[:2]}.",
                remedy="Make the masks of this image anew.",
            )
        image, maps = random_resized_crop(
            image, maps, side=settings.crop_size, area=settings.crop_area, generator=generator
        )
        if generator.random() < settings.flip_probability:
            image, maps = image[:, ::-1], maps[:, ::-1]
        return image, maps

    def _maps(self, index: int, size: tuple[int, int]) -> NDArray[np.integer[Any]]:
        """Return what is known of the pixels of an image of a size: (H, W, C)."""
        labels = self.read_labels(index)
        if labels is None:
            labels = np.full(size, self.dataset.classes.ignore_index)
        if self.read_trust is None:
            return labels[..., None]
        return np.stack([labels, self.read_trust(index, labels)], axis=-1)

    def _mixing(self, pair: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        chance = self.recipe.segmentation.co_training.mix_probability
        return draw_mixing(self.dataset.classes.num_labels, chance, self.epoch.generator(Draw.MIX, pair))

    def _change(self, position: int) -> NDArray[np.float32]:
        return draw_change(self.recipe.segmentation.co_training, self.epoch.generator(Draw.COLOUR, position))


def _channels_first(images: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))  # (N, H, W, 3) -> (N, 3, H, W)


def _labels(maps: NDArray[np.integer[Any]]) -> Tensor:
    return torch.from_numpy(maps[..., 0].astype(np.int64))


def _paired(items: Tensor) -> Tensor:
    return items.reshape(-1, 2, *items.shape[1:])
