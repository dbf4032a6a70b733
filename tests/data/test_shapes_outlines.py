from __future__ import annotations

import numpy as np
import pytest

from ktse.data.shapes_outlines import Outline, bounds, box, ellipse, fill, polygon, rounded_box

SIDE = 80


def area(outline: Outline) -> float:
    """Shoelace formula."""
    x, y = outline.T
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


@pytest.mark.parametrize(
    ("outline", "expected", "limits"),
    [
        (box(10, 20, 40, 30), 300.0, (10, 20, 40, 30)),
        (polygon((10, 10), (30, 10), (10, 50)), 400.0, (10, 10, 30, 50)),
        (ellipse(40, 30, 20, 10, corners=200), np.pi * 200, (20, 20, 60, 40)),
        (ellipse(40, 40, 20, 20, start=0.5, end=1.0, corners=200), np.pi * 200, (20, 20, 60, 40)),
        (rounded_box(10, 10, 50, 40, 5), 1200 - (4 - np.pi) * 25, (10, 10, 50, 40)),
    ],
    ids=["box", "triangle", "ellipse", "upper half of a disc", "rounded box"],
)
def test_area_and_bounds(outline: Outline, expected: float, limits: tuple[float, ...]) -> None:
    assert area(outline) == pytest.approx(expected, rel=0.01)
    assert bounds([outline]) == pytest.approx(limits, abs=0.05)
    coverage = np.zeros((SIDE, SIDE), np.uint8)
    fill(coverage, [outline], smooth=True)
    edge = np.linalg.norm(outline - np.roll(outline, -1, axis=0), axis=1).sum()
    assert (
        expected < coverage.sum() / 255 < expected + edge
    )  # OpenCV draws the edge itself, about half a pixel, as well


def test_fill_without_smoothing_is_all_or_nothing() -> None:
    coverage = np.zeros((SIDE, SIDE), np.uint8)
    fill(coverage, [ellipse(30, 30, 15, 12), ellipse(40, 30, 15, 12)], smooth=False)
    assert set(np.unique(coverage)) == {0, 255}
    assert coverage[30, 35] == 255  # where both lie
