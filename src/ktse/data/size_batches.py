"""Whole images in batches: neighbours of one size together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ktse.data.dataset import Dataset
from ktse.data.faults import noted
from ktse.errors import DataError


def size_batches(
    dataset: Dataset, indices: Iterable[int], limit: int, *, faults: list[DataError] | None = None
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Read images one after the other and stack neighbours of equal size.

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
    chosen: list[int] = []
    images: list[NDArray[np.uint8]] = []
    for index, image in _read(dataset, indices, faults):
        if images and (len(images) == limit or image.shape != images[0].shape):
            yield chosen, np.stack(images)
            chosen, images = [], []
        chosen.append(index)
        images.append(image)
    if images:
        yield chosen, np.stack(images)


def _read(
    dataset: Dataset, indices: Iterable[int], faults: list[DataError] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for index in indices:
        with noted(faults):
            yield index, dataset.image(index)
