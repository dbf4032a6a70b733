from __future__ import annotations

import numpy as np
import pytest
import torch

from ktse.errors import InputError
from ktse.ops.mean_field import Kernel, mean_fields
from reference.dense_crf_oracle import mean_field_by_loops

COSTS = (2.0, 5.0)


def matrices(count: int) -> list[tuple[np.ndarray, float]]:
    rng = np.random.default_rng(0)
    return [(rng.random((count, count)).astype(np.float32) / count, cost) for cost in COSTS]


def kernels(count: int) -> list[Kernel]:
    return [(torch.from_numpy(kernel).matmul, cost) for kernel, cost in matrices(count)]


def shares(count: int, labels: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(labels).dirichlet(np.ones(labels), count).astype(np.float32))


@pytest.mark.parametrize("labels", [2, 3, 15, 16, 21])
def test_against_loops(labels: int) -> None:
    given = shares(12, labels)
    given[0] = torch.eye(labels)[1]  # what is 0 can still be won back
    (ours,) = mean_fields([given], kernels(12), iterations=4)
    expected = mean_field_by_loops(given.double().numpy(), matrices(12), 4)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_several_keep_apart_whatever_their_numbers_of_labels() -> None:
    several = [shares(10, labels) for labels in (3, 1, 18, 3)]
    before = [given.clone() for given in several]
    together = mean_fields(several, kernels(10), iterations=5)
    for ours, given in zip(together, several, strict=True):
        np.testing.assert_allclose(ours, mean_field_by_loops(given.double().numpy(), matrices(10), 5), atol=1e-5)
    assert all(torch.equal(now, then) for now, then in zip(several, before, strict=True))


def test_without_kernels_or_iterations_probabilities_are_normalised() -> None:
    given = shares(6, 4)
    for ours in (mean_fields([given / 3], (), iterations=7), mean_fields([given / 3], kernels(6), iterations=0)):
        assert torch.allclose(ours[0], given.clamp(min=3e-5) / given.clamp(min=3e-5).sum(1, keepdim=True), atol=1e-5)


def test_negative_iterations() -> None:
    with pytest.raises(InputError, match="iterations are -1, expected 0 or more"):
        mean_fields([shares(2, 2)], (), iterations=-1)
