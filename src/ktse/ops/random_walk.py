"""Random walk: class scores spread over the cells that no edge separates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ktse.errors import InputError
from ktse.ops.paths import Offset, destinations, path_affinity, reach


def propagate(cams: Tensor, edge: Tensor, *, radius: int = 5, beta: float = 10, steps: int = 256) -> Tensor:
    """Let every class walk at random between cells, over few edges (paper of IRN, 4.2; REFERENCE 5.6).

    result_k = x_k T^steps    with    x_k = cam_k (1 - edge),    T_ij = A_ij^beta / sum_i A_ij^beta

    | symbol | meaning |
    |---|---|
    | i, j | cells of the grid, N = h w of them; x_k is a row vector of N numbers |
    | A_ij | affinity: 1 minus the strongest edge on the straight path from i to j, 1 for i = j, 0 beyond the radius |
    | T | transition; its columns sum to 1 |

    The published code squares the dense N x N matrix T eight times and multiplies x by the result. Matrix products are
    associative: x T^256 = ((x T) T) ... T, so multiplying K vectors 256 times by T gives the same numbers to rounding.
    T has few non-zeros in a column (69 for radius 5), so that this takes 256 * 69 K N products in place of 8 N^3. Each
    step is a sum of shifted products on the grid: no matrix is stored, and any grid size will do.

    Args:
        cams: (K, h, w) class scores.
        edge: (1, h, w) in [0, 1], the probability that an edge runs through a cell.
        radius: Cells nearer than this are joined.
        beta: Power of the affinities; larger is stricter.
        steps: Steps of the walk, 2 to the power of the published `exp_times`.

    Returns:
        (K, h, w) in the type of `cams`, at least float32; not normalised.

    Raises:
        InputError: `cams` and `edge` are not of one grid.

    Example:
        >>> cams, edge = torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)
        >>> cams[..., 0], edge[..., 2] = 1.0, 1.0  # a score at the left, an edge before the last cell
        >>> propagate(cams, edge, steps=9)
        tensor([[[0.5000, 0.5000, 0.0000, 0.0000]]])
    """
    if cams.ndim != 3 or edge.shape != (1, *cams.shape[1:]):
        raise InputError(
            f"a walk got CAMs of shape {tuple(cams.shape)} and an edge map of shape {tuple(edge.shape)}, "
            "expected (K, h, w) and (1, h, w)."
        )
    dtype = torch.promote_types(cams.dtype, torch.float32)
    edge = edge[0].to(cams.device, dtype)
    transition, offsets = transition_weights(edge, radius=radius, beta=beta), neighbours(radius)
    walked = cams.to(dtype) * (1 - edge)
    for _ in range(steps):
        walked = _step(walked, transition, offsets, reach(radius))
    return walked


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
    margin, (height, width) = reach(radius), edge.shape
    # An edge of strength 1 all around: no path leaves the grid, and every cell can be a source.
    walled = F.pad(edge, (margin, margin, 0, margin), value=1.0)
    forward = path_affinity(walled, radius=radius) ** beta
    backward = [
        next(_seen_from(channel, [(-dy, -dx)], margin))
        for channel, (dy, dx) in zip(forward, destinations(radius), strict=True)
    ]
    weights = torch.stack([edge.new_ones(height, width), *forward, *backward])
    return weights / weights.sum(0)


def neighbours(radius: int) -> tuple[Offset, ...]:
    """List the offsets from a cell to those it takes from: itself, its destinations, and the cells opposite them."""
    ahead = destinations(radius)
    return ((0, 0), *ahead, *((-dy, -dx) for dy, dx in ahead))


def _step(scores: Tensor, transition: Tensor, offsets: tuple[Offset, ...], margin: int) -> Tensor:
    """Return x T for scores x of shape (K, h, w)."""
    result = torch.zeros_like(scores)
    for weight, seen in zip(transition, _seen_from(scores, offsets, margin), strict=True):
        result.addcmul_(weight, seen)
    return result


def _seen_from(maps: Tensor, offsets: Iterable[Offset], margin: int) -> Iterator[Tensor]:
    """Yield, for each offset, what maps (..., h, w) hold at cell + offset; 0 off the grid."""
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (margin, margin, margin, margin))
    for dy, dx in offsets:
        yield padded[..., margin + dy : margin + dy + height, margin + dx : margin + dx + width]
