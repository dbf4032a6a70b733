"""Gated pyramid pooling from its equations (REFERENCE 1.3), with loops, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]


def averaged(plane: Map, cells: int) -> Map:
    """Means over `cells` windows a side that cover the plane; windows overlap where the sizes do not divide."""
    height, width = plane.shape
    result = np.zeros((cells, cells))
    for i in range(cells):
        for j in range(cells):
            top, bottom = math.floor(i * height / cells), math.ceil((i + 1) * height / cells)
            left, right = math.floor(j * width / cells), math.ceil((j + 1) * width / cells)
            result[i, j] = plane[top:bottom, left:right].mean()
    return result


def resized(plane: Map, height: int, width: int) -> Map:
    """Bilinear, pixel centres at halves, the border repeated."""
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = max((i + 0.5) * plane.shape[0] / height - 0.5, 0.0)
            x = max((j + 0.5) * plane.shape[1] / width - 0.5, 0.0)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
            v, u = y - top, x - left
            upper = (1 - u) * plane[top, left] + u * plane[top, right]
            lower = (1 - u) * plane[bottom, left] + u * plane[bottom, right]
            result[i, j] = (1 - v) * upper + v * lower
    return result


def attention(kernel: Map, first: Map, second: Map) -> Map:
    """sigmoid of a 3x3 convolution of both maps, zero-padded: (2, h, w), one weight per map and place."""
    planes = np.pad(np.concatenate([first, second]), ((0, 0), (1, 1), (1, 1)))
    _, height, width = first.shape
    result = np.zeros((2, height, width))
    for i in range(height):
        for j in range(width):
            for k in range(2):
                result[k, i, j] = 1 / (1 + math.exp(-(kernel[k] * planes[:, i : i + 3, j : j + 3]).sum()))
    return result


def gate(positive_kernel: Map, negative_kernel: Map, first: Map, second: Map) -> Map:
    positive = attention(positive_kernel, first.clip(0), second.clip(0))
    negative = attention(negative_kernel, (-first).clip(0), (-second).clip(0))
    return (
        0.5 * (positive[0] * first.clip(0) + positive[1] * second.clip(0))
        - 0.5 * (negative[0] * (-first).clip(0) + negative[1] * (-second).clip(0))
    )  # fmt: skip


def gated_pyramid_pooling(cam: Map, kernels: Mapping[str, Map]) -> tuple[Map, Map]:
    """Logits (K,) and gated map (K, h, w) of one CAM (K, h, w); kernels by the names of the checkpoint."""
    num_classes, height, width = cam.shape
    levels = {
        cells: np.stack([resized(averaged(plane, cells), height, width) for plane in cam]) for cells in (2, 4, 8, 16)
    }

    def gconv(number: int, first: Map, second: Map) -> Map:
        p, n = (kernels[f"gconv{number}.att_{sign}.0.weight"] for sign in "pn")
        return gate(p, n, first, second)

    gated = gconv(3, gconv(2, gconv(1, levels[2], levels[4]), levels[8]), levels[16])
    logits = np.array(
        [
            (cam[k].clip(0) * gated[k].clip(0)).mean() - ((-cam[k]).clip(0) * (-gated[k]).clip(0)).mean()
            for k in range(num_classes)
        ]
    )
    return logits, gated
