"""Straight paths between near cells, and the affinity of two cells: how free of edges the path between them is.

An offset is (dy, dx) in cells. A pair of near cells is listed once, from its upper cell, or from its left cell in one
row: this is the source and has offset (0, 0), the other end is the destination.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ktse.errors import InputError

Offset = tuple[int, int]


def reach(radius: int) -> int:
    """Return how many cells a path of `radius` goes at most left, right or down."""
    return max(radius - 1, 0)


def path(destination: Offset) -> tuple[Offset, ...]:
    """List the cells of the straight path between a destination and its source (REFERENCE 5.4).

    A cell belongs to the path when it lies in the rectangle that the two ends span, less than one cell from the line
    through them.

    Args:
        destination: (dy, dx) from the source, not (0, 0).

    Returns:
        The cells from the destination to the source, both included.

    Example:
        >>> path((0, 2))
        ((0, 2), (0, 1), (0, 0))
        >>> len(path((1, -1)))
        4
    """
    dy, dx = destination
    rows = range(min(dy, 0), max(dy, 0) + 1)
    columns = range(min(dx, 0), max(dx, 0) + 1)
    length_squared = dy * dy + dx * dx
    cells = [(y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < length_squared]
    return tuple(sorted(cells, key=lambda cell: -abs(cell[0]) - abs(cell[1])))


def destinations(radius: int) -> tuple[Offset, ...]:
    """List the destinations nearer than `radius`, in the order of the channels of `path_affinity` (REFERENCE 5.4).

    Those with short paths come first; among paths of one length, those of the source's row, then row by row.

    Args:
        radius: Distance in cells that every destination is nearer than.

    Returns:
        N offsets: 34 for radius 5, 152 for radius 10, none below 2.

    Example:
        >>> destinations(2)
        ((0, 1), (1, 0), (1, -1), (1, 1))
    """
    row = [(0, dx) for dx in range(1, radius)]
    below = [(dy, dx) for dy in range(1, radius) for dx in range(1 - radius, radius) if dy**2 + dx**2 < radius**2]
    return tuple(sorted(row + below, key=lambda destination: len(path(destination))))


def path_affinity(edge: Tensor, *, radius: int) -> Tensor:
    """Return 1 minus the strongest edge on the path of every pair of near cells (paper of IRN, Eq. 4; REFERENCE 5.4).

    Only cells all of whose destinations lie on the grid are sources: rows 0 .. h-f-1 and columns f .. w-f-1 with
    f = `reach(radius)`. To have every cell as a source, pad the edge map to the left, to the right and below.

    Args:
        edge: (..., h, w) in [0, 1], the probability that an edge runs through a cell.
        radius: As for `destinations`.

    Returns:
        (..., N, h - f, w - 2 f) in [0, 1], a channel for each of the N `destinations`; differentiable.

    Raises:
        InputError: The grid has no source.

    Example:
        >>> edge = torch.tensor([[0.0, 0.1, 0.7, 0.0]])
        >>> padded = torch.nn.functional.pad(edge, (1, 1, 0, 1), value=1.0)
        >>> path_affinity(padded, radius=2)[0]  # to the right neighbour
        tensor([[0.9000, 0.3000, 0.3000, 0.0000]])
    """
    margin = reach(radius)
    height, width = edge.shape[-2] - margin, edge.shape[-1] - 2 * margin
    if height < 1 or width < 1:
        raise InputError(
            f"an edge map of {edge.shape[-2]} x {edge.shape[-1]} cells has no source for paths of radius {radius}.",
            remedy="Give a larger map, or pad it.",
        )

    def seen_from_sources(cell: Offset) -> Tensor:
        top, left = cell[0], margin + cell[1]
        return edge[..., top : top + height, left : left + width]

    channels = []
    for destination in destinations(radius):
        strongest = seen_from_sources(destination)
        for cell in path(destination)[1:]:
            strongest = torch.maximum(strongest, seen_from_sources(cell))
        channels.append(1 - strongest)
    if not channels:
        return edge.new_zeros(*edge.shape[:-2], 0, height, width)
    return torch.stack(channels, dim=-3)
