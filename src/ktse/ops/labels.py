"""Scores of an image, background among them, and the label map they make."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.ops.cam import full_size_scores
from ktse.types import IGNORE_INDEX, CamSet


def scores_with_background(cams: CamSet, background_score: float) -> Tensor:
    """Put a constant background in front of the CAMs, at the size of the image (REFERENCE 5.6).

    Args:
        cams: CAMs of one image.
        background_score: Score of background at every pixel.

    Returns:
        (P+1, H, W) float32, the CAMs resized bilinearly.

    Example:
        >>> cams = CamSet(np.ones((1, 2, 2), np.float16), np.array([4]), (8, 6))
        >>> scores_with_background(cams, 0.2)[:, 0, 0]
        tensor([0.2000, 1.0000])
    """
    return torch.cat([torch.full((1, *cams.size), background_score), full_size_scores(cams)])


def label_map(scores: Tensor, present: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the label of the best score at each pixel; a tie goes to the first, background before all.

    Args:
        scores: (P+1, H, W), background first.
        present: (P,) classes (0 .. K-1) of the other channels.

    Returns:
        (H, W), 0 for background, c + 1 for class c; uint8, or uint16 where a class would meet the ignore index 255.

    Example:
        >>> label_map(torch.tensor([[[0.2, 0.2]], [[0.1, 0.9]]]), np.array([14]))
        array([[ 0, 15]], dtype=uint8)
    """
    names = np.concatenate([[0], present + 1])
    kind: type[np.integer[Any]] = np.uint8 if names.max() < IGNORE_INDEX else np.uint16
    labels: NDArray[np.integer[Any]] = names.astype(kind)[scores.argmax(0).cpu().numpy()]
    return labels
