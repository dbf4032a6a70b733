"""Gaussian filtering of scattered points in time linear in their number, on the permutohedral lattice.

Adams, Baek & Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010. Points lie in
simplices of a lattice of d + 1 axes. Their values are spread over the corners of their simplex (splat), mixed with the
next corners along every axis (blur) and read back (slice). Each of these steps adds up weighted rows of a table, all
channels at once; finding the corners is sorting and searching of whole tensors. Nothing is written in an order that
chance decides, so a call repeats to the bit, on a GPU, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ktse.errors import InputError

_KEY_LIMIT = 2**62  # lattice points are numbered in int64
_COORDINATE_LIMIT = 2**20  # beyond it float32 does not tell the simplices apart


@dataclass(frozen=True)
class Lattice:
    """The corners that N points touch, as plain tensors on one device.

    Attributes:
        corners: (N, d+1) int32, the lattice points (0 .. M-1) around each point.
        weights: (N, d+1) float32, barycentric weight of each corner; they sum to 1.
        order: (N * (d+1),) int64, where the flattened corners stand when they are sorted by lattice point.
        following: (d+1, M) int32, the next lattice point along each axis, M where no point touches it.
    """

    corners: Tensor
    weights: Tensor
    order: Tensor
    following: Tensor

    @property
    def size(self) -> int:
        """M, the number of lattice points."""
        return self.following.shape[1]

    def of_first(self, count: int) -> Lattice:
        """Return the same lattice points with the first `count` points alone."""
        if count == len(self.corners):
            return self
        order = self.order[self.order < count * self.corners.shape[1]]
        return replace(self, corners=self.corners[:count], weights=self.weights[:count], order=order)


def build_lattice(features: Tensor) -> Lattice:
    """Find the lattice points around each feature vector.

    The arithmetic is float32 in a fixed order: a point on the border of two simplices then falls into the same one as
    in the code of Krähenbühl & Koltun, and results agree to rounding, on every device.

    Args:
        features: (d, N) float32, in units of the standard deviation of the Gaussian.

    Returns:
        The lattice, on the device of the features; its points are in ascending order of their coordinates.

    Raises:
        InputError: The features spread over so many standard deviations that lattice points cannot be numbered.

    Example:
        >>> lattice = build_lattice(torch.tensor([[0.0, 0.3, 9.0]]))
        >>> lattice.corners.tolist()
        [[0, 1], [0, 1], [2, 3]]
    """
    axes = len(features) + 1
    elevated = _elevate(features)
    if not bool(elevated.abs().max() < _COORDINATE_LIMIT):
        raise _too_far_apart()
    base, rank = _enclosing_simplex(elevated)
    weights = _barycentric_weights((elevated - base) * (1 / axes), rank)
    keys, strides = _corner_keys(base, rank)

    ascending, order = keys.reshape(-1).sort(stable=True)
    points, numbers = torch.unique_consecutive(ascending, return_inverse=True)
    corners = torch.empty_like(order, dtype=torch.int32).scatter_(0, order, numbers.int())

    following = torch.empty(axes, len(points), dtype=torch.int32, device=keys.device)
    for axis, stride in enumerate(strides):
        # One step along an axis: minus 1 in every coordinate, plus d + 1 in its own.
        wanted = points + (axes * stride - sum(strides))
        found = torch.searchsorted(points, wanted)
        touched = points[found.clamp(max=len(points) - 1)] == wanted
        following[axis] = found.where(touched, len(points))
    return Lattice(corners.view(keys.shape), weights, order, following)


def _elevate(features: Tensor) -> Tensor:
    """Embed (d, N) features in the plane of d + 1 coordinates that sum to 0, scaled for a blur of deviation 1."""
    dimension, count = features.shape
    elevated = features.new_zeros(dimension + 1, count)
    # Splat, blur and slice together have the variance 2/3 (d+1)^2 in lattice units (Adams et al., section 3.1).
    deviation = float(torch.tensor(math.sqrt(2 / 3) * (dimension + 1), dtype=torch.float32))
    for axis in range(dimension, 0, -1):
        component = features[axis - 1] * (deviation / math.sqrt(axis * (axis + 1)))
        # Two operations: with `alpha` they would be rounded once, and points would cross borders.
        elevated[axis] = elevated[0] - axis * component
        elevated[0] += component
    return elevated


def _enclosing_simplex(elevated: Tensor) -> tuple[Tensor, Tensor]:
    """Return the base corner of each simplex, and the rank of each coordinate by its distance from it (0: largest)."""
    axes = len(elevated)
    rounded = (elevated * (1 / axes)).round_()
    base = rounded * axes
    rest = elevated - base
    rank = torch.zeros(elevated.shape, dtype=torch.int64, device=elevated.device)
    for first in range(axes - 1):
        for second in range(first + 1, axes):
            smaller = rest[first] < rest[second]
            rank[first] += smaller
            rank[second] += ~smaller
    # Rounding may leave the plane: the coordinates that were rounded farthest go back by one.
    rank += rounded.sum(0).long()
    correction = axes * ((rank < 0).long() - (rank >= axes).long())
    return base + correction, rank + correction


def _barycentric_weights(rest: Tensor, rank: Tensor) -> Tensor:
    """Return (N, d+1) weights: what is left above the base corner, largest first; each is the step to the next one."""
    ordered = torch.empty_like(rest).scatter_(0, rank, rest)
    first = 1 + ordered[-1] - ordered[0]
    return torch.stack([first, *(ordered[:-1] - ordered[1:]).flip(0)], 1)


def _corner_keys(base: Tensor, rank: Tensor) -> tuple[Tensor, list[int]]:
    """Number the corners of each simplex by a linear function of their coordinates.

    Returns:
        The keys (N, d+1) int64, equal where the corners are equal, and the factor of each of the d+1 coordinates. The
        last coordinate, minus the sum of the others, needs no factor: it is 0.
    """
    axes = len(base)
    lowest, highest = base[:-1].amin(1), base[:-1].amax(1)
    # Corners and their neighbours lie within 2 (d+1) of a base corner.
    spread = [int(length) + 4 * axes + 1 for length in (highest - lowest).tolist()]
    if math.prod(spread) >= _KEY_LIMIT:
        raise _too_far_apart()
    strides = [*(math.prod(spread[axis + 1 :]) for axis in range(axes - 1)), 0]
    keys = torch.empty(base.shape[1], axes, dtype=torch.int64, device=base.device)
    keys[:, 0] = 0
    for axis, stride in enumerate(strides[:-1]):
        keys[:, 0] += stride * (base[axis] - lowest[axis]).long()
    factors = torch.tensor(strides, device=base.device)[:, None].expand_as(rank)
    ordered = torch.empty_like(rank).scatter_(0, rank, factors)  # factor of the coordinate that has each rank
    for corner in range(1, axes):
        # From corner to corner every coordinate gains 1, and the smallest one that has not yet falls by d + 1.
        keys[:, corner] = keys[:, corner - 1] + (sum(strides) - axes * ordered[axes - corner])
    return keys, strides


def _too_far_apart() -> InputError:
    return InputError(
        "points are too many standard deviations apart to be put on a lattice.", remedy="Give larger deviations."
    )


class GaussianFilter:
    """K = N^(1/2) G N^(1/2): Gaussian sums over all points, each point included, normalised from both sides.

    G is the lattice's approximation of exp(-|f_i - f_j|^2 / 2) and N the inverse of its row sums, which is how the code
    of Krähenbühl & Koltun (2011) normalises. Nothing flows through lattice points that no point touches; where points
    are sparse, G is therefore smaller than the Gaussian and not quite symmetric.

    Args:
        lattice: Of the N points.
    """

    def __init__(self, lattice: Lattice) -> None:
        self._corners = lattice.corners
        self._neighbours = [_both_neighbours(following) for following in lattice.following]
        # The corners of all points, by lattice point: the points of a run spread their values over the same one.
        self._points = (lattice.order // lattice.corners.shape[1]).int()
        runs = torch.bincount(lattice.corners.reshape(-1), minlength=lattice.size).cumsum(0)
        # The last run is empty: a lattice point that stands for all that no point touches, and stays 0.
        self._runs = F.pad(runs, (1, 0)).int()
        self._weigh(lattice.weights, lattice.order)
        sums = self(lattice.weights.new_ones(len(lattice.weights), 1))
        self._weigh(lattice.weights / sums.sqrt(), lattice.order)

    def _weigh(self, weights: Tensor, order: Tensor) -> None:
        self._slicing_weights, self._splatting_weights = weights, weights.reshape(-1).index_select(0, order)

    def __call__(self, values: Tensor) -> Tensor:
        """Filter (N, C) float32 values, all C channels at once."""
        table = F.embedding_bag(
            self._points, values, self._runs, mode="sum", per_sample_weights=self._splatting_weights
        )  # (M + 1, C)
        for neighbours in self._neighbours:
            table = F.embedding_bag(neighbours, table, mode="sum").mul_(0.5).add_(table)
        return F.embedding_bag(self._corners, table, mode="sum", per_sample_weights=self._slicing_weights)


def _both_neighbours(following: Tensor) -> Tensor:
    """Return the lattice points before and behind each one along an axis, (M + 1, 2); M where there is none."""
    size = len(following)
    here = torch.arange(size + 1, dtype=following.dtype, device=following.device)
    behind = F.pad(following, (0, 1), value=size)
    before = torch.full_like(behind, size)
    has_next = behind < size
    before[behind[has_next].long()] = here[has_next]
    return torch.stack([before, behind], 1)
