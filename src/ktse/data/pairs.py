"""Which image is joined to an anchor, and where it is pasted for the CutMix variant (REFERENCE 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pick_pair(tags: NDArray[np.bool_], anchor: int, generator: np.random.Generator) -> int:
    """Draw the pair of an anchor: one of its classes uniformly, then one image of that class uniformly.

    The pair always shares a class with the anchor and may be the anchor itself. An anchor without tags shares nothing
    with anybody: its pair is drawn from all images.

    Args:
        tags: (N, K) bool, of all training images.
        anchor: Index of the anchor, 0 .. N-1.
        generator: Source of the draws.

    Returns:
        Index of the pair, 0 .. N-1.

    Example:
        >>> tags = np.array([[True, False], [False, True], [True, False]])
        >>> pick_pair(tags, 1, np.random.default_rng(0))
        1
    """
    classes = np.flatnonzero(tags[anchor])
    if not classes.size:
        return int(generator.integers(len(tags)))
    return int(generator.choice(np.flatnonzero(tags[:, generator.choice(classes)])))


def paste_region(size: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the box of a CutMix: its share of the area is uniform in [0, 1], its centre uniform, cut at the border.

    Args:
        size: Side of the square image, px.
        generator: Source of the draws.

    Returns:
        (size, size) bool, True where the pair is pasted into the anchor.

    Example:
        >>> paste_region(8, np.random.default_rng(0)).shape
        (8, 8)
    """
    side = size * np.sqrt(1 - generator.random())
    centre = generator.uniform(0, size, 2)
    top, left = np.clip(np.rint(centre - side / 2), 0, size).astype(int)
    bottom, right = np.clip(np.rint(centre + side / 2), 0, size).astype(int)
    region = np.zeros((size, size), dtype=np.bool_)
    region[top:bottom, left:right] = True
    return region
