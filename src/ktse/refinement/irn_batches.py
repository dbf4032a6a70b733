"""Batches for the training of IRNet: crops of images with their IR labels on the grid of the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ktse.artifacts import RunDirectory
from ktse.config import IrnSettings, Recipe
from ktse.data.dataset import Dataset
from ktse.data.epochs import Draw, Epoch, check_batch_size
from ktse.data.image_io import read_mask
from ktse.data.read_ahead import read_ahead
from ktse.data.transforms import draw_crop, normalize
from ktse.errors import DataError, RecipeError
from ktse.nets.irnet import GRID_STRIDE
from ktse.ops.paths import reach


@dataclass(frozen=True, slots=True)
class IrnBatch:
    """Crops with their labels.

    Attributes:
        images: (B, 3, H, W) normalised; padding is 0.
        labels: (B, h, w) int64 labels on the grid of IRNet, h = ceil(H / 4); padding is the ignore index.
    """

    images: Tensor
    labels: Tensor


def irn_batches(
    dataset: Dataset,
    recipe: Recipe,
    *,
    run: RunDirectory,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    start_step: int = 0,
) -> Iterator[IrnBatch]:
    """Yield the batches of one epoch, shuffled and shared as by `ktse.data.loaders.localizer_batches`.

    The arguments are those of that function, and the run: it holds `ir_labels/ID.png`.

    Raises:
        DataError: An image or its IR label cannot be read, or they do not fit together; the file is named.
    """
    # A run directory of its own: that of the caller may hold a lock, which no other process can be given.
    own_run = RunDirectory(run.root)
    plan = _EpochPlan(dataset, recipe, own_run, Epoch.shuffled(dataset, recipe, epoch, rank, world_size))
    steps = range(start_step, steps_per_epoch(dataset, recipe.refinement.irn))
    return read_ahead(plan.read, steps, workers=recipe.runtime.workers)


def steps_per_epoch(dataset: Dataset, settings: IrnSettings) -> int:
    """Return the number of whole batches in an epoch, the same for every process."""
    return len(dataset) // settings.batch_size


def check_batches(dataset: Dataset, settings: IrnSettings, *, world_size: int = 1) -> None:
    """Refuse, before any work, what could not be cut into batches or holds no pair of cells.

    Raises:
        DataError: Fewer images than a batch.
        RecipeError: A batch does not divide into the processes and their micro-batches, or the crop has no room for
            paths of this radius.
    """
    check_batch_size(
        dataset,
        "refinement.irn.batch_size",
        settings.batch_size,
        world_size=world_size,
        micro_batches=settings.micro_batches,
    )
    cells, needed = _cells(settings.crop_size), 2 * reach(settings.path_radius) + 1
    if cells < needed:
        raise RecipeError(
            f"a crop of {settings.crop_size} px has {cells} cells a side, too few for paths to the left and right with "
            f"refinement.irn.path_radius={settings.path_radius}, which takes {needed}.",
            remedy=f"Set refinement.irn.crop_size to {GRID_STRIDE * needed} or more, or lower the radius.",
        )


@dataclass(frozen=True, slots=True)
class _EpochPlan:
    """Which image is cropped for what in one epoch; a batch follows from the number of its step alone."""

    dataset: Dataset
    recipe: Recipe
    run: RunDirectory
    epoch: Epoch

    def read(self, step: int) -> IrnBatch:
        """Read this process's part of a step."""
        positions = self.epoch.positions(step, self.recipe.refinement.irn.batch_size)
        crops = [self._crop(position) for position in positions]
        images = np.stack([image for image, _ in crops]).transpose(0, 3, 1, 2)  # (B, H, W, 3) -> (B, 3, H, W)
        labels = np.stack([on_the_grid(labels) for _, labels in crops])
        return IrnBatch(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels))

    def _crop(self, position: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        index, data = self.epoch.index(position), self.recipe.data
        id_, classes = self.dataset.ids[index], self.dataset.classes
        image = self.dataset.image(index)
        labels = read_mask(self.run.ir_label(id_), classes, max_pixels=data.max_pixels)
        if labels.shape != image.shape[:2]:
            raise DataError(
                f"image '{id_}' is {image.shape[:2]}, but '{self.run.ir_label(id_)}' is {labels.shape}.",
                remedy="Remove the file and run refine again.",
            )
        generator = self.epoch.generator(Draw.IMAGE, position)
        return random_view(image, labels, self.recipe, ignore_index=classes.ignore_index, generator=generator)


def random_view(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    recipe: Recipe,
    *,
    ignore_index: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Resize, mirror and crop an image together with its labels (REFERENCE 5.5).

    The image is resized by Pillow's bicubic filter, the labels by taking the nearest pixel. Where the image is smaller
    than the crop, it lies at a random place in padding: the mean colour, ignored.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W).
        recipe: Says sizes, chance of the mirror image, mean and deviation.
        ignore_index: Label of the padding.
        generator: Source of the draws.

    Returns:
        Normalised image (crop_size, crop_size, 3) and labels (crop_size, crop_size).

    Example:
        >>> photo, labels = np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40), np.uint8)
        >>> view, seen = random_view(photo, labels, Recipe(), ignore_index=255, generator=np.random.default_rng(0))
        >>> view.shape, np.unique(seen).tolist()
        ((512, 512, 3), [0, 255])
    """
    settings = recipe.refinement.irn
    factor = generator.uniform(*settings.rescale_range)
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))  # Pillow's (W, H)
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    resized_labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    if generator.random() < settings.flip_probability:
        resized, resized_labels = resized[:, ::-1], resized_labels[:, ::-1]
    taken, place = draw_crop((size[1], size[0]), settings.crop_size, generator)
    # Only what the crop shows is normalised: of a photograph that is a small part.
    view = np.zeros((settings.crop_size, settings.crop_size, 3), np.float32)
    view[place] = normalize(resized[taken], recipe.data.mean, recipe.data.std)
    seen = np.full(view.shape[:2], ignore_index, np.int64)
    seen[place] = resized_labels[taken]
    return view, seen


def on_the_grid(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reduce a label map to the grid of IRNet: each cell has the label of the pixel at its centre.

    Of the four pixels around the centre it is the lower right one, as Pillow takes it.

    Args:
        labels: (H, W).

    Returns:
        (h, w), h = ceil(H / 4).

    Example:
        >>> on_the_grid(np.arange(30).reshape(5, 6)).tolist()  # a cell that sticks out takes the last pixel
        [[14, 17], [26, 29]]
    """
    rows, columns = (
        np.minimum(np.arange(_cells(length)) * GRID_STRIDE + GRID_STRIDE // 2, length - 1) for length in labels.shape
    )
    reduced: NDArray[np.int64] = labels[rows[:, None], columns]
    return reduced


def _cells(length: int) -> int:
    """Cells of IRNet's grid along a side of so many pixels."""
    return -(-length // GRID_STRIDE)
