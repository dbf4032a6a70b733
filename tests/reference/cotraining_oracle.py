"""The losses of co-training pixel by pixel in float64, read off REFERENCE 6.3."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
Array = NDArray[np.float64]


def co_training_losses(
    outputs: tuple[Array, Array],
    labels: NDArray[np.int64],
    trusted: NDArray[np.bool_],
    boundary: NDArray[np.bool_],
    *,
    boundary_weight: float = 0.2,
    cross_boundary_weight: float = 0.0,
) -> dict[str, float]:
    """Every loss of two outputs (B, L, H, W), each a mean over all pixels of all crops."""
    sums = dict.fromkeys(("trusted_1", "trusted_2", "cross_1", "cross_2"), 0.0)
    for crop, row, column in np.ndindex(labels.shape):
        label, m, b = labels[crop, row, column], int(trusted[crop, row, column]), int(boundary[crop, row, column])
        scores = [list(output[crop, :, row, column]) for output in outputs]
        for i, own in enumerate(scores):
            other = scores[1 - i]
            if label != IGNORE:
                sums[f"trusted_{i + 1}"] += cross_entropy(own, int(label)) * m * (1 + boundary_weight * b)
            winner = other.index(max(other))
            sums[f"cross_{i + 1}"] += cross_entropy(own, winner) * (1 - m) * (1 + cross_boundary_weight * b)
    return {name: value / labels.size for name, value in sums.items()}


def cross_entropy(scores: list[float], label: int) -> float:
    return math.log(sum(math.exp(score) for score in scores)) - scores[label]
