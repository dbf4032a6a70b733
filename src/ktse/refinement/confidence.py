"""Which pixels of a pseudo mask to trust: those of each label that were decided most clearly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def decision_margin(scores: Tensor) -> Tensor:
    """Return how far the best score of each pixel is above the rest (REFERENCE 5.7).

    As published, every score that equals the best counts as 0 before the second best is taken. A tie is therefore not a
    margin of 0, and with one channel alone the margin is its score.

    Args:
        scores: (L, H, W), not negative.

    Returns:
        (H, W).

    Example:
        >>> decision_margin(torch.tensor([[[0.25, 0.5]], [[1.0, 0.5]]]))
        tensor([[0.7500, 0.5000]])
    """
    best = scores.amax(0)
    return best - scores.where(scores != best, 0).amax(0)


def confident_region(scores: Tensor, share: float) -> NDArray[np.bool_]:
    """Trust the `share` of each label's pixels that has the largest margins (REFERENCE 5.7).

    Of the n pixels that a label wins, the first int(n * share) are trusted, in the order of falling margin; where
    margins are equal, in the order of the rows.

    Args:
        scores: (L, H, W), not negative.
        share: In (0, 1].

    Returns:
        (H, W), True where the label is trusted.

    Example:
        >>> confident_region(torch.tensor([[[0.3, 0.3, 0.3]], [[0.9, 0.5, 0.1]]]), 0.5)
        array([[ True, False, False]])
    """
    margin = decision_margin(scores).flatten()
    winner = scores.argmax(0).flatten()
    trusted = torch.zeros_like(winner, dtype=torch.bool)
    for label in range(len(scores)):
        pixels = (winner == label).nonzero()[:, 0]
        falling = pixels[margin[pixels].argsort(descending=True, stable=True)]
        trusted[falling[: int(len(pixels) * share)]] = True
    region: NDArray[np.bool_] = trusted.reshape(scores.shape[1:]).cpu().numpy()
    return region
