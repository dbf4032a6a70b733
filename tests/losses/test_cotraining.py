from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.losses.cotraining import cross_label_loss, trusted_label_loss
from reference.cotraining_oracle import co_training_losses

SHAPE = (2, 5, 6)


def pixels(seed: int, num_labels: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Two outputs, labels of which some are ignored, trust and boundary."""
    generator = torch.Generator().manual_seed(seed)
    size = (SHAPE[0], num_labels, *SHAPE[1:])
    outputs = [3 * torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(2)]
    labels = torch.randint(0, num_labels, SHAPE, generator=generator)
    labels[torch.rand(SHAPE, generator=generator) < 0.2] = 255
    trusted, boundary = (torch.rand(SHAPE, generator=generator) < 0.5 for _ in range(2))
    return outputs[0], outputs[1], labels, trusted, boundary


@pytest.mark.parametrize("num_labels", [2, 5], ids=["one class", "several classes"])
@pytest.mark.parametrize("weights", [(0.2, 0.0), (1.5, 0.7)], ids=["published weights", "other weights"])
def test_losses_agree_with_the_equations(num_labels: int, weights: tuple[float, float]) -> None:
    one, two, labels, trusted, boundary = pixels(num_labels, num_labels)
    slow = co_training_losses(
        (one.numpy(), two.numpy()),
        labels.numpy(),
        trusted.numpy(),
        boundary.numpy(),
        boundary_weight=weights[0],
        cross_boundary_weight=weights[1],
    )
    fast = {
        "trusted_1": trusted_label_loss(one, labels, trusted, boundary, boundary_weight=weights[0]),
        "trusted_2": trusted_label_loss(two, labels, trusted, boundary, boundary_weight=weights[0]),
        "cross_1": cross_label_loss(one, two.argmax(1), trusted, boundary, boundary_weight=weights[1]),
        "cross_2": cross_label_loss(two, one.argmax(1), trusted, boundary, boundary_weight=weights[1]),
    }
    assert {name: loss.item() for name, loss in fast.items()} == pytest.approx(slow, rel=1e-12)


def test_pixels_that_do_not_count_stay_in_the_denominator() -> None:
    """Value by hand: of four pixels, one counts; it is log 2."""
    labels, trusted = torch.tensor([[[0, 255, 1, 1]]]), torch.tensor([[[True, True, False, False]]])
    loss = trusted_label_loss(torch.zeros(1, 2, 1, 4), labels, trusted, torch.zeros_like(trusted))
    assert loss.item() == pytest.approx(np.log(2) / 4)


def test_the_wide_ignore_label() -> None:
    labels, trusted = torch.tensor([[[0, 65535]]]), torch.tensor([[[True, True]]])
    loss = trusted_label_loss(torch.zeros(1, 2, 1, 2), labels, trusted, ~trusted, ignore_index=65535)
    assert loss.item() == pytest.approx(np.log(2) / 2)


def test_gradient_reaches_the_network_that_learns_where_it_learns() -> None:
    one, two, labels, trusted, boundary = pixels(0, 3)
    one.requires_grad_()
    two.requires_grad_()
    cross_label_loss(one, two.argmax(1), trusted, boundary).backward()
    assert two.grad is None
    assert one.grad is not None
    assert torch.equal(one.grad.abs().sum(1) > 0, ~trusted)
    one.grad = None
    trusted_label_loss(one, labels, trusted, boundary).backward()
    assert one.grad is not None
    assert torch.equal(one.grad.abs().sum(1) > 0, trusted & (labels != 255))


@pytest.mark.parametrize("everything", [True, False], ids=["all trusted", "nothing trusted"])
def test_an_empty_part_is_zero_and_can_be_stepped(everything: bool) -> None:
    one, two, labels, _, boundary = pixels(0, 3)
    one.requires_grad_()
    trusted = torch.full(SHAPE, everything)
    cross = cross_label_loss(one, two.argmax(1), trusted, boundary)
    own = trusted_label_loss(one, labels, trusted, boundary)
    (cross if everything else own).backward()
    assert one.grad is not None
    assert not one.grad.any()
    assert (cross.item() == 0, own.item() == 0) == (everything, not everything)
