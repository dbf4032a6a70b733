from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ktse.data.coco_painting import paint
from ktse.errors import DataError


def box(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


# Columns first: 2 pixels out, 4 in, 6 out, of an image of 3 rows and 4 columns.
RUNS = {"size": [3, 4], "counts": [2, 4, 6]}
RUN_REGION = [[0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]


def compressed() -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    return coco_mask.encode(np.asfortranarray(np.array(RUN_REGION, dtype=np.uint8)))


def test_later_objects_cover_earlier_ones() -> None:
    mask = paint([(5, [box(0, 0, 3, 2)]), (7, [box(1, 1, 4, 3)])], (3, 4))
    assert mask.tolist() == [[5, 5, 5, 0], [5, 7, 7, 7], [0, 7, 7, 7]]
    assert mask.dtype == np.uint8


def test_an_object_may_have_parts() -> None:
    mask = paint([(9, [box(0, 0, 1, 3), box(3, 0, 4, 3)])], (3, 4))
    assert mask.tolist() == [[9, 0, 0, 9]] * 3


@pytest.mark.parametrize("outline", [RUNS, compressed()], ids=["plain runs", "compressed runs"])
def test_run_lengths_are_read_down_the_columns(outline: dict[str, Any]) -> None:
    assert paint([(1, outline)], (3, 4)).tolist() == RUN_REGION


def test_nothing_painted_is_background() -> None:
    mask = paint([], (2, 3), dtype=np.uint16)
    assert mask.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert mask.dtype == np.uint16


@pytest.mark.parametrize(
    "outline",
    [
        [],
        [[]],
        [["a", "b"]],
        [[0.0, 0.0, 1e12, 0.0, 1e12, 1e12]],
        [[0.0, 0.0, float("nan"), 0.0, 1.0, 1.0]],
        None,
        7,
        {"counts": [12]},
        {"size": [3, 4], "counts": [2, 4, 5]},
        {"size": [3, 4], "counts": [-6, 18]},
        {"size": [3, 4], "counts": []},
        {"size": [30000, 40000], "counts": [1200000000]},
        {"size": [3, 4], "counts": "ooooooooooo"},
    ],
    ids=[
        "no polygon",
        "empty polygon",
        "words",
        "huge polygon",
        "not a number",
        "missing",
        "number",
        "no size",
        "short runs",
        "negative run",
        "no runs",
        "huge runs",
        "garbled runs",
    ],
)
def test_damaged_outlines_are_refused(outline: Any) -> None:
    with pytest.raises(DataError, match="outline"):
        paint([(1, outline)], (3, 4))
