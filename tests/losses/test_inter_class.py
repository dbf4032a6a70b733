from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.losses.inter_class import inter_class_loss
from ktse.ops.cam import strongest_activation
from ktse.ops.resize import resize_to
from reference.losses_oracle import inter_class

Reduction = Literal["batch", "image"]
REDUCTIONS: tuple[Reduction, ...] = ("batch", "image")
TOLERANCE = 1e-4  # the constant of 1e-5 beside the number of pixels, which the equation does not have


@pytest.fixture
def activation() -> Tensor:
    return torch.randn(3, 4, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def region() -> Tensor:
    """Many pixels of the first image, two of the second, none of the third."""
    region = torch.zeros(3, 1, 3, 4, dtype=torch.bool)
    region[0, :, :, 1:] = True
    region[1, :, 0, :2] = True
    return region


def test_value_by_hand() -> None:
    """Two images: differences 0.5 - 0.9 and 0.1 - 0.3 in the first, -0.5 - 0.1 in the second."""
    activation = torch.tensor([[[[0.9, 0.3, 8]], [[0.5, 0.1, 0]]], [[[-0.5, 7, 7]], [[0.1, 0, 0]]]])
    region = torch.tensor([[[[True, True, False]]], [[[True, False, False]]]])
    assert inter_class_loss(activation, region).item() == pytest.approx(-(0.4 + 0.2 + 0.6) / 3, rel=TOLERANCE)
    of_images = inter_class_loss(activation, region, reduction="image")
    assert of_images.item() == pytest.approx(-(0.3 + 0.6) / 2, rel=TOLERANCE)


@pytest.mark.parametrize("clip", [True, False], ids=["clipped", "raw"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
def test_is_the_mean_of_the_terms(
    activation: Tensor, region: Tensor, clip: bool, reduction: Reduction, detach: bool
) -> None:
    activation = activation.relu() if clip else activation
    expected = inter_class(activation.numpy(), region.numpy(), reduction=reduction)
    loss = inter_class_loss(activation, region, detach_maximum=detach, reduction=reduction)
    assert expected < 0
    assert loss.item() == pytest.approx(expected, rel=TOLERANCE)


def test_published_value() -> None:
    """REFERENCE A4: the first image has one class, the second has three."""

    def wave(shape: tuple[int, ...], frequency: float, phase: float) -> Tensor:
        return torch.from_numpy(np.sin(frequency * np.arange(np.prod(shape)) + phase).reshape(shape).astype(np.float32))

    tags = torch.zeros(2, 20)
    tags[0, 3] = 1
    tags[1, [0, 7, 19]] = 1
    strongest = strongest_activation(2 * wave((2, 20, 8, 8), 0.29, 0.2), tags, size=(64, 64))
    activation = resize_to((2 * wave((2, 21, 8, 8), 0.41, 0.3)).relu(), (64, 64))[:, 1:]
    region = (strongest > 0.2) & (tags.sum(dim=1) > 1)[:, None, None, None]
    assert inter_class_loss(activation, region).item() == pytest.approx(-0.0411478, rel=1e-4)


@pytest.mark.parametrize(
    ("clip", "reduction"), [(False, "batch"), (True, "image")], ids=["raw_activation", "mean_of_images"]
)
def test_setting_makes_a_difference(activation: Tensor, region: Tensor, clip: bool, reduction: Reduction) -> None:
    published = inter_class_loss(activation.relu(), region)
    other = inter_class_loss(activation.relu() if clip else activation, region, reduction=reduction)
    assert other.item() != pytest.approx(published.item(), rel=1e-2)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient(activation: Tensor, region: Tensor, reduction: Reduction) -> None:
    """With both sides attached: a detached maximum is not what finite differences see."""

    def loss(values: Tensor) -> Tensor:
        return inter_class_loss(values, region, detach_maximum=False, reduction=reduction)

    assert torch.autograd.gradcheck(loss, (activation.requires_grad_(),))


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
def test_gradient_lowers_the_runner_up(activation: Tensor, region: Tensor, detach: bool) -> None:
    inter_class_loss(activation.requires_grad_(), region, detach_maximum=detach).backward()
    assert activation.grad is not None
    rank = activation.argsort(dim=1, descending=True).argsort(dim=1)
    assert torch.equal(activation.grad > 0, (rank == 1) & region)
    assert torch.equal(activation.grad < 0, (rank == 0) & region & (not detach))
    assert activation.grad.amax().item() == pytest.approx(1 / int(region.sum()), rel=TOLERANCE)


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.8, 0.8, 0.3], -0.5), ([0.8, 0.0, 0.0], -0.8), ([0.6, 0.6, 0.6], -0.6), ([0.0, 0.0, 0.0], 0.0), ([0.7], -0.7)],
    ids=["tie_of_two", "one_active", "tie_of_all", "none_active", "one_class"],
)
def test_ties(values: list[float], expected: float, detach: bool) -> None:
    """All that tie for the largest are removed; what is left is compared, 0 where nothing is."""
    activation = torch.tensor(values, dtype=torch.float64)[None, :, None, None].requires_grad_()
    loss = inter_class_loss(activation, torch.ones(1, 1, 1, 1, dtype=torch.bool), detach_maximum=detach)
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=TOLERANCE)
    assert activation.grad is not None
    assert activation.grad.isfinite().all()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("images", [3, 0], ids=["no_object", "no_image"])
def test_empty_region_gives_zero(activation: Tensor, region: Tensor, reduction: Reduction, images: int) -> None:
    activation.requires_grad_()
    loss = inter_class_loss(activation[:images], torch.zeros_like(region[:images]), reduction=reduction)
    loss.backward()
    assert loss.item() == 0
    assert activation.grad is not None and not activation.grad.any()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("change", ["classes_in_another_order", "mirrored"])
def test_value_does_not_depend_on(activation: Tensor, region: Tensor, reduction: Any, change: str) -> None:
    loss = inter_class_loss(activation, region, reduction=reduction)
    if change == "mirrored":
        changed = inter_class_loss(activation.flip(-1), region.flip(-1), reduction=reduction)
    else:
        changed = inter_class_loss(activation[:, [2, 0, 3, 1]], region, reduction=reduction)
    torch.testing.assert_close(changed, loss)
