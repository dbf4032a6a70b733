"""The image that the published prediction code gives to its CRF: a defect, kept for those who compare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PUBLISHED_MEAN = (122.675, 116.669, 104.008)  # of RGB, in grey levels (REFERENCE 6.5)


def wrapped_image(image: NDArray[np.uint8], mean: tuple[float, float, float] = _PUBLISHED_MEAN) -> NDArray[np.uint8]:
    """Subtract the mean and keep the last eight bits of what is left: dark pixels come out bright (REFERENCE 6.5).

    The published code casts signed floating-point numbers to uint8, which cuts off their fractions and then wraps them
    modulo 256 on the processors that it ran on.

    Args:
        image: (H, W, 3) uint8, RGB.
        mean: Of the three channels, in grey levels.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> wrapped_image(np.array([[[122, 118, 0]]], np.uint8)).tolist()  # 0.675 below, 1.331 above, 104.008 below
        [[[0, 1, 152]]]
    """
    # What a cast makes of negative floating-point numbers depends on the processor; of integers it does not.
    return np.trunc(image - np.array(mean, np.float32)).astype(np.int16).astype(np.uint8)
