from __future__ import annotations

import pytest
import torch

from ktse.losses.reduction import ClassReduction, class_mean, masked_mean

VALUES = torch.tensor([[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]], dtype=torch.float64)  # (1, K=3, 2)
TAGS = torch.tensor([[1.0, 1.0, 0.0]])[..., None]


def test_mean_of_what_the_mask_selects() -> None:
    assert masked_mean(torch.tensor([1.0, 3.0, 8.0]), torch.tensor([True, False, True])).item() == 4.5


def test_mask_is_spread_over_the_values() -> None:
    values = torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    assert masked_mean(values, torch.tensor([[False], [True]])).item() == 6.0


def test_given_count_replaces_the_number_of_places() -> None:
    values, mask = torch.tensor([1.0, 3.0, 8.0]), torch.tensor([True, True, False])
    assert masked_mean(values, mask, count=torch.tensor(8)).item() == 0.5


@pytest.mark.parametrize("count", [None, torch.tensor(0)], ids=["own_count", "given_count"])
def test_empty_mask_gives_zero_with_a_gradient_of_zero(count: torch.Tensor | None) -> None:
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    mean = masked_mean(values, torch.tensor([False, False]), count=count)
    mean.backward()
    assert mean.item() == 0
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 0.0]


def test_what_lies_outside_the_mask_may_be_anything() -> None:
    values = torch.tensor([1.0, float("inf"), float("nan")], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, False, False]))
    mean.backward()
    assert mean.item() == 1
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("over", "region", "expected"),
    [
        ("all", None, 33 / 6),
        ("present", None, 33 / 4),
        ("all", [True, False], 11 / 3),
        ("present", [True, False], 11 / 2),
        ("all", [False, False], 0),
        ("present", [False, False], 0),
    ],
    ids=["all", "present", "all_in_region", "present_in_region", "all_nowhere", "present_nowhere"],
)
def test_class_mean_by_hand(over: ClassReduction, region: list[bool] | None, expected: float) -> None:
    where = None if region is None else torch.tensor(region)[None, None]
    assert class_mean(VALUES, TAGS, over=over, region=where).item() == pytest.approx(expected)


def test_presence_may_differ_from_place_to_place() -> None:
    present = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
    assert class_mean(VALUES, present, over="present").item() == pytest.approx(21 / 2)
    assert class_mean(VALUES, present, over="all").item() == pytest.approx(21 / 6)


@pytest.mark.parametrize("over", ["all", "present"])
def test_no_present_class_gives_zero(over: ClassReduction) -> None:
    values = VALUES.clone().requires_grad_()
    mean = class_mean(values, torch.zeros(1, 3, 1), over=over)
    mean.backward()
    assert mean.item() == 0
    assert values.grad is not None


def test_images_weigh_by_their_classes_when_present_ones_count() -> None:
    """One mean over all present classes of the batch, not a mean of the images' means."""
    values = torch.tensor([[3.0, 0.0], [6.0, 9.0]])
    assert class_mean(values, torch.tensor([[1, 0], [1, 1]]), over="present").item() == pytest.approx(18 / 3)
