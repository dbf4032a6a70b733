"""Random walk: class scores spread over the cells that no edge separates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ktse.errors import InputError
from ktse.ops.chebyshev import apply_power
from ktse.ops.paths import Offset, destinations, path_affinity, reach

TOLERANCE = 1e-12
"""Of the walk's expansion, what may be left out; see `propagate` for what this means for its result."""


def propagate(cams: Tensor, edge: Tensor, *, radius: int = 5, beta: float = 10, steps: int = 256) -> Tensor:
    """Let every class walk at random between cells, over few edges (paper of IRN, 4.2; REFERENCE 5.6).

    result_k = x_k T^steps    with    x_k = cam_k (1 - edge),    T_ij = A_ij^beta / d_j,    d_j = sum_i A_ij^beta

    | symbol | meaning |
    |---|---|
    | i, j | cells of the grid, N = h w of them; x_k is a row vector of N numbers |
    | A_ij | affinity: 1 minus the strongest edge on the straight path from i to j, 1 for i = j, 0 beyond the radius |
    | T | transition; its columns sum to 1, so that each step replaces a score by a mean of scores near it |

    The published code squares the dense N x N matrix T eight times. Here x is multiplied by T itself, which has few
    non-zeros in a column (at most 69 for radius 5), and far less than `steps` times:

    1. A is symmetric, hence T is similar to the symmetric S = d^-1/2 A^beta d^-1/2: its eigenvalues are real. They lie
       in [-1, 1], as the columns of T sum to 1 and nothing in it is negative.
    2. On [-1, 1] the power t^256 is a sum of 57 Chebyshev polynomials, of degrees 0, 2 ... 112, but for `TOLERANCE`
       (`ktse.ops.chebyshev`). The same sum of polynomials of T, 112 products, stands for T^256.
    3. What is left out changes the score of cell j by at most TOLERANCE sqrt(sum_i d_i x_i^2 / d_j). The largest result
       is at least sum_i d_i x_i / sum_i d_i, for this mean is the same after each step. So if no score is negative, the
       error is at most TOLERANCE sum_i d_i of the largest result, 8e-7 for 94 x 125 cells: a bound for a single cell
       whose score spreads over the whole grid. For usual CAMs it is far below the rounding of float32.

    All of it is computed in float64, on the device of `cams` where that is a CUDA device, else on the CPU; without
    gradient.

    Args:
        cams: (K, h, w) class scores.
        edge: (1, h, w) in [0, 1], the probability that an edge runs through a cell.
        radius: Cells nearer than this are joined.
        beta: Power of the affinities; larger is stricter.
        steps: Steps of the walk, 2 to the power of the published `exp_times`.

    Returns:
        (K, h, w) in the type of `cams`, at least float32; not normalised.

    Raises:
        InputError: `cams` and `edge` are not of one grid, hold NaN or infinity, or an edge is not in [0, 1].

    Example:
        >>> cams, edge = torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)
        >>> cams[..., 0], edge[..., 2] = 1.0, 1.0  # a score at the left, an edge before the last cell
        >>> propagate(cams, edge, steps=9)
        tensor([[[0.5000, 0.5000, 0.0000, 0.0000]]])
    """
    _check(cams, edge)
    place = cams.device if cams.is_cuda else torch.device("cpu")
    edge = edge[0].detach().to(place).double()
    start = (cams.detach().to(place).double() * (1 - edge)).flatten(1)
    weights, offsets = transition_weights(edge, radius=radius, beta=beta), neighbours(radius)
    if cams.is_cuda:
        walked = apply_power(stepping_by_gathering(weights, offsets), start, steps, tolerance=TOLERANCE)
    else:
        step = stepping_by_diagonals(weights.numpy(), offsets)
        walked = torch.from_numpy(apply_power(step, start.numpy(), steps, tolerance=TOLERANCE))
    # Means of scores lie among the scores; what rounding adds beyond them is cut off.
    walked = walked.clamp(start.amin(1, keepdim=True), start.amax(1, keepdim=True))
    return walked.reshape(cams.shape).to(cams.device, torch.promote_types(cams.dtype, torch.float32))


def transition_weights(edge: Tensor, *, radius: int, beta: float) -> Tensor:
    """Return the non-zeros of the transition T of `propagate`, column by column.

    Args:
        edge: (h, w) in [0, 1].
        radius: As for `propagate`.
        beta: As for `propagate`.

    Returns:
        (1 + 2 n, h, w): at cell j the weights T_ij with which j takes from the cells i = j + offset, for the offsets of
        `neighbours`; 0 where i is off the grid. They sum to 1 over the first axis.
    """
    margin = reach(radius)
    # An edge of strength 1 all around: no path leaves the grid, and every cell can be a source.
    walled = F.pad(edge, (margin, margin, 0, margin), value=1.0)
    forward = path_affinity(walled, radius=radius).pow_(beta)
    # A destination sees its source under the opposite offset. Pairs with an end off the grid are 0, so that nothing but
    # zeros goes round the end of the grid when an affinity is moved from source to destination.
    backward = (affinity.roll(ahead, (0, 1)) for affinity, ahead in zip(forward, destinations(radius), strict=True))
    weights = torch.stack([torch.ones_like(edge), *forward, *backward])
    return weights.div_(weights.sum(0))


def neighbours(radius: int) -> tuple[Offset, ...]:
    """List the offsets from a cell to those it takes from: itself, its destinations, and the cells opposite them."""
    ahead = destinations(radius)
    return ((0, 0), *ahead, *((-dy, -dx) for dy, dx in ahead))


def stepping_by_diagonals(
    weights: NDArray[np.float64], offsets: tuple[Offset, ...]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Prepare the product x T on the CPU, where T is a SciPy matrix stored by its diagonals.

    An offset is one diagonal of T, which is read in order and needs no index. NumPy and SciPy keep to one thread: the
    vectors are too short for more.

    Args:
        weights: (1 + 2 n, h, w) of `transition_weights`.
        offsets: Those of `neighbours`.

    Returns:
        A function from x (K, h w) to x T (K, h w).
    """
    from scipy import sparse

    _, height, width = weights.shape
    cells = height * width
    diagonals = [dy * width + dx for dy, dx in offsets]
    # On a narrow grid, two offsets may be one diagonal. No cell has both neighbours: their weights add up.
    distinct = sorted(set(diagonals))
    values = np.zeros((len(distinct), cells))
    for diagonal, weight in zip(diagonals, weights.reshape(-1, cells), strict=True):
        # SciPy keeps T_ij, i = j + diagonal, in column i of the transposed matrix. Only zeros go round the end.
        values[distinct.index(diagonal)] += np.roll(weight, diagonal)
    transposed = sparse.dia_matrix((values, distinct), shape=(cells, cells))

    def step(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        walked = np.empty_like(scores)
        for row, score in zip(walked, scores, strict=True):  # faster than all rows at once
            row[:] = transposed @ score
        return walked

    return step


def stepping_by_gathering(weights: Tensor, offsets: tuple[Offset, ...]) -> Callable[[Tensor], Tensor]:
    """Prepare the product x T on any device, as sums over gathered neighbours: three calls a step.

    Args:
        weights: (1 + 2 n, h, w) of `transition_weights`.
        offsets: Those of `neighbours`.

    Returns:
        A function from x (K, h w) to x T (K, h w).
    """
    _, height, width = weights.shape
    cells = torch.arange(height * width, device=weights.device)
    flat_offsets = torch.tensor([dy * width + dx for dy, dx in offsets], device=weights.device)
    # Neighbours off the grid have weight 0: any cell may stand for them.
    sources = (cells + flat_offsets[:, None]).clamp_(0, height * width - 1)
    flat_weights = weights.flatten(1)
    return lambda scores: (scores[:, sources] * flat_weights).sum(1)


def _check(cams: Tensor, edge: Tensor) -> None:
    """Refuse maps of different grids and numbers that are none."""
    if cams.ndim != 3 or edge.shape != (1, *cams.shape[1:]):
        raise InputError(
            f"a walk got CAMs of shape {tuple(cams.shape)} and an edge map of shape {tuple(edge.shape)}, "
            "expected (K, h, w) and (1, h, w)."
        )
    if not bool(torch.isfinite(cams).all()):
        raise InputError("a walk got CAMs with NaN or infinity, expected numbers.", remedy="Compute the CAMs anew.")
    if not bool(((edge >= 0) & (edge <= 1)).all()):
        raise InputError(
            "a walk got an edge map with NaN or numbers outside [0, 1], expected probabilities.",
            remedy="Give the sigmoid of the edge branch; NaN there means that IRNet's training failed.",
        )
