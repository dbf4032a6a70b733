from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ktse.segmentation.tiles import blend_weights, blended_tiles, tile_spans

LENGTHS = st.integers(1, 60).flatmap(
    lambda tile: st.tuples(st.integers(1, 200), st.just(tile), st.integers(0, tile - 1))
)


@given(LENGTHS)
@settings(deadline=None, max_examples=200)
def test_tiles_cover_the_line_and_share_what_they_should(sizes: tuple[int, int, int]) -> None:
    length, tile, overlap = sizes
    spans = tile_spans(length, tile=tile, overlap=overlap)
    assert (spans[0].start, spans[-1].stop) == (0, length)
    lengths = [span.stop - span.start for span in spans]
    assert max(lengths) <= tile
    assert max(lengths) - min(lengths) <= 1
    assert all(a.stop - b.start == overlap and a.start < b.start for a, b in pairwise(spans))


@given(LENGTHS)
@settings(deadline=None, max_examples=200)
def test_weights_are_above_0_and_sum_to_1(sizes: tuple[int, int, int]) -> None:
    length, tile, overlap = sizes
    spans = tile_spans(length, tile=tile, overlap=overlap)
    total = np.zeros(length)
    for span, weights in zip(spans, blend_weights(spans), strict=True):
        assert (weights > 0).all()
        total[span] += weights.numpy()
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_ramp_by_hand() -> None:
    first, second = blend_weights([slice(0, 5), slice(2, 7)])
    np.testing.assert_allclose(first, [1, 1, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(second, [0.25, 0.5, 0.75, 1, 1])


def at_once(rows: list[slice], columns: list[slice], scores: dict[tuple[int, int], Tensor]) -> np.ndarray:
    """Sum all weighted tiles in an array of the size of the image."""
    total = np.zeros((2, 3, rows[-1].stop, columns[-1].stop))
    row_weights, column_weights = blend_weights(rows), blend_weights(columns)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            weights = np.outer(row_weights[i], column_weights[j])
            total[..., row, column] += scores[row.start, column.start].numpy() * weights
    return total


@pytest.mark.parametrize(
    ("size", "tile", "overlap"),
    [
        ((7, 9), 20, 3),
        ((21, 9), 10, 3),
        ((9, 21), 10, 3),
        ((33, 41), 12, 4),
        ((20, 31), 8, 0),
        ((40, 40), 10, 8),
        ((11, 11), 10, 9),
    ],
    ids=["one tile", "column", "row", "grid", "no overlap", "more than two tiles over a pixel", "nearly one tile"],
)
def test_pieces_are_the_weighted_sum_of_all_tiles(size: tuple[int, int], tile: int, overlap: int) -> None:
    rows, columns = (tile_spans(length, tile=tile, overlap=overlap) for length in size)
    generator = torch.Generator().manual_seed(1)
    said = {
        (r.start, c.start): torch.rand(2, 3, r.stop - r.start, c.stop - c.start, generator=generator)
        for r in rows
        for c in columns
    }
    blended, times = np.full((2, 3, *size), np.nan), np.zeros(size, int)
    for piece in blended_tiles(rows, columns, lambda r, c: said[r.start, c.start]):
        blended[..., piece.rows, piece.columns] = piece.scores
        times[piece.rows, piece.columns] += 1
    assert (times == 1).all()
    np.testing.assert_allclose(blended, at_once(rows, columns, said), atol=1e-6)


def test_tiles_that_disagree_meet_in_a_ramp() -> None:
    """What a seam would look like: the left tile says 0, the right one 1."""
    spans = tile_spans(16, tile=10, overlap=4)
    row = torch.cat(
        [
            piece.scores[0]
            for piece in blended_tiles([slice(0, 1)], spans, lambda _, c: torch.full((1, 10), float(c.start > 0)))
        ]
    )
    assert row.diff().abs().max() <= 0.2 + 1e-6
    assert (row[0], row[-1]) == (0, 1)


def test_what_a_tile_gave_is_left_as_it_is() -> None:
    given_scores = torch.ones(1, 4, 6)
    list(blended_tiles([slice(0, 4)], [slice(0, 6), slice(4, 10)], lambda rows, columns: given_scores))
    assert torch.equal(given_scores, torch.ones(1, 4, 6))
