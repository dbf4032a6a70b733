from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ktse.ops.resize import resize_to


@pytest.fixture
def maps() -> Tensor:
    return torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize(
    ("align_corners", "expected"),
    [(False, [0.0, 0.25, 0.75, 1.0]), (True, [0.0, 1 / 3, 2 / 3, 1.0])],
    ids=["edges", "corners"],
)
def test_values_by_hand(align_corners: bool, expected: list[float]) -> None:
    resized = resize_to(torch.tensor([[[[0.0, 1.0]]]]), (1, 4), align_corners=align_corners)
    assert resized.flatten().tolist() == pytest.approx(expected)


def test_halving_averages_two_by_two() -> None:
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert resize_to(maps, (2, 2)).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_own_size_gives_the_same_tensor(maps: Tensor) -> None:
    assert resize_to(maps, (4, 5)) is maps


@pytest.mark.parametrize("size", [(9, 7), (2, 3), (4, 11), (1, 1)], ids=["up", "down", "wider", "one_cell"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_range(maps: Tensor, size: tuple[int, int], dtype: torch.dtype) -> None:
    resized = resize_to(maps.to(dtype), size)
    assert tuple(resized.shape) == (2, 3, *size)
    assert resized.dtype == dtype
    assert maps.min() <= resized.min() and resized.max() <= maps.max()


@pytest.mark.parametrize("align_corners", [False, True], ids=["edges", "corners"])
def test_mirrored_input_gives_the_mirrored_output(maps: Tensor, align_corners: bool) -> None:
    mirrored = resize_to(maps.flip(-1), (7, 9), align_corners=align_corners)
    torch.testing.assert_close(mirrored, resize_to(maps, (7, 9), align_corners=align_corners).flip(-1))
