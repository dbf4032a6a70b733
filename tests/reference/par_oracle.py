"""Pixel-adaptive refinement from its equations (REFERENCE 3.3), one pixel and one neighbour at a time, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def neighbours(dilations: Sequence[int]) -> list[tuple[int, int]]:
    """(dy, dx) of the 3 x 3 window without its centre, row by row, at each dilation."""
    window = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    return [(dilation * dy, dilation * dx) for dilation in dilations for dy, dx in window]


def inside(plane: Array, y: int, x: int) -> float:
    """Value at (y, x), or at the nearest pixel of the plane."""
    height, width = plane.shape
    return float(plane[min(max(y, 0), height - 1), min(max(x, 0), width - 1)])


def unbiased_deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def softmax(values: Sequence[float]) -> list[float]:
    exponentials = [math.exp(value - max(values)) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def weights(image: Array, dilations: Sequence[int]) -> Array:
    """How much each neighbour counts: (neighbours, H, W) for an image (3, H, W)."""
    offsets = neighbours(dilations)
    distances = [math.hypot(dy, dx) for dy, dx in offsets]
    deviation = unbiased_deviation(distances)
    position = softmax([-((distance / (deviation + 1e-8) / 0.3) ** 2) for distance in distances])
    result = np.zeros((len(offsets), *image.shape[1:]))
    for y, x in np.ndindex(*image.shape[1:]):
        exponents = [0.0] * len(offsets)
        for channel in image:
            around = [inside(channel, y + dy, x + dx) for dy, dx in offsets]
            deviation = unbiased_deviation(around)
            for j, value in enumerate(around):
                distance = abs(float(channel[y, x]) - value) / (deviation + 1e-8) / 0.3
                exponents[j] -= distance**2 / len(image)
        colour = softmax(exponents)
        result[:, y, x] = [colour[j] + 0.01 * position[j] for j in range(len(offsets))]
    return result


def refine(image: Array, mask: Array, dilations: Sequence[int], iterations: int) -> Array:
    """Refine a mask (K, H, W) of the size of its image."""
    offsets, weight = neighbours(dilations), weights(image, dilations)
    for _ in range(iterations):
        before, mask = mask, np.zeros_like(mask)
        for channel, y, x in np.ndindex(*mask.shape):
            for j, (dy, dx) in enumerate(offsets):
                mask[channel, y, x] += weight[j, y, x] * inside(before[channel], y + dy, x + dx)
    return mask
