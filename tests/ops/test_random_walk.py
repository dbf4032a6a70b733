from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.errors import InputError
from ktse.ops.random_walk import neighbours, propagate, transition_weights
from reference.random_walk_oracle import dense_affinity, dense_walk

VECTORS = Path(__file__).parents[1] / "reference" / "vectors" / "random_walk.npz"


def wave(shape: tuple[int, ...], frequency: float, phase: float) -> Tensor:
    return torch.from_numpy(np.sin(frequency * np.arange(np.prod(shape)) + phase).reshape(shape).astype(np.float32))


@pytest.mark.parametrize(("beta", "exp_times"), [(10, 8), (8, 6)])
def test_published_walk(beta: int, exp_times: int) -> None:
    with np.load(VECTORS, allow_pickle=False) as vectors:
        cams, edge = torch.from_numpy(vectors["cams"]), torch.from_numpy(vectors["edge"])
        radius = int(vectors["radius"])
        expected = torch.from_numpy(vectors[f"walked/beta{beta}_times{exp_times}"])
    walked = propagate(cams, edge, radius=radius, beta=beta, steps=2**exp_times)
    torch.testing.assert_close(walked, expected, rtol=1e-3, atol=1e-3 * expected.max().item() * 1e-2)


def test_published_sums() -> None:
    """REFERENCE A7."""
    cams, edge = wave((2, 7, 9), 0.5, 0.2).abs(), torch.sigmoid(3 * wave((1, 7, 9), 0.9, 0.0))
    long = propagate(cams, edge, radius=5, beta=10, steps=2**8)
    assert long.sum((1, 2)).tolist() == pytest.approx([20.002695, 19.945642], rel=1e-4)
    assert long[0, 3, 4].item() == pytest.approx(0.0030782, rel=1e-3)
    assert long[1, 0, 0].item() == pytest.approx(0.1401341, rel=1e-3)
    short = propagate(cams, edge, radius=5, beta=10, steps=2**2)
    assert short.sum((1, 2)).tolist() == pytest.approx([19.882479, 19.840389], rel=1e-5)
    assert short[0, 3, 4].item() == pytest.approx(0.0020111, rel=1e-4)


@pytest.mark.parametrize(
    ("size", "radius", "beta", "exp_times"),
    [
        pytest.param((4, 6), 5, 10, 8, id="reach-of-all-rows"),
        pytest.param((1, 7), 3, 4, 3, id="one-row"),
        pytest.param((6, 1), 4, 2, 5, id="one-column"),
        pytest.param((2, 2), 10, 1, 4, id="radius-beyond-the-grid"),
        pytest.param((5, 7), 2, 7.5, 6, id="radius-2"),
        pytest.param((3, 3), 1, 3, 2, id="radius-1-stays"),
    ],
)
def test_stepping_equals_squaring_the_dense_matrix(
    size: tuple[int, int], radius: int, beta: float, exp_times: int
) -> None:
    random = np.random.default_rng(7)
    cams, edge = random.random((3, *size)), random.random(size)
    expected = dense_walk(cams, edge, radius=radius, beta=beta, exp_times=exp_times)
    walked = propagate(
        torch.from_numpy(cams), torch.from_numpy(edge)[None], radius=radius, beta=beta, steps=2**exp_times
    )
    np.testing.assert_allclose(walked.numpy(), expected, rtol=1e-9, atol=1e-14)


def test_transition_holds_the_columns_of_the_dense_matrix() -> None:
    edge = np.random.default_rng(3).random((4, 5))
    dense = dense_affinity(edge, 3) ** 2
    dense /= dense.sum(axis=0)
    weights = transition_weights(torch.from_numpy(edge), radius=3, beta=2)
    rebuilt = np.zeros((20, 20))
    for weight, (dy, dx) in zip(weights, neighbours(3), strict=True):
        for y in range(4):
            for x in range(5):
                if 0 <= y + dy < 4 and 0 <= x + dx < 5:
                    rebuilt[(y + dy) * 5 + x + dx, y * 5 + x] = weight[y, x].item()
                else:
                    assert weight[y, x] == 0
    np.testing.assert_allclose(rebuilt, dense, rtol=1e-12)


def test_classes_walk_by_themselves_and_linearly() -> None:
    cams, edge = torch.rand(3, 6, 5, dtype=torch.float64), torch.rand(1, 6, 5, dtype=torch.float64)
    together = propagate(cams, edge, steps=12)
    torch.testing.assert_close(together[1:2], propagate(cams[1:2], edge, steps=12))
    torch.testing.assert_close(propagate(cams[:1] + 2 * cams[1:2], edge, steps=12), together[:1] + 2 * together[1:2])


def test_nothing_passes_a_wall() -> None:
    cams, edge = torch.zeros(1, 5, 9), torch.full((1, 5, 9), 0.1)
    cams[..., :4], edge[..., 4] = 1.0, 1.0
    walked = propagate(cams, edge, radius=5, steps=64)
    assert (walked[..., 4:] == 0).all()
    assert (walked[..., :4] > 0).all()


def test_without_steps_only_edges_are_cut_out() -> None:
    cams, edge = torch.rand(2, 3, 4), torch.rand(1, 3, 4)
    torch.testing.assert_close(propagate(cams, edge, steps=0), cams * (1 - edge))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64], ids=str)
def test_type_follows_the_cams_but_is_not_below_float32(dtype: torch.dtype) -> None:
    walked = propagate(torch.rand(1, 3, 3, dtype=dtype), torch.rand(1, 3, 3), steps=2)
    assert walked.dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.parametrize("shape", [(3, 4), (1, 4, 3), (2, 3, 4)], ids=str)
def test_edge_map_of_another_grid_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(K, h, w\) and \(1, h, w\)"):
        propagate(torch.rand(2, 3, 4), torch.rand(shape))
