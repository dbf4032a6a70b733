"""Outlines: closed polygons from which the things of the Shapes world are cut, and how they are moved and filled.

The frame of a thing has x to the right and y downwards, both about -1 .. 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"""(n, 2) corners (x, y) of a closed polygon."""

SUBPIXEL_BITS = 4
"""Corners are placed to 1/16 px."""


def polygon(*corners: tuple[float, float]) -> Outline:
    """Return the polygon with these corners.

    Example:
        >>> polygon((0, 0), (1, 0), (0, 1)).shape
        (3, 2)
    """
    return np.array(corners, np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Outline:
    """Return an upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, *, start: float = 0.0, end: float = 1.0, corners: int = 24
) -> Outline:
    """Return an ellipse, or the segment of it between two angles in turns (0 = right, 0.25 = down)."""
    angle = 2 * np.pi * np.linspace(start, end, corners)
    return np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)


def rounded_box(left: float, top: float, right: float, bottom: float, radius: float) -> Outline:
    """Return an upright rectangle with round corners."""
    corners = [(right, bottom, 0.0), (left, bottom, 0.25), (left, top, 0.5), (right, top, 0.75)]
    return np.concatenate(
        [
            ellipse(
                x - np.sign(x - (left + right) / 2) * radius,
                y - np.sign(y - (top + bottom) / 2) * radius,
                radius,
                radius,
                start=turn,
                end=turn + 0.25,
                corners=6,
            )
            for x, y, turn in corners
        ]
    )


def bounds(outlines: Sequence[Outline]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of all outlines together.

    Example:
        >>> bounds([box(0, 1, 2, 3), box(-1, 2, 1, 5)])
        (-1.0, 1.0, 2.0, 5.0)
    """
    corners = np.concatenate(outlines)
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def fill(coverage: NDArray[np.uint8], outlines: Sequence[Outline], *, smooth: bool) -> None:
    """Set `coverage` to 255 inside the outlines, in place.

    Args:
        coverage: (H, W), its corner pixel centred at (0, 0).
        outlines: Polygons in pixels; each is filled by itself, so overlaps stay filled.
        smooth: Shade the pixels on the edge by how much of them is covered.
    """
    line = cv2.LINE_AA if smooth else cv2.LINE_8
    for outline in outlines:
        corners = np.round(outline * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(coverage, [corners], 255, line, SUBPIXEL_BITS)
