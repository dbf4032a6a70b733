"""Oracles of the dense CRF.

The exact Gaussian, the lattice as a dictionary and the mean field in loops are slow and readable; pydensecrf2 is the
library that published code runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest


def normalized(kernel: np.ndarray) -> np.ndarray:
    """Divide a kernel (N, N) by the roots of its row sums, from both sides."""
    roots = np.sqrt(kernel.sum(1))
    return kernel / roots[:, None] / roots[None]


def exact_kernel(features: np.ndarray) -> np.ndarray:
    """exp(-|f_i - f_j|^2 / 2) of features (N, d), normalised: what the lattice approximates."""
    return normalized(np.exp(-((features[:, None] - features[None]) ** 2).sum(-1) / 2))


def lattice_kernel(features: np.ndarray, carrying: int | None = None) -> np.ndarray:
    """The kernel of the permutohedral lattice, one point after the other (Adams, Baek & Davis 2010, section 3).

    Lattice points are tuples of d + 1 integers; weights come from solving for the corners of the simplex. With
    `carrying`, points after the first so many touch lattice points but have no values.
    """
    count, dimension = features.shape
    axes = dimension + 1
    basis = np.zeros((dimension, axes))  # row i: 1, ..., 1, -(i + 1), 0, ...: orthogonal, all in the plane of sum 0
    for i in range(dimension):
        basis[i, : i + 1] = 1
        basis[i, i + 1] = -(i + 1)
        basis[i] /= np.linalg.norm(basis[i])
    points = features @ basis * np.sqrt(2 / 3) * axes

    spread: list[dict[tuple[int, ...], float]] = []
    for point in points:
        corners = _simplex(point)
        # sum_c w_c corner_c = point and sum_c w_c = 1
        equations = np.vstack([np.array(corners).T, np.ones(axes)])
        weights = np.linalg.lstsq(equations, np.append(point, 1), rcond=None)[0]
        spread.append(dict(zip(corners, weights, strict=True)))
    touched = {corner for corners in spread for corner in corners}

    count = carrying or count
    kernel = np.zeros((count, count))
    for source in range(count):
        values: dict[tuple[int, ...], float] = dict(spread[source])
        for axis in range(axes):
            blurred: dict[tuple[int, ...], float] = defaultdict(float)
            for corner, value in values.items():
                step = np.full(axes, -1)
                step[axis] += axes
                for shift, share in ((0, 1.0), (1, 0.5), (-1, 0.5)):
                    target = tuple((np.array(corner) + shift * step).tolist())
                    if target in touched:
                        blurred[target] += share * value
            values = blurred
        for target in range(count):
            kernel[target, source] = sum(weight * values.get(corner, 0) for corner, weight in spread[target].items())
    return normalized(kernel)


def _simplex(point: np.ndarray) -> list[tuple[int, ...]]:
    """Corners of the simplex around a point of the plane, remainder 0 first."""
    axes = len(point)
    base = np.rint(point / axes).astype(int) * axes
    while base.sum() != 0:  # rounding left the plane: undo it where it went farthest
        rest = point - base
        if base.sum() > 0:
            base[axes - 1 - np.argmin(rest[::-1])] -= axes  # of equals the last goes down, the first goes up
        else:
            base[np.argmax(rest)] += axes
    falling = np.argsort(base - point, kind="stable")  # the coordinate that is most above the base first
    corners = []
    for remainder in range(axes):
        corner = base + remainder
        corner[falling[axes - remainder :]] -= axes
        corners.append(tuple(corner.tolist()))
    return corners


def mean_field_by_loops(
    probabilities: np.ndarray, kernels: Sequence[tuple[np.ndarray, float]], iterations: int
) -> np.ndarray:
    """Mean field of Krähenbühl & Koltun (2011), Algorithm 1, with Potts costs and dense kernels, pixel by pixel.

    Args:
        probabilities: (N, L).
        kernels: Each (N, N), and what two pixels pay for a different label.
        iterations: Steps.
    """
    count, labels = probabilities.shape
    unary = -np.log(np.clip(probabilities, 1e-5, 1))
    marginals = np.exp(-unary) / np.exp(-unary).sum(1, keepdims=True)
    for _ in range(iterations):
        update = np.zeros_like(marginals)
        for i in range(count):
            messages = sum(cost * (kernel[i] @ marginals) for kernel, cost in kernels)  # (L,)
            for label in range(labels):
                pairwise = sum(messages[other] for other in range(labels) if other != label)
                update[i, label] = np.exp(-unary[i, label] - pairwise)
            update[i] /= update[i].sum()
        marginals = update
    return marginals


def image_features(image: np.ndarray, sxy: float, srgb: float | None = None) -> np.ndarray:
    """Features (N, 2 or 5) of an image (H, W, 3): place over sxy, and colour over srgb."""
    height, width = image.shape[:2]
    rows = []
    for y in range(height):
        for x in range(width):
            colour = [] if srgb is None else [float(value) / srgb for value in image[y, x]]
            rows.append([x / sxy, y / sxy, *colour])
    return np.array(rows)


def by_pydensecrf(image: np.ndarray, energy: np.ndarray, settings: dict[str, Any], iterations: int = 10) -> np.ndarray:
    """What pydensecrf2 makes of a unary energy (L, H * W): (L, H, W); skips the test where it is not installed."""
    crf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed (extra crf)")
    height, width = image.shape[:2]
    field = crf.DenseCRF2D(width, height, len(energy))
    field.setUnaryEnergy(np.ascontiguousarray(energy, np.float32))
    if settings["gaussian"]:
        sxy, compat = settings["gaussian"]
        field.addPairwiseGaussian(sxy=sxy, compat=compat)
    if settings["bilateral"]:
        sxy, srgb, compat = settings["bilateral"]
        field.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=image, compat=compat)
    return np.array(field.inference(iterations)).reshape(-1, height, width)
