"""Batches for the training of the localizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import LocalizationSettings, Recipe
from ktse.data.dataset import Dataset
from ktse.data.epochs import Draw, Epoch, check_batch_size
from ktse.data.pairs import paste_region, pick_pair
from ktse.data.read_ahead import read_ahead
from ktse.data.transforms import augment
from ktse.errors import DataError
from ktse.types import PairBatch


def localizer_batches(
    dataset: Dataset, recipe: Recipe, *, epoch: int, rank: int = 0, world_size: int = 1, start_step: int = 0
) -> Iterator[PairBatch]:
    """Yield the batches of one epoch: shuffled, incomplete last batch dropped.

    Each of the processes takes its part of every batch; the first `pairs` anchors of a part have a pair once the
    warm-up is over, provided that a loss with a weight needs pairs.

    Args:
        dataset: Images and tags to learn from.
        recipe: Says sizes, random seed and number of reading processes.
        epoch: From 0.
        rank: This process.
        world_size: Number of processes that train.
        start_step: First step to yield, for a resumed run.

    Yields:
        A `PairBatch` of CPU tensors for each step.

    Raises:
        DataError: The data set cannot be trained on, or an image cannot be read.
        RecipeError: A batch does not divide into the processes and their micro-batches.
    """
    check_trainable(dataset, recipe, world_size=world_size)
    plan = _EpochPlan(dataset, recipe, Epoch.shuffled(dataset, recipe, epoch, rank, world_size))
    steps = range(start_step, steps_per_epoch(dataset, recipe, epoch=epoch))
    return read_ahead(plan.read, steps, workers=recipe.runtime.workers)


def steps_per_epoch(dataset: Dataset, recipe: Recipe, *, epoch: int) -> int:
    """Return the number of whole batches in an epoch, the same for every process."""
    return len(dataset) // batch_size(recipe.localization, epoch=epoch)


def batch_size(settings: LocalizationSettings, *, epoch: int) -> int:
    """Return the images of a step over all processes: one number during warm-up, another after it (REFERENCE 2.2).

    Example:
        >>> batch_size(LocalizationSettings(), epoch=9), batch_size(LocalizationSettings(), epoch=10)
        (8, 16)
    """
    return settings.warm_up_batch_size if epoch < settings.warm_up_epochs else settings.batch_size


def check_trainable(dataset: Dataset, recipe: Recipe, *, world_size: int = 1) -> None:
    """Refuse, before any work, what could not be trained.

    Raises:
        DataError: Fewer images than a batch, or no tag at all.
        RecipeError: A batch does not divide into the processes and their micro-batches.
    """
    settings = recipe.localization
    if not dataset.tags.any():
        raise DataError(f"no image of {dataset.name}, split '{dataset.split}', has a tag.", remedy="Tag some images.")
    for name, epoch, last in (
        ("warm_up_batch_size", 0, settings.warm_up_epochs),
        ("batch_size", settings.warm_up_epochs, settings.epochs),
    ):
        size = getattr(settings, name)
        if epoch < last:
            check_batch_size(
                dataset, f"localization.{name}", size, world_size=world_size, micro_batches=settings.micro_batches
            )


@dataclass(frozen=True, slots=True)
class _EpochPlan:
    """Which image is read for what in one epoch; a batch follows from the number of its step alone."""

    dataset: Dataset
    recipe: Recipe
    epoch: Epoch

    def read(self, step: int) -> PairBatch:
        """Read this process's part of a step."""
        positions = self.epoch.positions(step, batch_size(self.recipe.localization, epoch=self.epoch.number))
        anchors = [self._anchor(position) for position in positions]
        paired = positions[: self._num_pairs()]
        pairs = [self._pair(position) for position in paired]
        images, tags = self._stack(anchors)
        paired_images, paired_tags = self._stack(pairs)
        return PairBatch(images, tags, paired_images, paired_tags, self._paste_regions(paired))

    def _anchor(self, position: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return self._augmented(self.epoch.index(position), self.epoch.generator(Draw.IMAGE, position))

    def _pair(self, position: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        generator = self.epoch.generator(Draw.PAIR, position)
        return self._augmented(pick_pair(self.dataset.tags, self.epoch.index(position), generator), generator)

    def _augmented(self, index: int, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        image = self.dataset.image(index)
        return augment(image, self.recipe.data, self.recipe.localization, generator), self.dataset.tags[index]

    def _num_pairs(self) -> int:
        settings = self.recipe.localization
        weights = settings.weights
        wanted = weights.knowledge_transfer or weights.joint_background or weights.joint_foreground
        return settings.pairs if wanted and self.epoch.number >= settings.warm_up_epochs else 0

    def _paste_regions(self, positions: Iterable[int]) -> Tensor | None:
        settings = self.recipe.localization
        if settings.join != "cutmix":
            return None
        regions = [
            paste_region(settings.crop_size, self.epoch.generator(Draw.PASTE, position)) for position in positions
        ]
        shape = (len(regions), 1, settings.crop_size, settings.crop_size)
        return torch.from_numpy(np.array(regions, dtype=np.bool_).reshape(shape))

    def _stack(self, items: list[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> tuple[Tensor, Tensor]:
        size = self.recipe.localization.crop_size
        images = np.array([image for image, _ in items], dtype=np.float32).reshape(-1, 3, size, size)
        tags = np.array([tags for _, tags in items], dtype=np.float32).reshape(-1, self.dataset.classes.count)
        return torch.from_numpy(images), torch.from_numpy(tags)
