"""How large the images of a data set are, from some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ktse.data.dataset import Dataset

LOOKED_AT: Final = 32
"""Images that are looked at, evenly chosen."""


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """Images that stand for the others.

    Attributes:
        typical: Index of a tagged image whose number of pixels is near the mean.
        largest: Index of the largest image.
        ratio: Pixels of the largest for each of the typical one.
    """

    typical: int
    largest: int
    ratio: float


def look_at_sizes(dataset: Dataset) -> ImageSizes:
    """Choose a typical image of a data set, and a large one; tagged ones, where there are any.

    Raises:
        DataError: An image cannot be read.

    Example:
        >>> from ktse.data.shapes import Shapes
        >>> look_at_sizes(Shapes(count=4)).ratio  # all of one size
        1.0
    """
    candidates = np.flatnonzero(dataset.tags.any(axis=1))
    if not len(candidates):
        candidates = np.arange(len(dataset))
    places = np.linspace(0, len(candidates) - 1, min(LOOKED_AT, len(candidates))).astype(int)
    indices = candidates[places]
    pixels = np.array([np.prod(dataset.image(index).shape[:2]) for index in indices.tolist()])
    typical, largest = np.abs(pixels - pixels.mean()).argmin(), pixels.argmax()
    return ImageSizes(int(indices[typical]), int(indices[largest]), float(pixels[largest] / pixels[typical]))
