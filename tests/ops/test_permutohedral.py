from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ktse.errors import InputError
from ktse.ops.permutohedral import GaussianFilter, build_lattice
from reference.dense_crf_oracle import exact_kernel, lattice_kernel


def cloud(dimension: int, count: int, spread: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-spread, spread, (count, dimension)).astype(np.float32)


def tensor(features: np.ndarray) -> Tensor:
    """Features (N, d) as the lattice wants them."""
    return torch.from_numpy(features.T.copy())


def kernel(features: np.ndarray) -> np.ndarray:
    """The whole matrix of a filter: what it makes of each unit vector."""
    return GaussianFilter(build_lattice(tensor(features)))(torch.eye(len(features))).numpy()


@pytest.mark.parametrize(
    ("dimension", "count", "spread"),
    [(1, 20, 3.0), (2, 40, 2.0), (3, 30, 1.5), (5, 30, 1.0), (5, 30, 4.0)],
    ids=["line", "plane", "space", "five dense", "five sparse"],
)
def test_equals_a_lattice_of_dictionaries(dimension: int, count: int, spread: float) -> None:
    features = cloud(dimension, count, spread)
    np.testing.assert_allclose(kernel(features), lattice_kernel(features.astype(float)), atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6), st.sampled_from([0.1, 3.0, 30.0]))
def test_weights_are_shares_of_different_corners(dimension: int, seed: int, spread: float) -> None:
    lattice = build_lattice(tensor(cloud(dimension, 25, spread, seed)))
    assert lattice.weights.min() > -1e-4
    assert torch.allclose(lattice.weights.sum(1), torch.ones(25), atol=1e-4)
    assert all(len(set(corners)) == dimension + 1 for corners in lattice.corners.tolist())
    assert set(lattice.corners.ravel().tolist()) == set(range(lattice.size))
    assert torch.equal(lattice.corners.ravel()[lattice.order], lattice.corners.ravel().sort().values)


def test_equal_points_are_filtered_alike_wherever_they_stand() -> None:
    features = cloud(2, 30, 2.0)
    order = np.random.default_rng(1).permutation(30)
    assert np.allclose(kernel(features[order]), kernel(features)[order][:, order], atol=1e-6)
    twice = kernel(np.concatenate([features, features]))
    assert np.allclose(twice[:30], twice[30:], atol=1e-6)


@pytest.mark.parametrize(
    ("dimension", "count", "spread", "error"),
    [(2, 900, 3.0, 0.08), (3, 900, 1.0, 0.08), (5, 900, 0.6, 0.1)],
    ids=["plane", "space", "five"],
)
def test_is_close_to_the_gaussian_where_points_are_dense(
    dimension: int, count: int, spread: float, error: float
) -> None:
    """Relative error of smooth values: the lattice's own, which no exact test can ask to vanish."""
    features = cloud(dimension, count, spread)
    values = np.stack([np.sin(features[:, 0]), features.sum(1) > 0, np.ones(count)], 1).astype(np.float32)
    exact = exact_kernel(features.astype(float)) @ values
    ours = GaussianFilter(build_lattice(tensor(features)))(torch.from_numpy(values)).numpy()
    assert np.sqrt(np.mean((ours - exact) ** 2)) < error * np.sqrt(np.mean(exact**2))


def test_points_without_values_leave_their_corners_behind() -> None:
    features = cloud(2, 24, 3.0)
    lattice = build_lattice(tensor(features))
    ours = GaussianFilter(lattice.of_first(9))(torch.eye(9)).numpy()
    np.testing.assert_allclose(ours, lattice_kernel(features.astype(float), carrying=9), atol=2e-6)
    assert not np.allclose(ours, lattice_kernel(features[:9].astype(float)), atol=1e-3)


def test_a_filter_leaves_its_lattice_and_its_values_as_they_were() -> None:
    lattice, values = build_lattice(tensor(cloud(2, 10, 1.0))), torch.ones(10, 1)
    weights = lattice.weights.clone()
    GaussianFilter(lattice)(values)
    assert torch.equal(lattice.weights, weights)
    assert torch.equal(values, torch.ones(10, 1))


@pytest.mark.parametrize("spread", [1e8, 1e5, np.inf], ids=["no digits left", "too many points", "infinite"])
def test_points_too_far_apart(spread: float) -> None:
    features = torch.zeros(5, 4)
    features[:, 1] = features[::2, 2] = spread
    with pytest.raises(InputError, match="larger deviations"):
        build_lattice(features)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("dimension", "count", "spread"), [(2, 5000, 9.0), (5, 5000, 1.0), (5, 5000, 20.0)])
def test_the_same_lattice_and_filter_on_a_gpu(dimension: int, count: int, spread: float) -> None:
    features = tensor(cloud(dimension, count, spread))
    here, there = build_lattice(features), build_lattice(features.to("cuda"))
    for name in ("corners", "weights", "order", "following"):
        assert torch.equal(getattr(there, name).cpu(), getattr(here, name)), name
    values = torch.rand(count, 7, generator=torch.Generator().manual_seed(0))
    filtered = GaussianFilter(there)(values.to("cuda"))
    assert torch.equal(filtered, GaussianFilter(there)(values.to("cuda")))
    assert torch.allclose(filtered.cpu(), GaussianFilter(here)(values), atol=1e-5)
