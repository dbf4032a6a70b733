from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.ops.cam import (
    EPSILON,
    Normalization,
    full_size_scores,
    max_normalize,
    min_max_normalize,
    normalize,
    positive_max_normalize,
    select_present,
    signed_max_normalize,
    strongest_activation,
)
from ktse.ops.resize import resize_to
from ktse.types import CamSet

NAMES: tuple[Normalization, ...] = get_args(Normalization)
TAGS = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


@pytest.fixture
def cam() -> Tensor:
    return torch.randn(3, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(9))


def normalized_by_hand(plane: Tensor, name: Normalization) -> list[float]:
    """One map, value by value (REFERENCE 3.1 step 2, 3.3 step 2, 3.4 #6)."""
    raw = plane.flatten().tolist()
    positive = [max(value, 0.0) for value in raw]
    low, high = min(positive), max(positive)
    match name:
        case "min_max":
            return [max(value - low - 1e-5, 0) / (high - low + 1e-5) for value in positive]
        case "max" | "relu_max":
            return [value / (high + 1e-5) for value in positive]
        case "signed_max":
            return [value / (max(raw) + 1e-5) for value in raw]
        case "positive_max":
            return [value / (high + 1e-5) for value in raw]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("offset", [0.0, 3.0, -4.0], ids=["mixed_signs", "all_positive", "all_negative"])
def test_each_map_value_by_value(cam: Tensor, name: Normalization, offset: float) -> None:
    normalized = normalize(cam + offset, name)
    for plane, result in zip((cam + offset).flatten(0, 1), normalized.flatten(0, 1), strict=True):
        assert result.flatten().tolist() == pytest.approx(normalized_by_hand(plane, name), rel=1e-9)


def test_normalizations_differ(cam: Tensor) -> None:
    """On maps above 1 with a positive minimum, and on maps below 0."""
    above, below = cam[:1].abs() + 1, -cam[:1].abs() - 1
    assert not min_max_normalize(above).allclose(max_normalize(above), atol=1e-2)
    results = [max_normalize(below), signed_max_normalize(below), positive_max_normalize(below)]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert not results[one].allclose(results[other], atol=1e-2)


def test_map_below_zero_flips_its_sign_only_as_published(cam: Tensor) -> None:
    below = -cam.abs() - 0.5
    assert (signed_max_normalize(below) > 0.9).all()
    assert (positive_max_normalize(below) <= -0.5 / EPSILON).all()
    assert not max_normalize(below).any()


@pytest.mark.parametrize("name", NAMES)
def test_flat_zero_map_stays_zero(name: Normalization) -> None:
    assert not normalize(torch.zeros(1, 1, 2, 3), name).any()


@pytest.mark.parametrize("name", NAMES)
def test_normalization_commutes_with_mirroring(cam: Tensor, name: Normalization) -> None:
    torch.testing.assert_close(normalize(cam.flip(-1), name), normalize(cam, name).flip(-1))


def test_present_classes_come_first_in_ascending_order(cam: Tensor) -> None:
    maps, classes, is_present = select_present(cam, TAGS)
    assert is_present.tolist() == [[True, True], [True, False], [False, False]]
    assert classes[is_present].tolist() == [1, 3, 2]
    assert torch.equal(maps[is_present], cam[TAGS > 0])
    for image in range(3):
        assert torch.equal(maps[image], cam[image, classes[image]])


def test_without_any_class_one_marked_place_is_left(cam: Tensor) -> None:
    maps, classes, is_present = select_present(cam, torch.zeros(3, 4))
    assert tuple(maps.shape) == (3, 1, 3, 5)
    assert tuple(classes.shape) == (3, 1)
    assert not is_present.any()


def test_selection_passes_the_gradient_to_present_classes_alone(cam: Tensor) -> None:
    maps, _, is_present = select_present(cam.requires_grad_(), TAGS)
    maps[is_present].sum().backward()
    assert cam.grad is not None
    assert torch.equal(cam.grad, TAGS[:, :, None, None].expand_as(cam).double())


@pytest.mark.parametrize("name", ["min_max", "max"])
@pytest.mark.parametrize("size", [None, (7, 8)], ids=["own_size", "image_size"])
def test_strongest_is_the_maximum_over_the_classes_of_the_image(
    cam: Tensor, name: Normalization, size: tuple[int, int] | None
) -> None:
    strongest = strongest_activation(cam, TAGS, size=size, normalization=name)
    full = cam.relu() if size is None else resize_to(cam.relu(), size)
    expected = (normalize(full, name) * TAGS[:, :, None, None]).amax(dim=1, keepdim=True)
    torch.testing.assert_close(strongest, expected)
    assert not strongest[2].any()


def test_published_sum_of_the_strongest_activation() -> None:
    """REFERENCE A4."""
    flat = 2 * np.sin(0.29 * np.arange(2 * 20 * 8 * 8) + 0.2)
    tags = torch.zeros(2, 20)
    tags[0, 3] = 1
    tags[1, [0, 7, 19]] = 1
    strongest = strongest_activation(
        torch.from_numpy(flat.reshape(2, 20, 8, 8).astype(np.float32)), tags, size=(64, 64)
    )
    assert strongest.sum().item() == pytest.approx(3800.0833, rel=1e-6)
    assert (strongest > 0.2).float().mean().item() == pytest.approx(0.7600098, rel=1e-6)
    assert (strongest < 0.6).float().mean().item() == pytest.approx(0.6635742, rel=1e-6)


def test_strongest_activation_ignores_the_order_of_classes(cam: Tensor) -> None:
    order = torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(
        strongest_activation(cam[:, order], TAGS[:, order]), strongest_activation(cam, TAGS), rtol=0, atol=0
    )


def test_strongest_activation_commutes_with_mirroring(cam: Tensor) -> None:
    mirrored = strongest_activation(cam.flip(-1), TAGS, size=(6, 9))
    torch.testing.assert_close(mirrored, strongest_activation(cam, TAGS, size=(6, 9)).flip(-1))


@pytest.mark.parametrize("size", [(9, 9), (4, 13)], ids=["up", "odd"])
def test_constant_maps_stay_constant_at_full_size(size: tuple[int, int]) -> None:
    scores = full_size_scores(CamSet(np.full((2, 3, 4), 0.25, np.float16), np.array([0, 1]), size))
    assert tuple(scores.shape) == (2, *size)
    torch.testing.assert_close(scores, torch.full_like(scores, 0.25))


def test_no_class_gives_no_map() -> None:
    none = CamSet(np.zeros((0, 2, 2), np.float16), np.zeros(0, np.int64), (6, 5))
    assert tuple(full_size_scores(none).shape) == (0, 6, 5)
