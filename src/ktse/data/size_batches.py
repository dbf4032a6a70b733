"""Whole images in batches: neighbours of one size together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ktse.data.dataset import Dataset


def size_batches(dataset: Dataset, indices: Iterable[int], limit: int) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Read images one after the other and stack neighbours of equal size.

    Only one batch is in memory at a time.

    Args:
        dataset: Images to read.
        indices: Which, and in which order.
        limit: Largest number of images in a batch.

    Yields:
        Indices, and their images (N, H, W, 3) uint8.

    Raises:
        DataError: An image cannot be read; it is named.
    """
    chosen: list[int] = []
    images: list[NDArray[np.uint8]] = []
    for index in indices:
        image = dataset.image(index)
        if images and (len(images) == limit or image.shape != images[0].shape):
            yield chosen, np.stack(images)
            chosen, images = [], []
        chosen.append(index)
        images.append(image)
    if images:
        yield chosen, np.stack(images)
