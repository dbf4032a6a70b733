"""Large photographs, reduced to the size at which objects are learned; their masks with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def reduced_size(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """Return the size of an image that is reduced, if it has to be, to a longest side; the aspect is kept.

    Args:
        size: (H, W) in px, or (W, H).
        longest_side: In px.

    Example:
        >>> reduced_size((3000, 4000), 384), reduced_size((300, 200), 384)
        ((288, 384), (300, 200))
    """
    scale = min(1.0, longest_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def reduced_image(image: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """Reduce an image to a longest side by Pillow's bicubic filter, as training images are; a small one is not copied.

    Args:
        image: (H, W, 3) uint8.
        longest_side: In px.

    Returns:
        (H', W', 3) uint8 of `reduced_size`.

    Example:
        >>> reduced_image(np.zeros((30, 40, 3), np.uint8), 20).shape
        (15, 20, 3)
    """
    height, width = size = reduced_size((image.shape[0], image.shape[1]), longest_side)
    if size == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def reduced_mask(mask: NDArray[np.integer[Any]], longest_side: int) -> NDArray[np.integer[Any]]:
    """Reduce a label map to a longest side by `nearest`.

    Args:
        mask: (H, W).
        longest_side: In px.

    Returns:
        (H', W') of `reduced_size`, the same type.

    Example:
        >>> reduced_mask(np.array([[1, 2, 3, 4, 5, 6]]), 2).tolist()
        [[2, 5]]
    """
    return nearest(mask, reduced_size((mask.shape[0], mask.shape[1]), longest_side))


def nearest(mask: NDArray[np.integer[Any]], size: tuple[int, int]) -> NDArray[np.integer[Any]]:
    """Resize a label map without making new labels: each pixel has the label of the one at its centre.

    Args:
        mask: (H, W).
        size: (H', W').

    Returns:
        (H', W'), the same type.

    Example:
        >>> nearest(np.array([[1, 2]]), (2, 4)).tolist()
        [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    rows, columns = (
        ((np.arange(after) + 0.5) * before / after).astype(int) for before, after in zip(mask.shape, size, strict=True)
    )
    resized: NDArray[np.integer[Any]] = mask[rows[:, None], columns]
    return resized
