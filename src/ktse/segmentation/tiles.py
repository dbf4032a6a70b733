"""Large images in tiles: which tiles, and how what they say is blended so that no seam shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Score = Callable[[slice, slice], Tensor]
"""From rows and columns of an image to the scores (..., h, w) of that part."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The finished scores of a part of an image; the pieces of an image cover it once.

    Attributes:
        rows: Which rows of the image.
        columns: Which columns.
        scores: (..., h, w) of these.
    """

    rows: slice
    columns: slice
    scores: Tensor


def tile_spans(length: int, *, tile: int, overlap: int) -> list[slice]:
    """Cut a line into as few equally long tiles as possible, neighbours sharing `overlap` px.

    Args:
        length: Length of the line, px.
        tile: Largest length of a tile, px.
        overlap: What neighbours share, px; less than `tile`.

    Returns:
        The tiles in order; a line that is not longer than a tile is one.

    Example:
        >>> tile_spans(10, tile=5, overlap=2)
        [slice(0, 4, None), slice(2, 7, None), slice(5, 10, None)]
        >>> tile_spans(5, tile=5, overlap=2)
        [slice(0, 5, None)]
    """
    if length <= tile:
        return [slice(0, length)]
    count = math.ceil((length - overlap) / (tile - overlap))
    starts = [number * (length - overlap) // count for number in range(count + 1)]
    return [slice(start, after + overlap) for start, after in pairwise(starts)]


def blend_weights(spans: Sequence[slice]) -> list[Tensor]:
    """Return how much each tile of a line has to say at each of its px: ramps where tiles overlap, 1 elsewhere.

    Args:
        spans: Tiles as `tile_spans` gives them.

    Returns:
        For each tile (length of the tile,) float32 above 0; they sum to 1 at each px of the line.

    Example:
        >>> [weights.tolist() for weights in blend_weights([slice(0, 4), slice(3, 6)])]
        [[1.0, 1.0, 1.0, 0.5], [0.5, 1.0, 1.0]]
    """
    total = torch.zeros(spans[-1].stop)
    weights = []
    for number, span in enumerate(spans):
        places = torch.arange(span.start, span.stop)
        weight = torch.ones(len(places))
        if number > 0:
            shared = spans[number - 1].stop - span.start
            weight = weight.minimum((places - span.start + 1) / (shared + 1))
        if number + 1 < len(spans):
            shared = span.stop - spans[number + 1].start
            weight = weight.minimum((span.stop - places) / (shared + 1))
        total[span] += weight
        weights.append(weight)
    return [weight / total[span] for weight, span in zip(weights, spans, strict=True)]


def blended_tiles(row_spans: Sequence[slice], column_spans: Sequence[slice], score: Score) -> Iterator[Piece]:
    """Score an image tile by tile, and give out each part of it as soon as no further tile reaches into it.

    In memory are one tile and what later tiles still add to: the strip along the lower edge of a row of tiles, as wide
    as the image, and the strip along the right edge of a tile.

    Args:
        row_spans: Tiles of the image's height.
        column_spans: Tiles of its width.
        score: Scores a tile.

    Yields:
        Parts of the image that do not overlap and cover it, with the weighted mean of the tiles' scores.

    Example:
        >>> image = torch.arange(20.0).reshape(1, 4, 5)
        >>> spans = tile_spans(4, tile=3, overlap=1), tile_spans(5, tile=3, overlap=1)
        >>> whole = torch.zeros(1, 4, 5)
        >>> for piece in blended_tiles(*spans, lambda rows, columns: image[:, rows, columns]):
        ...     whole[:, piece.rows, piece.columns] = piece.scores
        >>> torch.equal(whole, image)
        True
    """
    row_weights, column_weights = blend_weights(row_spans), blend_weights(column_spans)
    above: Tensor | None = None  # what the tiles of the row before say of the rows that they share with this one
    for row, rows in enumerate(row_spans):
        height = _finished(row_spans, row)
        below: Tensor | None = None
        beside: Tensor | None = None  # what the tile before says of the columns that it shares with this one
        for column, columns in enumerate(column_spans):
            scores = score(rows, columns)
            weights = row_weights[row][:, None] * column_weights[column]
            scores = scores * weights.to(scores)
            if above is not None:  # columns shared with the tile before have got it already, and come with `beside`
                new = 0 if beside is None else beside.shape[-1]
                scores[..., : above.shape[-2], new:] += above[..., columns.start + new : columns.stop]
            if beside is not None:
                scores[..., : beside.shape[-1]] += beside
            width = _finished(column_spans, column)
            if height < scores.shape[-2]:
                if below is None:
                    below = scores.new_empty(*scores.shape[:-2], scores.shape[-2] - height, column_spans[-1].stop)
                below[..., columns.start : columns.start + width] = scores[..., height:, :width]
            beside = scores[..., width:].clone()
            yield Piece(
                slice(rows.start, rows.start + height),
                slice(columns.start, columns.start + width),
                scores[..., :height, :width],
            )
        above = below


def _finished(spans: Sequence[slice], number: int) -> int:
    """Return how many px at the start of a tile no later tile reaches into."""
    last = spans[number + 1].start if number + 1 < len(spans) else spans[number].stop
    return int(last - spans[number].start)
