"""Random walk: class scores spread over the cells that no edge separates."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
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

    The published code squares the dense N x N matrix T eight times. Here x is multiplied by a matrix with few non-zeros
    in a column (at most 69 for radius 5), and far less than `steps` times:

    1. A is symmetric, hence so is S = d^-1/2 A^beta d^-1/2, and x T^n = (x d^1/2) S^n d^-1/2. The eigenvalues of S are
       real. They lie in [-1, 1], as the columns of T sum to 1 and nothing in it is negative.
    2. On [-1, 1] the power t^256 is a sum of 57 Chebyshev polynomials, of degrees 0, 2 ... 112, but for `TOLERANCE`
       (`ktse.ops.chebyshev`). The same sum of polynomials of S, 112 products, stands for S^256.
    3. What is left out changes the score of cell j by at most TOLERANCE sqrt(sum_i d_i x_i^2 / d_j). The largest result
       is at least sum_i d_i x_i / sum_i d_i, for this mean is the same after each step. So if no score is negative, the
       error is at most TOLERANCE sum_i d_i of the largest result, 8e-7 for 94 x 125 cells: a bound for a single cell
       whose score spreads over the whole grid. For usual CAMs it is far below the rounding of float32.

    All of it is computed in float64, on the device of `cams` where that is a CUDA device, else on the CPU; without
    gradient. In float32 the rounding would add up to 1e-4 of the largest result.

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
    root, half = symmetric_transition(edge, radius=radius, beta=beta)
    root = root.flatten()
    if cams.is_cuda:
        step = stepping_by_gathering(half, radius=radius)
    else:
        step = stepping_by_shifts(half, radius=radius, vectors=len(cams))
    walked = apply_power(step, start * root, steps, tolerance=TOLERANCE) / root
    # Means of scores lie among the scores; what rounding adds beyond them is cut off.
    walked = walked.clamp(start.amin(1, keepdim=True), start.amax(1, keepdim=True))
    return walked.reshape(cams.shape).to(cams.device, torch.promote_types(cams.dtype, torch.float32))


def symmetric_transition(edge: Tensor, *, radius: int, beta: float) -> tuple[Tensor, Tensor]:
    """Return the roots of the degrees d, and the non-zeros of one half of the symmetric S of `propagate`.

    Args:
        edge: (h, w) in [0, 1].
        radius: As for `propagate`.
        beta: As for `propagate`.

    Returns:
        (h, w) the d_i^1/2, at least 1; and (1 + n, h, w): at cell i first S_ii, then S_ij for j = i + offset, for the n
        offsets of `ktse.ops.paths.destinations`; 0 where j is off the grid. The other half is S_ji = S_ij.
    """
    margin, offsets = reach(radius), destinations(radius)
    # An edge of strength 1 all around: no path leaves the grid, and every cell can be a source.
    walled = F.pad(edge, (margin, margin, 0, margin), value=1.0)
    half = path_affinity(walled, radius=radius).pow_(beta)
    # Pairs with an end off the grid are 0, so that nothing but zeros goes round the end of the grid.
    root = 1 + half.sum(0)
    for affinity, offset in zip(half, offsets, strict=True):
        root += affinity.roll(offset, (0, 1))
    root.sqrt_()
    for affinity, (dy, dx) in zip(half, offsets, strict=True):
        affinity.div_(root).div_(root.roll((-dy, -dx), (0, 1)))
    return root, torch.cat([root.pow(-2)[None], half])


def stepping_by_shifts(half: Tensor, *, radius: int, vectors: int) -> Callable[[Tensor], Tensor]:
    """Prepare the product x S on the CPU, as sums of x shifted by each offset, forth and back.

    The weights are read in order, once for all vectors, and only one half of them: they are what does not fit into the
    caches that a core has for itself, so that reading them is what processes side by side have to share.

    Args:
        half: (1 + n, h, w) of `symmetric_transition`.
        radius: As for `propagate`.
        vectors: K, how many vectors are multiplied at a time.

    Returns:
        A function from x (K, h w) to x S (K, h w).
    """
    _, height, width = half.shape
    cells, margin = height * width, reach(radius) * (width + 1)
    # Cells off the grid have weight 0 and may have any score: the margins stay 0.
    scores = half.new_zeros(vectors, margin + cells + margin)
    walked = torch.zeros_like(scores)

    def at(offset: Offset) -> tuple[Tensor, Tensor]:
        first = margin + offset[0] * width + offset[1]
        return scores[:, first : first + cells], walked[:, first : first + cells]

    here, result = at((0, 0))
    own, *weights = half.flatten(1)
    pairs = [(weight, *at(offset)) for weight, offset in zip(weights, destinations(radius), strict=True)]

    def step(given: Tensor) -> Tensor:
        here.copy_(given)
        torch.mul(here, own, out=result)
        for weight, scores_ahead, walked_ahead in pairs:
            result.addcmul_(scores_ahead, weight)
            walked_ahead.addcmul_(here, weight)
        return result.clone()

    return step


def stepping_by_gathering(half: Tensor, *, radius: int) -> Callable[[Tensor], Tensor]:
    """Prepare the product x S on any device, as sums over gathered neighbours: three calls a step.

    Args:
        half: (1 + n, h, w) of `symmetric_transition`.
        radius: As for `propagate`.

    Returns:
        A function from x (K, h w) to x S (K, h w).
    """
    _, height, width = half.shape
    offsets = destinations(radius)
    other = (weight.roll(offset, (0, 1)) for weight, offset in zip(half[1:], offsets, strict=True))
    weights = torch.stack([*half, *other]).flatten(1)
    ahead = [dy * width + dx for dy, dx in offsets]
    shifts = torch.tensor([0, *ahead, *(-shift for shift in ahead)], device=half.device)
    cells = torch.arange(height * width, device=half.device)
    # Neighbours off the grid have weight 0: any cell may stand for them.
    sources = (cells + shifts[:, None]).clamp_(0, height * width - 1)

    def step(given: Tensor) -> Tensor:
        return (given[:, sources] * weights).sum(1)

    return step


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
