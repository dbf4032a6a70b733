"""Gaussian filtering of scattered points in time linear in their number, on the permutohedral lattice.

Adams, Baek & Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010. Points lie in
simplices of a lattice of d + 1 axes. Their values are spread over the corners of their simplex (splat), mixed with the
next corners along every axis (blur) and read back (slice). Splat, blur and slice are sparse matrices here, so that all
channels of all points pass in a few products; finding the corners is sorting and searching of whole arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ktse.errors import InputError

_KEY_LIMIT = 2**62  # lattice points are numbered in int64
_COORDINATE_LIMIT = 2**20  # beyond it float32 does not tell the simplices apart


@dataclass(frozen=True)
class Lattice:
    """The corners that N points touch, as plain arrays: all that a filter on any device needs.

    Attributes:
        corners: (N, d+1) int32, the lattice points (0 .. M-1) around each point.
        weights: (N, d+1) float32, barycentric weight of each corner; they sum to 1.
        following: (d+1, M) int32, the next lattice point along each axis, -1 where no point touches it.
    """

    corners: NDArray[np.int32]
    weights: NDArray[np.float32]
    following: NDArray[np.int32]

    @property
    def size(self) -> int:
        """M, the number of lattice points."""
        return int(self.following.shape[1])


def build_lattice(features: NDArray[np.float32]) -> Lattice:
    """Find the lattice points around each feature vector.

    The arithmetic is float32 in a fixed order: a point on the border of two simplices then falls into the same one as
    in the code of Krähenbühl & Koltun, and results agree to rounding.

    Args:
        features: (d, N) float32, in units of the standard deviation of the Gaussian.

    Returns:
        The lattice; its points are in ascending order of their coordinates.

    Raises:
        InputError: The features spread over so many standard deviations that lattice points cannot be numbered.

    Example:
        >>> lattice = build_lattice(np.array([[0.0, 0.3, 9.0]], np.float32))
        >>> lattice.corners.tolist()
        [[0, 1], [0, 1], [2, 3]]
    """
    dimension = len(features)
    elevated = _elevate(features)
    if not np.abs(elevated).max() < _COORDINATE_LIMIT:
        raise _too_far_apart()
    base, rank = _enclosing_simplex(elevated)

    # What is left above the base corner, largest first, gives the weights: each is the step to the next one.
    rest = (elevated - base) * np.float32(1 / (dimension + 1))
    ordered = np.empty_like(rest)
    np.put_along_axis(ordered, rank, rest, axis=0)
    weights = np.empty((features.shape[1], dimension + 1), np.float32)
    weights[:, 0] = 1 + ordered[-1] - ordered[0]
    weights[:, 1:] = (ordered[:-1] - ordered[1:])[::-1].T

    keys, strides = _corner_keys(base, rank)
    points, corners = np.unique(keys, return_inverse=True)
    following = np.full((dimension + 1, len(points)), -1, np.int32)
    for axis, stride in enumerate(strides):
        # One step along an axis: minus 1 in every coordinate, plus d + 1 in its own.
        wanted = points + (dimension + 1) * stride - strides.sum()
        found = np.searchsorted(points, wanted)
        found[found == len(points)] = 0
        following[axis] = np.where(points[found] == wanted, found, -1)
    return Lattice(corners.reshape(keys.shape).astype(np.int32), weights, following)


def _elevate(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed (d, N) features in the plane of d + 1 coordinates that sum to 0, scaled for a blur of deviation 1."""
    dimension, count = features.shape
    elevated = np.zeros((dimension + 1, count), np.float32)
    # Splat, blur and slice together have the variance 2/3 (d+1)^2 in lattice units (Adams et al., section 3.1).
    deviation = float(np.float32(math.sqrt(2 / 3) * (dimension + 1)))
    for axis in range(dimension, 0, -1):
        scale = np.float32(deviation / math.sqrt(axis * (axis + 1)))
        component = features[axis - 1] * scale
        elevated[axis] = elevated[0] - np.float32(axis) * component
        elevated[0] += component
    return elevated


def _enclosing_simplex(elevated: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the base corner of each simplex, and the rank of each coordinate by its distance from it (0: largest)."""
    axes = len(elevated)
    rounded = np.rint(elevated * np.float32(1 / axes))
    base = rounded * np.float32(axes)
    rest = elevated - base
    rank = np.zeros(elevated.shape, np.int64)
    for first in range(axes - 1):
        for second in range(first + 1, axes):
            smaller = rest[first] < rest[second]
            rank[first] += smaller
            rank[second] += ~smaller
    # Rounding may leave the plane: the coordinates that were rounded farthest go back by one.
    rank += rounded.sum(axis=0, dtype=np.float32).astype(np.int64)
    correction = (rank < 0).astype(np.int64) - (rank >= axes)
    rank += axes * correction
    base += (axes * correction).astype(np.float32)
    return base, rank


def _corner_keys(base: NDArray[np.float32], rank: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the corners of each simplex by a linear function of their coordinates.

    Returns:
        The keys (N, d+1), equal where the corners are equal, and the factor of each of the d+1 coordinates. The last
        coordinate, minus the sum of the others, needs no factor: it is 0.
    """
    axes = len(base)
    lowest, highest = base[:-1].min(axis=1).astype(int), base[:-1].max(axis=1).astype(int)
    # Corners and their neighbours lie within 2 (d+1) of a base corner.
    spread = [int(high - low) + 4 * axes + 1 for low, high in zip(lowest, highest, strict=True)]
    if math.prod(spread) >= _KEY_LIMIT:
        raise _too_far_apart()
    strides = np.array([*(math.prod(spread[axis + 1 :]) for axis in range(axes - 1)), 0], np.int64)
    origin = base[:-1].astype(np.int64) - lowest[:, None]
    keys = np.empty((base.shape[1], axes), np.int64)
    keys[:, 0] = strides[:-1] @ origin
    ordered = np.empty_like(rank)  # factor of the coordinate that has each rank
    np.put_along_axis(ordered, rank, np.broadcast_to(strides[:, None], rank.shape), axis=0)
    for corner in range(1, axes):
        # From corner to corner every coordinate gains 1, and the smallest one that has not yet falls by d + 1.
        keys[:, corner] = keys[:, corner - 1] + strides.sum() - axes * ordered[axes - corner]
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
        self._blurs = [_blur_along(following) for following in lattice.following]
        self._slicing = _slicing(lattice, lattice.weights)
        sums = self(np.ones((len(lattice.weights), 1), np.float32))
        self._slicing = _slicing(lattice, (lattice.weights / np.sqrt(sums)).astype(np.float32, copy=False))

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter (N, C) values, all C channels at once."""
        on_lattice = self._slicing.T @ values  # the transpose is a view; its products need no other order
        for blur in self._blurs:
            on_lattice = blur @ on_lattice
        filtered: NDArray[np.float32] = self._slicing @ on_lattice
        return filtered


def _slicing(lattice: Lattice, weights: NDArray[np.float32]) -> sparse.csr_array:
    """Return the (N, M) matrix that reads the points off the lattice; its transpose spreads them over it."""
    count, corners = weights.shape
    starts = np.arange(count + 1) * corners
    return sparse.csr_array((weights.ravel(), lattice.corners.ravel(), starts), shape=(count, lattice.size))


def _blur_along(following: NDArray[np.int32]) -> sparse.csr_array:
    """Return the (M, M) matrix that adds half of either neighbour along an axis."""
    size = len(following)
    (here,) = np.nonzero(following >= 0)
    steps = sparse.csr_array((np.full(len(here), 0.5, np.float32), (here, following[here])), shape=(size, size))
    return steps + steps.T + sparse.eye_array(size, dtype=np.float32, format="csr")
