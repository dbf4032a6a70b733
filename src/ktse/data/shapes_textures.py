"""Colours, noise and the four textures that bodies and clutter of the Shapes world share."""

from __future__ import annotations

import colorsys
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""

Image = NDArray[np.float32]
"""(H, W, 3) colours in [0, 1]."""

TextureName = Literal["mottled", "striped", "blotched", "dotted"]
TEXTURES: tuple[TextureName, ...] = get_args(TextureName)

REFERENCE_SIDE = 192
"""Canvas side in px for which the cell sizes of all textures are given; others scale with it."""


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return a colour by hue (wraps around at 1), saturation and value (both cut to [0, 1]).

    Example:
        >>> hsv(1.0, 1.0, 2.0)
        (1.0, 0.0, 0.0)
    """
    return colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))


def noise(
    rng: np.random.Generator, height: int, width: int, cells: float, *, octaves: int = 3, aspect: float = 1.0
) -> NDArray[np.float32]:
    """Return smooth noise in about [0, 1].

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        cells: Blobs along the height in the coarsest octave; each further octave doubles them at half the weight.
        octaves: Number of octaves.
        aspect: Blobs along the width over those along the height.

    Returns:
        (height, width).
    """
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        rows = cells * 2**octave
        grid = rng.random((max(2, int(rows)), max(2, int(rows * aspect))), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight /= 2
    return total / np.float32(2 - 2 * weight)


def ramp(values: NDArray[np.float32], low: Colour, high: Colour) -> Image:
    """Map 0 to the colour `low` and 1 to `high`, linearly.

    Args:
        values: (H, W).
        low: Colour at 0.
        high: Colour at 1.

    Returns:
        (H, W, 3).
    """
    image = np.empty((*values.shape, 3), np.float32)
    for channel in range(3):  # three passes over (H, W) are faster than one broadcast over (H, W, 3)
        np.multiply(values, high[channel] - low[channel], out=image[..., channel])
        image[..., channel] += low[channel]
    return image


def texture(
    rng: np.random.Generator, name: TextureName, height: int, width: int, low: Colour, high: Colour, *, side: int
) -> Image:
    """Return a textured rectangle.

    Args:
        rng: Source of randomness: period, direction and blobs.
        name: One of `TEXTURES`.
        height: Rows.
        width: Columns.
        low: Colour of the ground.
        high: Colour of the pattern.
        side: Side of the whole canvas in px, to which the pattern's size is proportional.

    Returns:
        (height, width, 3).

    Example:
        >>> texture(np.random.default_rng(0), "dotted", 8, 12, (0, 0, 0), (1, 1, 1), side=96).shape
        (8, 12, 3)
    """
    scale = side / REFERENCE_SIDE
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]
    aspect = width / height
    if name == "mottled":
        pattern = 0.5 * noise(rng, height, width, 4 * height / side, octaves=2, aspect=aspect)
    elif name == "striped":
        period, angle = rng.uniform(9, 16) * scale, rng.uniform(0, np.pi)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        pattern = np.clip(2 * wave + 0.3, 0, 1).astype(np.float32)
    elif name == "blotched":
        blobs = noise(rng, height, width, 8 * height / side, octaves=2, aspect=aspect)
        pattern = np.clip((blobs - 0.5) * 14 + 0.5, 0, 1)
    else:
        period = rng.uniform(10, 15) * scale
        distance = np.hypot((x % period) - period / 2, (y % period) - period / 2)
        pattern = np.clip(0.3 * period + 0.5 - distance, 0, 1).astype(np.float32)
    return ramp(pattern, low, high)
