"""From CAMs to a seed: the label of the strongest class where it is above a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.ops.labels import label_map, scores_with_background
from ktse.types import CamSet


def seed_labels(cams: CamSet, threshold: float) -> NDArray[np.integer[Any]]:
    """Return the label map of a seed: 0 where no class is above the threshold, else 1 + the strongest class.

    Args:
        cams: CAMs of one image.
        threshold: Score that a class must exceed; a tie goes to background (REFERENCE 4.2).

    Returns:
        (H, W) labels.

    Example:
        >>> cams = CamSet(np.array([[[0.9, 0.3]], [[0.1, 0.2]]], np.float32), np.array([2, 7]), (1, 2))
        >>> seed_labels(cams, 0.3)
        array([[3, 0]], dtype=uint8)
    """
    return label_map(scores_with_background(cams, threshold), cams.present)
