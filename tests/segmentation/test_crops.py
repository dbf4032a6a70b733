from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ktse.segmentation.crops import LARGEST_ASPECT, SMALLEST_ASPECT, draw_box, nearest, random_resized_crop


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 999))
def test_boxes_lie_in_the_image(rows: int, columns: int, seed: int) -> None:
    top, left, height, width = draw_box((rows, columns), (0.3, 0.9), np.random.default_rng(seed))
    assert 0 <= top <= top + height <= rows
    assert 0 <= left <= left + width <= columns
    assert min(height, width) > 0


def test_boxes_have_the_drawn_area_and_aspect() -> None:
    generator = np.random.default_rng(0)
    boxes = np.array([draw_box((300, 400), (0.5, 0.75), generator) for _ in range(400)])
    shares = boxes[:, 2] * boxes[:, 3] / (300 * 400)
    aspects = boxes[:, 3] / boxes[:, 2]
    assert 0.49 < shares.min() < 0.52
    assert 0.73 < shares.max() < 0.76
    assert SMALLEST_ASPECT * 0.99 < aspects.min() < 0.8
    assert 1.25 < aspects.max() < LARGEST_ASPECT * 1.01
    assert np.abs(shares.mean() - 0.625) < 0.02


@pytest.mark.parametrize(
    ("size", "expected"),
    [((10, 90), (0, 38, 10, 13)), ((90, 10), (38, 0, 13, 10)), ((30, 36), (0, 0, 30, 36))],
    ids=["too wide", "too tall", "whole"],
)
def test_when_no_box_fits_the_middle_is_taken(size: tuple[int, int], expected: tuple[int, ...]) -> None:
    top, left, height, width = draw_box(size, (4.0, 5.0), np.random.default_rng(0))
    assert (height, width) == expected[2:]
    assert (top, left) == expected[:2]


def test_nearest_agrees_with_pillow() -> None:
    for length, side in [(7, 5), (5, 16), (16, 5), (9, 9), (1, 4)]:
        line = np.arange(length, dtype=np.uint8)
        resized = Image.fromarray(line[None].repeat(2, 0)).resize((side, 2), Image.Resampling.NEAREST)
        assert line[nearest(length, side)].tolist() == np.asarray(resized)[0].tolist()


def test_image_and_labels_are_cut_alike() -> None:
    """Labels that say where they come from lie where the image, which says the same in its colours, has it."""
    rows, columns = np.mgrid[:48, :60]
    image = np.stack([rows * 4, columns * 4, rows * 0], axis=2).astype(np.uint8)
    labels = (rows * 60 + columns).astype(np.uint16)
    generator = np.random.default_rng(3)
    for _ in range(20):
        crop, crop_labels = random_resized_crop(image, labels, side=24, area=(0.5, 0.75), generator=generator)
        shown_row, shown_column = crop[..., 0] / 4, crop[..., 1] / 4
        inner = (slice(3, -3), slice(3, -3))  # at the border of the box Pillow has no neighbours to blend with
        assert np.abs(shown_row - crop_labels // 60)[inner].max() <= 1.5
        assert np.abs(shown_column - crop_labels % 60)[inner].max() <= 1.5


def test_maps_of_one_image_are_cut_alike() -> None:
    image = np.zeros((30, 41, 3), np.uint8)
    maps = np.random.default_rng(2).integers(0, 9, (30, 41, 2), np.uint8)
    together, *apart = [
        random_resized_crop(image, cut, side=20, area=(0.5, 0.75), generator=np.random.default_rng(1))[1]
        for cut in (maps, maps[..., 0], maps[..., 1])
    ]
    assert np.array_equal(together, np.stack(apart, axis=-1))


def test_no_label_arises_that_was_not_there() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 7, 255], np.uint8), (33, 41))
    image = np.zeros((33, 41, 3), np.uint8)
    _, crop = random_resized_crop(image, labels, side=64, area=(0.5, 1.0), generator=np.random.default_rng(1))
    assert crop.dtype == np.uint8
    assert set(np.unique(crop)) <= {0, 7, 255}
