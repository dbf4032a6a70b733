"""Pixel-adaptive refinement against what the published module computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.ops.par import DILATIONS, pixel_adaptive_refinement

VECTORS = Path(__file__).parent / "vectors" / "par.npz"


def sine(shape: tuple[int, ...], a: float, b: float) -> Tensor:
    """The tensor S of REFERENCE, appendix A."""
    flat = np.sin(a * np.arange(np.prod(shape)) + b)
    return torch.from_numpy(flat.reshape(shape).astype(np.float32))


def test_published_masks_of_half_the_size() -> None:
    with np.load(VECTORS, allow_pickle=False) as vectors:
        images, masks, expected = (torch.from_numpy(vectors[name]) for name in ("images", "masks", "refined"))
        dilations, iterations = tuple(vectors["dilations"].tolist()), int(vectors["num_iter"])
    assert dilations == DILATIONS
    refined = pixel_adaptive_refinement(images, masks, dilations=dilations, iterations=iterations)
    torch.testing.assert_close(refined, expected, rtol=1e-4, atol=1e-5)


def test_published_sums_and_pixels() -> None:
    """REFERENCE A2."""
    images = 0.5 + 0.5 * sine((1, 3, 32, 28), 0.23, 0)
    masks = sine((1, 3, 32, 28), 0.31, 0.5).softmax(dim=1)
    refined = pixel_adaptive_refinement(images, masks)[0]
    assert refined.sum(dim=(1, 2)).tolist() == pytest.approx([356.96652, 304.40222, 328.37268], rel=1e-5)
    assert refined[:, 5, 7].tolist() == pytest.approx([0.3830019, 0.3208925, 0.4007275], rel=1e-5)
    assert refined[:, 31, 0].tolist() == pytest.approx([0.2478970, 0.3926251, 0.4640996], rel=1e-5)
