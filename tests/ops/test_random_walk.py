from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.errors import InputError
from ktse.ops.paths import destinations
from ktse.ops.random_walk import (
    propagate,
    stepping_by_gathering,
    stepping_by_shifts,
    symmetric_transition,
)
from reference.random_walk_oracle import dense_affinity, dense_walk, stepped_walk

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
def test_walk_equals_squaring_the_dense_matrix(size: tuple[int, int], radius: int, beta: float, exp_times: int) -> None:
    random = np.random.default_rng(7)
    cams, edge = random.random((3, *size)), random.random(size)
    expected = dense_walk(cams, edge, radius=radius, beta=beta, exp_times=exp_times)
    walked = propagate(
        torch.from_numpy(cams), torch.from_numpy(edge)[None], radius=radius, beta=beta, steps=2**exp_times
    )
    np.testing.assert_allclose(walked.numpy(), expected, rtol=1e-9, atol=1e-11)


SIZES = [(1, 1), (1, 6), (7, 3), (9, 11), (17, 20)]
EDGES = ["any", "0-or-1", "none", "everywhere"]


def random_maps(size: tuple[int, int], edges: str, classes: int = 2) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(size)
    edge = random.random((1, *size))
    edge = {"any": edge, "0-or-1": edge > 0.7, "none": 0 * edge, "everywhere": 0 * edge + 1}[edges]
    return torch.from_numpy(random.random((classes, *size))), torch.from_numpy(np.asarray(edge, np.float64))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("steps", [0, 1, 2, 7, 256])
def test_walk_equals_stepping_in_float64(size: tuple[int, int], edges: str, steps: int) -> None:
    cams, edge = random_maps(size, edges)
    expected = stepped_walk(cams.numpy(), edge[0].numpy(), radius=5, beta=10, steps=steps)
    single = propagate(cams.float(), edge.float(), steps=steps)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=0, atol=1e-6 * expected.max(initial=0))
    double = propagate(cams, edge, steps=steps)
    np.testing.assert_allclose(double.numpy(), expected, rtol=0, atol=1e-10 * expected.max(initial=0))


def test_error_on_the_grid_of_an_image_of_375_by_500() -> None:
    """At most 1e-5 of the largest value, even where one single cell's score spreads over the grid."""
    height, width = 94, 125
    smooth = torch.nn.functional.interpolate(torch.from_numpy(np.random.default_rng(0).random((1, 3, 8, 9))), (94, 125))
    edge = 0.9 * smooth[:, 0]
    cams = torch.zeros(3, height, width)
    cams[0], cams[1, 40, 60], cams[2, 20:50, 30:90] = smooth[0, 1], 1.0, 0.7
    expected = stepped_walk(cams.double().numpy(), edge[0].numpy(), radius=5, beta=10, steps=256)
    error = np.abs(propagate(cams, edge).numpy() - expected).max(axis=(1, 2))
    assert (error <= 1e-6 * expected.max(axis=(1, 2))).all()


def dense_symmetric(edge: NDArray[np.float64], radius: int, beta: float) -> NDArray[np.float64]:
    affinity = dense_affinity(edge, radius) ** beta
    root = np.sqrt(affinity.sum(axis=0))
    return affinity / root / root[:, None]


@pytest.mark.parametrize("size", [*SIZES, (2, 2), (3, 8), (12, 4)], ids=str)
@pytest.mark.parametrize("classes", [0, 1, 3])
def test_both_ways_to_step_are_products_with_the_symmetric_transition(size: tuple[int, int], classes: int) -> None:
    cams, edge = random_maps(size, "any", classes)
    expected = cams.flatten(1).numpy() @ dense_symmetric(edge[0].numpy(), 5, 10)
    _, half = symmetric_transition(edge[0], radius=5, beta=10)
    for step in (stepping_by_gathering(half, radius=5), stepping_by_shifts(half, radius=5, vectors=classes)):
        for _ in range(2):  # nothing of a step is left for the next one
            np.testing.assert_allclose(step(cams.flatten(1)).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("edges", EDGES)
def test_scores_weighted_with_the_degree_keep_their_sum(edges: str) -> None:
    """T d = A 1 = d for the degrees d: this mass is neither made nor lost."""
    cams, edge = random_maps((9, 11), edges)
    degrees = torch.from_numpy((dense_affinity(edge[0].numpy(), 5) ** 10).sum(axis=0).reshape(9, 11))
    before = (cams * (1 - edge) * degrees).sum((1, 2))
    torch.testing.assert_close((propagate(cams, edge) * degrees).sum((1, 2)), before, rtol=1e-10, atol=0)


def test_equal_scores_stay_equal() -> None:
    _, edge = random_maps((9, 11), "any")
    walked = propagate(0.3 / (1 - edge), edge)
    torch.testing.assert_close(walked, torch.full_like(walked, 0.3), rtol=1e-10, atol=0)


@pytest.mark.parametrize("steps", [1, 7, 256])
def test_results_lie_among_the_scores(steps: int) -> None:
    edge = torch.zeros(1, 6, 40)
    cams = torch.zeros(2, 6, 40)
    cams[0, 0, 0], cams[1] = 1.0, -0.4
    cams[1, 3, :2] = 0.9
    walked = propagate(cams, edge, steps=steps)
    assert walked[0].min() >= 0
    assert walked[0].max() <= 1
    assert walked[1].min() >= torch.tensor(-0.4)
    assert walked[1].max() <= 0.9


def test_half_of_the_symmetric_transition() -> None:
    edge = np.random.default_rng(3).random((4, 5))
    root, half = symmetric_transition(torch.from_numpy(edge), radius=3, beta=2)
    np.testing.assert_allclose(root.flatten() ** 2, (dense_affinity(edge, 3) ** 2).sum(axis=0), rtol=1e-12)
    rebuilt = np.zeros((20, 20))
    for weight, (dy, dx) in zip(half, [(0, 0), *destinations(3)], strict=True):
        for y in range(4):
            for x in range(5):
                if 0 <= y + dy < 4 and 0 <= x + dx < 5:
                    rebuilt[y * 5 + x, (y + dy) * 5 + x + dx] = weight[y, x].item()
                else:
                    assert weight[y, x] == 0
    np.testing.assert_allclose(rebuilt, np.triu(dense_symmetric(edge, 3, 2)), rtol=1e-12)


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


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")], ids=str)
def test_cams_that_are_no_numbers_are_an_error(wrong: float) -> None:
    cams = torch.rand(2, 3, 4)
    cams[1, 2, 0] = wrong
    with pytest.raises(InputError, match="CAMs with NaN or infinity"):
        propagate(cams, torch.rand(1, 3, 4))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.1, 1.1], ids=str)
def test_edges_that_are_no_probabilities_are_an_error(wrong: float) -> None:
    edge = torch.rand(1, 3, 4)
    edge[0, 2, 0] = wrong
    with pytest.raises(InputError, match=r"edge map with NaN or numbers outside \[0, 1\]"):
        propagate(torch.rand(2, 3, 4), edge)


def test_inputs_stay_as_they_are_and_need_no_graph() -> None:
    cams, edge = torch.rand(2, 3, 4, requires_grad=True), torch.rand(1, 3, 4, requires_grad=True)
    before = cams.detach().clone(), edge.detach().clone()
    assert not propagate(cams, edge, steps=3).requires_grad
    assert torch.equal(cams, before[0])
    assert torch.equal(edge, before[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_walk_on_a_cuda_device() -> None:
    cams, edge = random_maps((17, 20), "any")
    walked = propagate(cams.to("cuda"), edge.to("cuda"))
    assert walked.is_cuda
    torch.testing.assert_close(walked.cpu(), propagate(cams, edge), rtol=1e-9, atol=1e-12)
