from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ktse.losses.self_supervised import PseudoLabelLoss, pseudo_label_loss
from reference.losses_oracle import cross_entropy, mean_or_zero

FOREGROUND_WEIGHT = 0.0125


@pytest.fixture
def activation() -> Tensor:
    """(B=3, L=4, 3, 4), as raw as it leaves the network."""
    return 2 * torch.randn(3, 4, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def labels() -> Tensor:
    """The first image has class 2 alone; all have ignored pixels."""
    drawn = torch.randint(0, 4, (3, 3, 4), generator=torch.Generator().manual_seed(3))
    drawn[0][drawn[0] > 0] = 2
    drawn[:, 1, 1] = 255
    return drawn


IS_SIMPLE = torch.tensor([True, False, False])


def weighted(loss: PseudoLabelLoss) -> Tensor:
    return loss.background + FOREGROUND_WEIGHT * loss.foreground


def test_values_by_hand() -> None:
    """Softmax of (log 3, 0) is (3/4, 1/4); one background pixel, one of the class, one ignored."""
    activation = torch.tensor([[[[math.log(3), math.log(3), 5.0]], [[0.0, 0.0, -7.0]]]])
    loss = pseudo_label_loss(activation, torch.tensor([[[0, 1, 255]]]))
    assert loss.background.item() == pytest.approx(math.log(4 / 3), rel=1e-6)
    assert loss.foreground.item() == pytest.approx(math.log(4), rel=1e-6)


@pytest.mark.parametrize("clip", [True, False], ids=["clipped", "raw"])
@pytest.mark.parametrize("count", [None, 29], ids=["per_group", "pooled"])
@pytest.mark.parametrize("foreground_images", [None, IS_SIMPLE], ids=["all_images", "simple_images"])
def test_are_the_means_of_the_terms(
    activation: Tensor, labels: Tensor, clip: bool, count: int | None, foreground_images: Tensor | None
) -> None:
    activation = activation.relu() if clip else activation
    background, foreground = cross_entropy(
        activation.numpy(),
        labels.numpy(),
        foreground_images=None if foreground_images is None else foreground_images.numpy(),
    )
    loss = pseudo_label_loss(
        activation,
        labels,
        foreground_images=foreground_images,
        count=None if count is None else torch.tensor(count),
    )
    if count is None:
        expected = mean_or_zero(background), mean_or_zero(foreground)
    else:
        expected = sum(background) / count, sum(foreground) / count
    assert tuple(part.item() for part in loss) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("setting", ["clip", "count", "foreground_images"])
def test_setting_makes_a_difference(activation: Tensor, labels: Tensor, setting: str) -> None:
    published = pseudo_label_loss(activation.relu(), labels, foreground_images=IS_SIMPLE)
    pooled = (labels != 255).sum() if setting == "count" else None
    other = pseudo_label_loss(
        activation if setting == "clip" else activation.relu(),
        labels,
        foreground_images=None if setting == "foreground_images" else IS_SIMPLE,
        count=pooled,
    )
    assert other.foreground.item() != pytest.approx(published.foreground.item(), rel=1e-2)
    # Only the foreground asks which images take part.
    is_same = other.background.item() == pytest.approx(published.background.item(), rel=1e-2)
    assert is_same == (setting == "foreground_images")


def test_pooled_parts_add_up_to_the_plain_cross_entropy(activation: Tensor, labels: Tensor) -> None:
    loss = pseudo_label_loss(activation, labels, count=(labels != 255).sum())
    plain = torch.nn.functional.cross_entropy(activation, labels, ignore_index=255)
    torch.testing.assert_close(loss.background + loss.foreground, plain)


def test_gradient(activation: Tensor, labels: Tensor) -> None:
    def loss(values: Tensor) -> Tensor:
        return weighted(pseudo_label_loss(values, labels, foreground_images=IS_SIMPLE))

    assert torch.autograd.gradcheck(loss, (activation.requires_grad_(),))


def test_gradient_reaches_labelled_pixels_alone(activation: Tensor, labels: Tensor) -> None:
    loss = pseudo_label_loss(activation.requires_grad_(), labels, foreground_images=IS_SIMPLE)
    reaches = [torch.autograd.grad(part, activation, retain_graph=True)[0].any(dim=1) for part in loss]
    is_foreground = (labels > 0) & (labels != 255)
    assert torch.equal(reaches[0], labels == 0)
    assert torch.equal(reaches[1], is_foreground & IS_SIMPLE[:, None, None])


def test_gradient_lifts_the_labelled_channel(activation: Tensor, labels: Tensor) -> None:
    weighted(pseudo_label_loss(activation.requires_grad_(), labels)).backward()
    assert activation.grad is not None
    is_labelled = torch.nn.functional.one_hot(labels.clamp(max=4), 5)[..., :4].movedim(-1, 1) > 0
    assert torch.equal(activation.grad < 0, is_labelled)


@pytest.mark.parametrize(
    ("value", "empty_parts"),
    [(255, (True, True)), (0, (False, True)), (2, (True, False))],
    ids=["all_ignored", "background_alone", "one_class_alone"],
)
def test_part_without_pixels_is_zero(activation: Tensor, value: int, empty_parts: tuple[bool, bool]) -> None:
    activation.requires_grad_()
    loss = pseudo_label_loss(activation, torch.full((3, 3, 4), value))
    assert tuple(part.item() == 0 for part in loss) == empty_parts
    weighted(loss).backward()
    assert activation.grad is not None
    assert activation.grad.isfinite().all()


@pytest.mark.parametrize("images", [3, 0], ids=["no_simple_image", "no_image"])
def test_no_image_gives_zero(activation: Tensor, labels: Tensor, images: int) -> None:
    activation.requires_grad_()
    nowhere = torch.zeros(images, dtype=torch.bool)
    loss = pseudo_label_loss(activation[:images], labels[:images], foreground_images=nowhere)
    assert loss.foreground.item() == 0
    assert (loss.background.item() == 0) == (images == 0)
    assert loss.foreground.requires_grad and loss.background.requires_grad


def test_order_of_classes_does_not_matter(activation: Tensor, labels: Tensor) -> None:
    """The background stays in front; new channel n holds what channel order[n] held."""
    order = torch.tensor([0, 3, 1, 2])
    renamed = torch.cat([order.argsort(), torch.full((252,), 255)])[labels]
    assert not torch.equal(renamed, labels)
    torch.testing.assert_close(
        pseudo_label_loss(activation[:, order], renamed, foreground_images=IS_SIMPLE),
        pseudo_label_loss(activation, labels, foreground_images=IS_SIMPLE),
    )


def test_mirroring_all_maps_leaves_the_value(activation: Tensor, labels: Tensor) -> None:
    mirrored = pseudo_label_loss(activation.flip(-1), labels.flip(-1), foreground_images=IS_SIMPLE)
    torch.testing.assert_close(mirrored, pseudo_label_loss(activation, labels, foreground_images=IS_SIMPLE))
