"""How a training image of the localizer is resized, mirrored, normalised and cropped (REFERENCE 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from ktse.config import DataSettings, LocalizationSettings


def augment(
    image: NDArray[np.uint8],
    data: DataSettings,
    localization: LocalizationSettings,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Turn a photograph into a training input: resize, mirror, normalise, crop, in this order.

    Args:
        image: (H, W, 3) uint8, RGB.
        data: Says mean and deviation.
        localization: Says sizes and chance of the mirror image.
        generator: Source of every draw.

    Returns:
        (3, crop_size, crop_size) float32, normalised; padding is 0, the mean colour.

    Example:
        >>> from ktse.config import Recipe
        >>> photo = np.full((30, 40, 3), 128, dtype=np.uint8)
        >>> augment(photo, Recipe().data, Recipe().localization, np.random.default_rng(0)).shape
        (3, 320, 320)
    """
    resized = random_resize(image, localization.resize_range, generator)
    mirrored = random_mirror(resized, localization.flip_probability, generator)
    cropped = random_crop(normalize(mirrored, data.mean, data.std), localization.crop_size, generator)
    return np.ascontiguousarray(cropped.transpose(2, 0, 1))  # (H, W, 3) -> (3, H, W)


def random_resize(
    image: NDArray[np.uint8], resize_range: tuple[int, int], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Resize an image to a longer side drawn uniformly from whole numbers, both ends included.

    The aspect is kept up to the rounding of the other side (at least 1 px); Pillow's bicubic filter.

    Args:
        image: (H, W, 3) uint8.
        resize_range: Smallest and largest longer side, px.
        generator: Source of the draw.

    Returns:
        (H', W', 3) uint8.

    Example:
        >>> random_resize(np.zeros((30, 40, 3), dtype=np.uint8), (20, 20), np.random.default_rng(0)).shape
        (15, 20, 3)
    """
    smallest, largest = resize_range
    longer_side = int(generator.integers(smallest, largest, endpoint=True))
    height, width = image.shape[:2]
    scale = longer_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def random_mirror(image: NDArray[np.uint8], probability: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror an image left to right with a given probability.

    Args:
        image: (H, W, 3).
        probability: Chance of the mirror image.
        generator: Source of the draw.

    Returns:
        (H, W, 3), a view.

    Example:
        >>> random_mirror(np.array([[[1], [2]]], dtype=np.uint8), 1.0, np.random.default_rng(0)).tolist()
        [[[2], [1]]]
    """
    return image[:, ::-1] if generator.random() < probability else image


def normalize(
    image: NDArray[np.uint8], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Return (image / 255 - mean) / std.

    Args:
        image: (H, W, 3) uint8, RGB.
        mean: Of red, green, blue, for values in [0, 1].
        std: Of red, green, blue, for values in [0, 1].

    Returns:
        (H, W, 3) float32.

    Example:
        >>> normalize(np.full((1, 1, 3), 255, dtype=np.uint8), (0.5, 0.5, 0.5), (0.5, 0.5, 0.25)).tolist()
        [[[1.0, 1.0, 2.0]]]
    """
    scaled: NDArray[np.float32] = np.divide(image, 255, dtype=np.float32)
    offset: NDArray[np.float32] = np.array(mean, dtype=np.float32)
    normalized: NDArray[np.float32] = np.divide(scaled - offset, np.array(std, dtype=np.float32))
    return normalized


def random_crop(image: NDArray[np.float32], size: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Cut a square at a random place; where the image is too small, put it at a random place into zeros.

    Height and width are dealt with independently: an image can be cut in one and padded in the other.

    Args:
        image: (H, W, 3) float32, normalised.
        size: Side of the square, px.
        generator: Source of the draws.

    Returns:
        (size, size, 3) float32.

    Example:
        >>> random_crop(np.ones((2, 9, 3), dtype=np.float32), 4, np.random.default_rng(0)).sum().item()
        24.0
    """
    taken, place = draw_crop((image.shape[0], image.shape[1]), size, generator)
    canvas = np.zeros((size, size, image.shape[2]), dtype=image.dtype)
    canvas[place] = image[taken]
    return canvas


def draw_crop(
    shape: tuple[int, int], size: int, generator: np.random.Generator
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Draw which part of an image a crop takes, and where in the crop it lies; see `random_crop`.

    Args:
        shape: (H, W) of the image.
        size: Side of the square, px.
        generator: Source of the draws.

    Returns:
        Rows and columns of the image, and those of the crop.

    Example:
        >>> taken, place = draw_crop((2, 4), 4, np.random.default_rng(0))
        >>> taken
        (slice(0, 2, None), slice(0, 4, None))
        >>> place
        (slice(2, 4, None), slice(0, 4, None))
    """
    rows_from, rows_to = _overlap(shape[0], size, generator)
    columns_from, columns_to = _overlap(shape[1], size, generator)
    return (rows_from, columns_from), (rows_to, columns_to)


def _overlap(length: int, size: int, generator: np.random.Generator) -> tuple[slice, slice]:
    """Draw, on one axis, which part of the image goes to which part of the canvas."""
    shared = min(length, size)
    offset = int(generator.integers(abs(length - size), endpoint=True))
    start_from, start_to = (offset, 0) if length > size else (0, offset)
    return slice(start_from, start_from + shared), slice(start_to, start_to + shared)
