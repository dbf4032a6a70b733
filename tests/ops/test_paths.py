from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.errors import InputError
from ktse.ops.paths import destinations, path, path_affinity, reach
from reference.random_walk_oracle import dense_affinity, straight_path


@pytest.mark.parametrize(("radius", "count"), [(1, 0), (2, 4), (5, 34), (10, 152)])
def test_number_of_destinations(radius: int, count: int) -> None:
    assert len(destinations(radius)) == count
    assert len(set(destinations(radius))) == count


def test_order_of_destinations_is_the_published_one() -> None:
    offsets = destinations(5)
    assert offsets[:6] == ((0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (1, -1))
    assert offsets[-3:] == ((2, 4), (4, -2), (4, 2))


@pytest.mark.parametrize("radius", [2, 3, 6, 10])
def test_each_near_cell_is_a_destination_once_or_its_opposite_is(radius: int) -> None:
    span = range(-radius, radius + 1)
    near = {(y, x) for y in span for x in span if 0 < y * y + x * x < radius**2}
    ahead = set(destinations(radius))
    assert ahead | {(-y, -x) for y, x in ahead} == near
    assert not ahead & {(-y, -x) for y, x in ahead}


def test_index_sums_of_a_grid_of_16_by_16() -> None:
    """REFERENCE A6: sums over all flat indices of sources, destinations and path cells."""
    sources = [(y, x) for y in range(16 - reach(5)) for x in range(reach(5), 16 - reach(5))]

    def index_sum(offsets: list[tuple[int, int]]) -> int:
        return sum((y + dy) * 16 + x + dx for y, x in sources for dy, dx in offsets)

    assert len(sources) == 96
    assert index_sum([(0, 0)]) == 9_168
    assert index_sum(list(destinations(5))) == 417_120
    assert index_sum([cell for destination in destinations(5) for cell in path(destination)]) == 2_641_440


@pytest.mark.parametrize("destination", destinations(7), ids=str)
def test_path_holds_the_cells_near_the_line_from_far_to_near(destination: tuple[int, int]) -> None:
    cells = path(destination)
    assert sorted(cells) == sorted(straight_path((0, 0), destination))
    assert (cells[0], cells[-1]) == (destination, (0, 0))


def test_affinity_of_a_published_example() -> None:
    """REFERENCE A6: edges from a sine, 16 x 16, radius 5."""
    wave = np.sin(0.7 * np.arange(256) + 0.3).reshape(1, 16, 16).astype(np.float32)
    edge = torch.sigmoid(2 * torch.from_numpy(wave))
    affinity = path_affinity(edge, radius=5)
    assert affinity.shape == (1, 34, 12, 8)
    assert affinity.sum().item() == pytest.approx(610.42352, rel=1e-5)
    torch.testing.assert_close(
        affinity[0, 0].flatten()[:3], torch.tensor([0.4792216, 0.7727168, 0.8540729]), rtol=1e-5, atol=1e-6
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 4), st.integers(0, 2), st.integers(0, 2), st.integers(0, 99))
def test_affinity_equals_the_matrix_pair_by_pair(radius: int, more_rows: int, more_columns: int, seed: int) -> None:
    height, width = reach(radius) + 1 + more_rows, 2 * reach(radius) + 1 + more_columns
    edge = np.random.default_rng(seed).random((height, width))
    matrix = dense_affinity(edge, radius)
    affinity = path_affinity(torch.from_numpy(edge), radius=radius)
    for channel, (dy, dx) in zip(affinity, destinations(radius), strict=True):
        for y in range(height - reach(radius)):
            for x in range(reach(radius), width - reach(radius)):
                expected = matrix[y * width + x, (y + dy) * width + x + dx]
                assert channel[y, x - reach(radius)].item() == pytest.approx(expected)


def test_gradient_reaches_only_the_strongest_edge_of_a_path() -> None:
    edge = torch.tensor([[0.1, 0.2, 0.9, 0.3, 0.0], [0.0] * 5, [0.0] * 5], requires_grad=True)
    path_affinity(edge, radius=3)[destinations(3).index((0, 2)), 0, 0].backward()
    assert edge.grad is not None
    assert edge.grad.nonzero().tolist() == [[0, 2]]
    assert edge.grad[0, 2] == -1


def test_no_destinations_below_radius_2() -> None:
    assert path_affinity(torch.rand(2, 3, 4), radius=1).shape == (2, 0, 3, 4)


def test_a_grid_without_a_source_is_an_error() -> None:
    with pytest.raises(InputError, match="8 x 8 cells has no source for paths of radius 5"):
        path_affinity(torch.rand(8, 8), radius=5)
