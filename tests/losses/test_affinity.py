from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.losses.affinity import affinity_loss, displacement_loss, pair_labels
from ktse.ops.paths import destinations, path_affinity, reach
from reference.affinity_oracle import irn_losses, near_pairs

RADIUS = 3
NAMES = ("positive", "negative", "foreground_displacement", "background_displacement")


def wave(shape: tuple[int, ...], frequency: float, phase: float) -> Tensor:
    return torch.from_numpy(np.sin(frequency * np.arange(np.prod(shape)) + phase).reshape(shape).astype(np.float32))


def losses(edge: Tensor, displacement: Tensor, labels: Tensor, *, radius: int, ignore_index: int = 255) -> list[Tensor]:
    pairs = pair_labels(labels, radius=radius, ignore_index=ignore_index)
    return [
        *affinity_loss(path_affinity(edge, radius=radius), pairs),
        *displacement_loss(displacement, pairs, radius=radius),
    ]


@pytest.fixture
def published_labels() -> Tensor:
    """REFERENCE A6."""
    i, j = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    return torch.where((i * j) % 11 == 0, 255, ((i // 5) + (j // 6)) % 4)[None]


@pytest.fixture
def labels() -> Tensor:
    """Two maps of 6 x 7 cells in which every kind of pair occurs in both."""
    labels = torch.randint(0, 3, (2, 6, 7), generator=torch.Generator().manual_seed(3))
    labels[:, 2, 3] = labels[0, :2, 0] = 255
    return labels


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    edge = torch.rand(2, 6, 7, generator=generator, dtype=torch.float64)
    return edge, 3 * torch.randn(2, 2, 6, 7, generator=generator, dtype=torch.float64)


def test_published_numbers_of_pairs(published_labels: Tensor) -> None:
    assert int((published_labels == 255).sum()) == 60
    pairs = pair_labels(published_labels, radius=5)
    assert [int(kind.sum()) for kind in (pairs.background, pairs.foreground, pairs.different)] == [63, 783, 1149]


def test_published_losses(published_labels: Tensor) -> None:
    """REFERENCE A6."""
    edge, displacement = torch.sigmoid(2 * wave((1, 16, 16), 0.7, 0.3)), 3 * wave((1, 2, 16, 16), 0.23, 0.9)
    values = torch.stack(losses(edge, displacement, published_labels, radius=5))
    torch.testing.assert_close(values, torch.tensor([1.7523236, 0.2101091, 2.7369883, 2.3462398]), rtol=2e-6, atol=1e-7)
    assert values.sum().item() / 2 == pytest.approx(3.5228305, rel=2e-6)


def test_values_and_gradients_are_those_of_the_equations(labels: Tensor) -> None:
    edge, displacement = (tensor.requires_grad_() for tensor in inputs())
    expected = irn_losses(edge, displacement, labels, RADIUS)
    for name, value in zip(NAMES, losses(edge, displacement, labels, radius=RADIUS), strict=True):
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-9)
        own, slow = (
            torch.autograd.grad(loss, (edge, displacement), retain_graph=True, materialize_grads=True)
            for loss in (value, expected[name])
        )
        torch.testing.assert_close(own, slow, rtol=1e-9, atol=1e-12)
        assert any(gradient.any() for gradient in own)


def test_pairs_are_compared_where_they_lie(labels: Tensor) -> None:
    pairs = pair_labels(labels, radius=RADIUS)
    margin, seen = reach(RADIUS), 0
    for (y, x), (v, u) in near_pairs(6, 7, RADIUS):
        place = (0, destinations(RADIUS).index((v - y, u - x)), y, x - margin)
        a, b = int(labels[0, y, x]), int(labels[0, v, u])
        known = 255 not in (a, b)
        assert pairs.background[place] == (known and a == b == 0)
        assert pairs.foreground[place] == (known and a == b > 0)
        assert pairs.different[place] == (known and a != b)
        seen += 1
    assert seen == pairs.background[0].numel()


def test_255_is_a_class_where_another_label_is_ignored() -> None:
    labels = torch.tensor([[[0, 255, 255, 65535], [0, 0, 0, 65535]]])
    pairs = pair_labels(labels, radius=2, ignore_index=65535)
    row = destinations(2).index((0, 1))
    assert pairs.foreground[0, row].tolist() == [[True, False]]
    assert not pairs.different[0, row].any()


def test_cells_that_point_to_one_centre_have_no_loss() -> None:
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    to_the_centre = torch.stack([2.5 - rows, 4 - columns])[None]
    pairs = pair_labels(torch.ones(1, 6, 7, dtype=torch.int64), radius=RADIUS)
    foreground, background = displacement_loss(to_the_centre, pairs, radius=RADIUS)
    assert foreground.item() == background.item() == 0
    agreed, _ = displacement_loss(torch.zeros_like(to_the_centre), pairs, radius=RADIUS)
    assert agreed.item() > 0.5


@pytest.mark.parametrize("label", [255, 0], ids=["ignored", "background"])
def test_kinds_that_do_not_occur_have_loss_zero(label: int) -> None:
    edge, displacement = (tensor.requires_grad_() for tensor in inputs())
    values = losses(edge, displacement, torch.full((2, 6, 7), label), radius=RADIUS)
    is_zero = [value.item() == 0 for value in values]
    assert is_zero == ([True] * 4 if label == 255 else [False, True, True, False])
    gradients = torch.autograd.grad(sum(values, torch.zeros(())), (edge, displacement))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].any() == gradients[1].any() == (label == 0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certain_edges_have_finite_losses(labels: Tensor, value: float) -> None:
    edge = torch.full((2, 6, 7), value, requires_grad=True)
    terms = affinity_loss(path_affinity(edge, radius=RADIUS), pair_labels(labels, radius=RADIUS))
    (gradient,) = torch.autograd.grad(sum(terms, torch.zeros(())), edge)
    assert all(term.isfinite() for term in terms)
    assert gradient.isfinite().all()
    assert gradient.any()
