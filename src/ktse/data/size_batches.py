"""Whole images in batches: neighbours of one size together, of large ones fewer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ktse.data.dataset import Dataset
from ktse.data.faults import noted
from ktse.errors import DataError

PIXELS_TOGETHER: Final = 2**22
"""Pixels that a batch of several images has at most: 22 images of VOC, 13 of COCO, one photograph of a phone."""

Item = TypeVar("Item")


def size_batches(
    dataset: Dataset, indices: Iterable[int], limit: int, *, faults: list[DataError] | None = None
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Read images one after the other and stack neighbours of equal size, of no more than PIXELS_TOGETHER.

    Only one batch is in memory at a time.

    Args:
        dataset: Images to read.
        indices: Which, and in which order.
        limit: Largest number of images in a batch.
        faults: Gets what is wrong with images that cannot be read, which are passed over; None for no such image.

    Yields:
        Indices, and their images (N, H, W, 3) uint8.

    Raises:
        DataError: An image cannot be read, and there are no `faults`; it is named.
    """
    read = _read(dataset, indices, faults)
    for batch in neighbours_of_one_size(
        read, lambda item: item[1].shape, lambda shape: fit_together(limit, shape[0] * shape[1], PIXELS_TOGETHER)
    ):
        yield [index for index, _ in batch], stacked([image for _, image in batch])


def neighbours_of_one_size(
    items: Iterable[Item], shape_of: Callable[[Item], tuple[int, ...]], together: Callable[[tuple[int, ...]], int]
) -> Iterator[list[Item]]:
    """Put neighbours of equal size together; only one batch is in memory at a time.

    A batch that is full is given out before the next item is asked for.

    Args:
        items: What comes one after the other.
        shape_of: From an item to the shape of its image.
        together: From such a shape to the most items of a batch.

    Example:
        >>> list(neighbours_of_one_size("aabab", lambda name: (ord(name), 1), lambda shape: 2))
        [['a', 'a'], ['b'], ['a'], ['b']]
    """
    batch: list[Item] = []
    for item in items:
        if batch and shape_of(item) != shape_of(batch[0]):
            yield batch
            batch = []
        batch.append(item)
        if len(batch) >= together(shape_of(item)):
            yield batch
            batch = []
    if batch:
        yield batch


def fit_together(limit: int, pixels: int, room: int) -> int:
    """Return how many images a batch may have: one at least, however large.

    Args:
        limit: Most images of a batch.
        pixels: Of each image.
        room: Most pixels of a batch of several.

    Example:
        >>> [fit_together(8, pixels, room=1000) for pixels in (10, 300, 5000)]
        [8, 3, 1]
    """
    return max(1, min(limit, room // pixels))


def stacked(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack images of one size; a single one is not copied.

    Example:
        >>> stacked([np.zeros((2, 5, 3)), np.zeros((2, 5, 3))]).shape
        (2, 2, 5, 3)
    """
    return images[0][None] if len(images) == 1 else np.stack(images)


def _read(
    dataset: Dataset, indices: Iterable[int], faults: list[DataError] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for index in indices:
        with noted(faults):
            yield index, dataset.image(index)
