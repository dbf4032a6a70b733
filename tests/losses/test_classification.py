from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ktse.losses.classification import classification_loss
from reference.losses_oracle import classification


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tags() -> Tensor:
    return torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.float64)


def test_value_by_hand() -> None:
    """sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4."""
    logits = torch.tensor([[math.log(3), -math.log(3)], [0.0, math.log(3)]])
    loss = classification_loss(logits, torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    expected = -(math.log(3 / 4) + math.log(1 / 4) + math.log(1 / 2) + math.log(1 / 4)) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_is_the_mean_of_the_terms(logits: Tensor, tags: Tensor) -> None:
    loss = classification_loss(logits, tags)
    assert loss.item() == pytest.approx(classification(logits.numpy(), tags.numpy()), rel=1e-12)


def test_is_the_multi_label_soft_margin_loss(logits: Tensor, tags: Tensor) -> None:
    torch.testing.assert_close(
        classification_loss(logits, tags), torch.nn.functional.multilabel_soft_margin_loss(logits, tags)
    )


def test_integer_tags_say_the_same(logits: Tensor, tags: Tensor) -> None:
    assert torch.equal(classification_loss(logits, tags.long()), classification_loss(logits, tags))


def test_gradient(logits: Tensor, tags: Tensor) -> None:
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: classification_loss(values, tags), (logits,))


def test_gradient_lifts_present_and_lowers_absent_classes(logits: Tensor, tags: Tensor) -> None:
    classification_loss(logits.requires_grad_(), tags).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad < 0, tags > 0)


def test_large_logits_stay_finite() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = classification_loss(logits, torch.tensor([[0.0, 1.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[0.5, -0.5]]))


def test_no_image_gives_zero() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = classification_loss(logits, torch.zeros(0, 3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None


def test_order_of_classes_does_not_matter(logits: Tensor, tags: Tensor) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(classification_loss(logits[:, order], tags[:, order]), classification_loss(logits, tags))
