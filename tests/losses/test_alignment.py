from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.losses.alignment import global_alignment_loss, local_alignment_loss
from ktse.ops.cam import strongest_activation
from reference.losses_oracle import global_alignment, local_alignment


class Case(NamedTuple):
    """CAM of two images and of their erased copies (2, 3, 4, 3), tags, and the cells that were not erased."""

    anchor: Tensor
    erased: Tensor
    tags: Tensor
    kept: Tensor


@pytest.fixture
def case() -> Case:
    generator = torch.Generator().manual_seed(5)
    anchor, erased = torch.randn(2, 2, 3, 4, 3, dtype=torch.float64, generator=generator)
    kept = torch.rand(2, 1, 4, 3, generator=generator) < 0.6
    return Case(anchor, erased, torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), kept)


GLOBAL: dict[str, dict[str, Any]] = {
    "published": {"norm": "l1", "class_reduction": "all"},
    "paper": {"norm": "signed", "class_reduction": "present"},
    "signed": {"norm": "signed", "class_reduction": "all"},
    "present_classes": {"norm": "l1", "class_reduction": "present"},
}
LOCAL: dict[str, tuple[dict[str, Any], bool]] = {  # settings, kept cells alone
    "published": ({"margin": 0.05, "class_reduction": "all"}, True),
    "paper": ({"margin": 0.0, "class_reduction": "present"}, False),
    "no_margin": ({"margin": 0.0, "class_reduction": "all"}, True),
    "present_classes": ({"margin": 0.05, "class_reduction": "present"}, True),
    "all_cells": ({"margin": 0.05, "class_reduction": "all"}, False),
}


def global_loss(case: Case, name: str) -> Tensor:
    return global_alignment_loss(case.anchor, case.erased, case.tags, **GLOBAL[name])


def local_loss(case: Case, name: str) -> Tensor:
    settings, region = LOCAL[name]
    return local_alignment_loss(case.anchor, case.erased, case.tags, kept=case.kept if region else None, **settings)


EVERY_LOSS = [
    *(pytest.param(global_loss, name, id=f"global_{name}") for name in GLOBAL),
    *(pytest.param(local_loss, name, id=f"local_{name}") for name in LOCAL),
]
Loss = Callable[[Case, str], Tensor]


def test_global_value_by_hand() -> None:
    """Means of the positive parts: 0.5 against 0.75, then 2 against 1; the third class is absent."""
    anchor = torch.tensor([[[[1.0, -1.0]], [[2.0, 2.0]], [[9.0, 9.0]]]])
    erased = torch.tensor([[[[1.5, -8.0]], [[0.0, 2.0]], [[0.0, 0.0]]]])
    tags = torch.tensor([[1.0, 1.0, 0.0]])
    assert global_alignment_loss(anchor, erased, tags).item() == pytest.approx((0.25 + 1) / 3)
    signed = global_alignment_loss(anchor, erased, tags, norm="signed", class_reduction="present")
    assert signed.item() == pytest.approx((-0.25 + 1) / 2)


def test_local_value_by_hand() -> None:
    """Excesses 0.45, 0 (inside the margin), 0.95 (erased), 0 (the anchor has more); the second class is absent."""
    anchor = torch.tensor([[[[0.0, 0.50], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    erased = torch.tensor([[[[0.5, 0.54], [1.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]]])
    tags, kept = torch.tensor([[1.0, 0.0]]), torch.tensor([[[[True, True], [False, True]]]])
    assert local_alignment_loss(anchor, erased, tags, kept=kept).item() == pytest.approx(0.45 / 8)
    everywhere = local_alignment_loss(anchor, erased, tags, margin=0, class_reduction="present")
    assert everywhere.item() == pytest.approx((0.5 + 0.04 + 1) / 4)


def test_published_values() -> None:
    """REFERENCE A5."""

    def cam(phase: float, frequency: float) -> Tensor:
        flat = 2 * np.sin(frequency * np.arange(2 * 20 * 8 * 8) + phase)
        return torch.from_numpy(flat.reshape(2, 20, 8, 8).astype(np.float32))

    anchor, erased, tags = cam(0.2, 0.29), cam(0.7, 0.31), torch.zeros(2, 20)
    tags[0, 3] = 1
    tags[1, [0, 7, 19]] = 1
    kept = strongest_activation(anchor, tags) < 0.6
    assert kept.float().mean().item() == 0.5
    assert local_alignment_loss(anchor, erased, tags, kept=kept).item() == pytest.approx(0.0550574, rel=1e-5)
    assert global_alignment_loss(anchor, erased, tags).item() == pytest.approx(0.0044509, rel=1e-4)
    assert local_alignment_loss(erased, anchor, tags).item() == pytest.approx(0.0753460, rel=1e-5)


@pytest.mark.parametrize("name", GLOBAL)
def test_global_is_the_mean_of_the_terms(case: Case, name: str) -> None:
    settings = GLOBAL[name]
    expected = global_alignment(
        case.anchor.numpy(),
        case.erased.numpy(),
        case.tags.numpy(),
        norm=settings["norm"],
        over=settings["class_reduction"],
    )
    assert global_loss(case, name).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", LOCAL)
def test_local_is_the_mean_of_the_terms(case: Case, name: str) -> None:
    settings, region = LOCAL[name]
    expected = local_alignment(
        case.anchor.numpy(),
        case.erased.numpy(),
        case.tags.numpy(),
        margin=settings["margin"],
        over=settings["class_reduction"],
        kept=case.kept.numpy() if region else None,
    )
    assert expected > 0
    assert local_loss(case, name).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "name"), EVERY_LOSS)
def test_setting_makes_a_difference(case: Case, loss: Loss, name: str) -> None:
    is_same = loss(case, name).item() == pytest.approx(loss(case, "published").item(), rel=1e-2)
    assert is_same == (name == "published")


@pytest.mark.parametrize(("loss", "name"), EVERY_LOSS)
def test_gradient(case: Case, loss: Loss, name: str) -> None:
    def of_cams(anchor: Tensor, erased: Tensor) -> Tensor:
        return loss(case._replace(anchor=anchor, erased=erased), name)

    assert torch.autograd.gradcheck(of_cams, (case.anchor.requires_grad_(), case.erased.requires_grad_()))


def test_global_gradient_moves_both_towards_each_other(case: Case) -> None:
    """It reaches the positive cells of present classes: the weaker side goes up and the stronger one down."""
    global_alignment_loss(case.anchor.requires_grad_(), case.erased.requires_grad_(), case.tags).backward()
    difference = case.anchor.relu().mean(dim=(2, 3)) - case.erased.relu().mean(dim=(2, 3))
    pull = (difference.sign() * case.tags)[:, :, None, None]
    assert case.anchor.grad is not None and case.erased.grad is not None
    assert torch.equal(case.anchor.grad.sign(), pull * (case.anchor > 0))
    assert torch.equal(case.erased.grad.sign(), -pull * (case.erased > 0))


@pytest.mark.parametrize("region", [True, False], ids=["kept_cells", "all_cells"])
def test_local_gradient_lifts_the_anchor_and_lowers_the_erased_copy(case: Case, region: bool) -> None:
    kept = case.kept if region else None
    local_alignment_loss(case.anchor.requires_grad_(), case.erased.requires_grad_(), case.tags, kept=kept).backward()
    acts = (case.erased - case.anchor > 0.05) & (case.tags > 0)[:, :, None, None]
    acts = acts & case.kept if region else acts
    assert case.anchor.grad is not None and case.erased.grad is not None
    assert torch.equal(case.anchor.grad < 0, acts)
    torch.testing.assert_close(case.erased.grad, -case.anchor.grad)


@pytest.mark.parametrize("empty", ["no_class", "no_image"])
@pytest.mark.parametrize(("loss", "name"), EVERY_LOSS)
def test_nothing_to_compare_gives_zero(case: Case, loss: Loss, name: str, empty: str) -> None:
    changed = Case(*(part[:0] for part in case)) if empty == "no_image" else case._replace(tags=0 * case.tags)
    changed.anchor.requires_grad_()
    changed.erased.requires_grad_()
    value = loss(changed, name)
    value.backward()
    assert value.item() == 0
    for cam in (changed.anchor, changed.erased):
        assert cam.grad is not None and not cam.grad.any()


def test_local_loss_is_zero_where_all_is_erased(case: Case) -> None:
    loss = local_alignment_loss(
        case.anchor,
        case.erased.requires_grad_(),
        case.tags,
        kept=torch.zeros_like(case.kept),
        class_reduction="present",
    )
    loss.backward()
    assert loss.item() == 0
    assert case.erased.grad is not None and not case.erased.grad.any()


@pytest.mark.parametrize("loss", [global_loss, local_loss], ids=["global", "local"])
def test_reductions_agree_on_a_single_class(case: Case, loss: Loss) -> None:
    single = Case(case.anchor[:, :1], case.erased[:, :1], torch.ones(2, 1), case.kept)
    torch.testing.assert_close(loss(single, "published"), loss(single, "present_classes"))


@pytest.mark.parametrize(("loss", "name"), EVERY_LOSS)
def test_order_of_classes_does_not_matter(case: Case, loss: Loss, name: str) -> None:
    order = [2, 0, 1]
    shuffled = Case(case.anchor[:, order], case.erased[:, order], case.tags[:, order], case.kept)
    torch.testing.assert_close(loss(shuffled, name), loss(case, name))


@pytest.mark.parametrize(("loss", "name"), EVERY_LOSS)
def test_mirroring_all_maps_leaves_the_value(case: Case, loss: Loss, name: str) -> None:
    mirrored = Case(case.anchor.flip(-1), case.erased.flip(-1), case.tags, case.kept.flip(-1))
    torch.testing.assert_close(loss(mirrored, name), loss(case, name))
