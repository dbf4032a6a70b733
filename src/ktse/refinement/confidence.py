"""Which pixels of a pseudo mask to trust: those of each label that were decided most clearly."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.engine.seeding import keyed_seed


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


def untagged_region(
    size: tuple[int, int], share: float, *, rule: Literal["margin", "random"], random_seed: int, id_: str
) -> NDArray[np.bool_]:
    """Trust a share of the pixels of an image without tags, which is background all over (REFERENCE 5.7).

    Args:
        size: (H, W) in px.
        share: In (0, 1].
        rule: `margin` as for any image: all margins are equal, so the first pixels in the order of the rows are
            trusted; `random` (published for COCO): pixels drawn without regard to their place.
        random_seed: Random seed of the run.
        id_: Id of the image; with the random seed it settles what is drawn.

    Returns:
        (H, W), int(H * W * share) of them True.

    Example:
        >>> untagged_region((2, 3), 0.5, rule="margin", random_seed=0, id_="a")
        array([[ True,  True,  True],
               [False, False, False]])
    """
    order = np.arange(size[0] * size[1])
    if rule == "random":
        place = int.from_bytes(hashlib.sha256(id_.encode()).digest()[:8], "big")
        order = np.random.default_rng(keyed_seed(random_seed, place)).permutation(order)
    trusted = np.zeros(size, dtype=np.bool_)
    trusted.flat[order[: int(len(order) * share)]] = True
    return trusted
