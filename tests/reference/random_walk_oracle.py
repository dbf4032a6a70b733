"""The random walk of IRN step by step or by the dense matrix, from the equations (REFERENCE 5.4, 5.6)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def straight_path(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Cells of the rectangle spanned by two cells that lie less than one cell from the line through them."""
    (y0, x0), (y1, x1) = start, end
    length = math.hypot(y1 - y0, x1 - x0)
    cells = []
    for y in range(min(y0, y1), max(y0, y1) + 1):
        for x in range(min(x0, x1), max(x0, x1) + 1):
            distance = abs((y1 - y0) * (x - x0) - (x1 - x0) * (y - y0)) / length
            if distance < 1:
                cells.append((y, x))
    return cells


def dense_affinity(edge: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """(h, w) edge probabilities to the symmetric (h*w, h*w) matrix of affinities."""
    height, width = edge.shape
    cells = [(y, x) for y in range(height) for x in range(width)]
    matrix = np.eye(len(cells))
    for i, start in enumerate(cells):
        for j, end in enumerate(cells):
            if i != j and math.dist(start, end) < radius:
                matrix[i, j] = 1 - max(edge[cell] for cell in straight_path(start, end))
    return matrix


def dense_walk(
    cams: NDArray[np.float64], edge: NDArray[np.float64], *, radius: int, beta: float, exp_times: int
) -> NDArray[np.float64]:
    """(K, h, w) scores after 2 ** exp_times steps, by squaring the transition matrix `exp_times` times."""
    transition = dense_affinity(edge, radius) ** beta
    transition /= transition.sum(axis=0)
    for _ in range(exp_times):
        transition = transition @ transition
    start = (cams * (1 - edge)).reshape(len(cams), -1)
    return (start @ transition).reshape(cams.shape)


def sparse_affinity(edge: NDArray[np.float64], radius: int) -> sparse.csr_matrix:
    """The matrix of `dense_affinity`, for large grids: pairs of one offset are found together."""
    height, width = edge.shape
    rows, columns = np.mgrid[:height, :width]
    total = sparse.identity(height * width, format="csr")
    for dy in range(1 - radius, radius):
        for dx in range(1 - radius, radius):
            if not 0 < math.hypot(dy, dx) < radius:
                continue
            inside = (rows + dy >= 0) & (rows + dy < height) & (columns + dx >= 0) & (columns + dx < width)
            y, x = rows[inside], columns[inside]
            strongest = np.max([edge[y + py, x + px] for py, px in straight_path((0, 0), (dy, dx))], axis=0)
            pairs = (y * width + x, (y + dy) * width + x + dx)
            total = total + sparse.csr_matrix((1 - strongest, pairs), shape=total.shape)
    return total


def stepped_walk(
    cams: NDArray[np.float64], edge: NDArray[np.float64], *, radius: int, beta: float, steps: int
) -> NDArray[np.float64]:
    """(K, h, w) scores after any number of steps, one product with the sparse transition each."""
    transition = sparse_affinity(edge, radius).power(beta)
    transition = transition @ sparse.diags(1 / np.asarray(transition.sum(axis=0))[0])
    walked = (cams * (1 - edge)).reshape(len(cams), -1)
    for _ in range(steps):
        walked = (transition.T @ walked.T).T
    return walked.reshape(cams.shape)
