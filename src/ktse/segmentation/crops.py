"""Random crops of an image together with its label map (REFERENCE 6.2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALLEST_ASPECT, LARGEST_ASPECT = 3 / 4, 4 / 3
"""Width over height of a crop before it is made square (REFERENCE 6.2)."""

TRIES = 10
"""Boxes that are drawn until one fits into the image (REFERENCE 6.2)."""


def draw_box(
    size: tuple[int, int], area: tuple[float, float], generator: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw a box by its area and its aspect, which is uniform on a logarithmic scale.

    When no box has fitted after a few tries, the largest one in the middle that has an allowed aspect is taken.

    Args:
        size: (H, W) of the image.
        area: Smallest and largest share of the image.
        generator: Source of the draws.

    Returns:
        Top, left, height, width, in px.

    Example:
        >>> draw_box((30, 40), (1.0, 1.0), np.random.default_rng(0))
        (0, 0, 30, 40)
    """
    rows, columns = size
    for _ in range(TRIES):
        pixels = rows * columns * generator.uniform(*area)
        aspect = math.exp(generator.uniform(math.log(SMALLEST_ASPECT), math.log(LARGEST_ASPECT)))
        height, width = round(math.sqrt(pixels / aspect)), round(math.sqrt(pixels * aspect))
        if 0 < height <= rows and 0 < width <= columns:
            top = int(generator.integers(rows - height, endpoint=True))
            left = int(generator.integers(columns - width, endpoint=True))
            return top, left, height, width
    height = min(rows, max(1, round(columns / SMALLEST_ASPECT)))
    width = min(columns, max(1, round(rows * LARGEST_ASPECT)))
    return (rows - height) // 2, (columns - width) // 2, height, width


def random_resized_crop(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    *,
    side: int,
    area: tuple[float, float],
    generator: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Cut the same random box out of an image and its labels and resize both to a square.

    The image is resized bilinearly, the labels by taking the nearest pixel, so that no new label arises.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W), or several maps of the image as (H, W, C).
        side: Side of the square, px.
        area: Smallest and largest share of the image that the box covers.
        generator: Source of the draws.

    Returns:
        Image (side, side, 3) and labels (side, side), or (side, side, C), of the types given.

    Example:
        >>> image, labels = np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40), np.uint16)
        >>> crop, crop_labels = random_resized_crop(
        ...     image, labels, side=16, area=(0.5, 0.75), generator=np.random.default_rng(0)
        ... )
        >>> crop.shape, crop_labels.dtype
        ((16, 16, 3), dtype('uint16'))
    """
    top, left, height, width = draw_box((image.shape[0], image.shape[1]), area, generator)
    box = Image.fromarray(image[top : top + height, left : left + width])
    rows, columns = top + nearest(height, side), left + nearest(width, side)
    resized = np.asarray(box.resize((side, side), Image.Resampling.BILINEAR))
    return resized, labels[rows[:, None], columns]


def nearest(length: int, side: int) -> NDArray[np.intp]:
    """Return, for each of `side` equal parts of a line of `length` px, the pixel in which its centre lies.

    Example:
        >>> nearest(2, 4).tolist(), nearest(6, 2).tolist()
        ([0, 0, 1, 1], [1, 4])
    """
    centres = (2 * np.arange(side) + 1) * length // (2 * side)
    return centres.astype(np.intp)
