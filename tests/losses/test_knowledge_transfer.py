from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from ktse.losses.knowledge_transfer import knowledge_transfer_loss
from reference.losses_oracle import knowledge_transfer


class Case(NamedTuple):
    """Two joint images, an anchor above a pair: single and joint CAM (2, 3, 4, 3), classes at each place, halves."""

    single: Tensor
    joint: Tensor
    own: Tensor
    union: Tensor
    upper_half: Tensor


@pytest.fixture
def case() -> Case:
    generator = torch.Generator().manual_seed(1)
    single, joint = torch.randn(2, 2, 3, 4, 3, dtype=torch.float64, generator=generator)
    tags = torch.tensor([[1.0, 0, 0], [1, 1, 0]])[:, :, None, None].expand(2, 3, 2, 3)
    paired_tags = torch.tensor([[1.0, 0, 1], [0, 1, 0]])[:, :, None, None].expand(2, 3, 2, 3)
    upper_half = torch.zeros(2, 1, 4, 3, dtype=torch.bool)
    upper_half[:, :, :2] = True
    either = torch.maximum(tags, paired_tags)
    return Case(single, joint, torch.cat([tags, paired_tags], 2), torch.cat([either, either], 2), upper_half)


PUBLISHED: dict[str, Any] = {"margin": 0.05, "class_reduction": "all"}
SETTINGS: dict[str, tuple[dict[str, Any], bool, bool]] = {  # settings, classes of the union, anchor's half alone
    "published": (PUBLISHED, True, False),
    "paper": ({"margin": 0.0, "class_reduction": "present"}, False, True),
    "no_margin": ({**PUBLISHED, "margin": 0.0}, True, False),
    "present_classes": ({**PUBLISHED, "class_reduction": "present"}, True, False),
    "own_classes": (PUBLISHED, False, False),
    "anchor_half": (PUBLISHED, True, True),
}


def loss_of(case: Case, name: str) -> Tensor:
    settings, union, half = SETTINGS[name]
    present, region = case.union if union else case.own, case.upper_half if half else None
    return knowledge_transfer_loss(case.single, case.joint, present, region=region, **settings)


def test_value_by_hand() -> None:
    """Excesses 0.45, 0 (inside the margin), 0 (the joint image has more), 0.95; the second class is absent."""
    single = torch.tensor([[[[1.0, 0.50], [0.2, 0.0]], [[9.0, 9.0], [9.0, 9.0]]]])
    joint = torch.tensor([[[[0.5, 0.46], [0.9, -1.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    present = torch.tensor([[1.0, 0.0]])[..., None, None]
    assert knowledge_transfer_loss(single, joint, present).item() == pytest.approx((0.45 + 0.95) / 8, rel=1e-5)
    of_present = knowledge_transfer_loss(single, joint, present, class_reduction="present")
    assert of_present.item() == pytest.approx((0.45 + 0.95) / 4, rel=1e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_is_the_mean_of_the_terms(case: Case, name: str) -> None:
    settings, union, half = SETTINGS[name]
    expected = knowledge_transfer(
        case.single.numpy(),
        case.joint.numpy(),
        (case.union if union else case.own).numpy(),
        margin=settings["margin"],
        over=settings["class_reduction"],
        region=case.upper_half.numpy() if half else None,
    )
    assert expected > 0
    assert loss_of(case, name).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "published"])
def test_setting_makes_a_difference(case: Case, name: str) -> None:
    assert loss_of(case, name).item() != pytest.approx(loss_of(case, "published").item(), rel=1e-2)


@pytest.mark.parametrize("name", SETTINGS)
def test_gradient(case: Case, name: str) -> None:
    def loss(single: Tensor, joint: Tensor) -> Tensor:
        return loss_of(case._replace(single=single, joint=joint), name)

    assert torch.autograd.gradcheck(loss, (case.single.requires_grad_(), case.joint.requires_grad_()))


def test_gradient_lifts_the_joint_and_lowers_the_single_images(case: Case) -> None:
    loss = knowledge_transfer_loss(case.single.requires_grad_(), case.joint.requires_grad_(), case.union)
    loss.backward()
    assert case.single.grad is not None and case.joint.grad is not None
    acts = (case.single - case.joint > 0.05) & (case.union > 0)
    assert torch.equal(case.single.grad > 0, acts)
    torch.testing.assert_close(case.joint.grad, -case.single.grad)


def test_detached_anchor_gets_no_gradient_and_leaves_the_value(case: Case) -> None:
    case.single.requires_grad_()
    case.joint.requires_grad_()
    attached = knowledge_transfer_loss(case.single, case.joint, case.union)
    detached = knowledge_transfer_loss(case.single, case.joint, case.union, detach_anchor=True)
    assert torch.equal(attached, detached)
    detached.backward()
    assert case.single.grad is None and case.joint.grad is not None
    assert torch.equal(case.joint.grad, torch.autograd.grad(attached, case.joint)[0])


@pytest.mark.parametrize("reduction", ["all", "present"])
@pytest.mark.parametrize("empty", ["no_class", "no_region", "no_pair"])
def test_nothing_to_compare_gives_zero(case: Case, reduction: Any, empty: str) -> None:
    pairs = slice(0, 0) if empty == "no_pair" else slice(None)
    single, joint = case.single[pairs].requires_grad_(), case.joint[pairs].requires_grad_()
    loss = knowledge_transfer_loss(
        single,
        joint,
        torch.zeros_like(case.union) if empty == "no_class" else case.union[pairs],
        region=torch.zeros_like(case.upper_half) if empty == "no_region" else None,
        class_reduction=reduction,
    )
    loss.backward()
    assert loss.item() == 0
    assert joint.grad is not None and not joint.grad.any()


@pytest.mark.parametrize("name", SETTINGS)
def test_order_of_classes_does_not_matter(case: Case, name: str) -> None:
    single, joint, own, union = (part[:, [2, 0, 1]] for part in case[:4])
    shuffled = Case(single, joint, own, union, case.upper_half)
    torch.testing.assert_close(loss_of(shuffled, name), loss_of(case, name))


@pytest.mark.parametrize("name", SETTINGS)
def test_mirroring_all_maps_leaves_the_value(case: Case, name: str) -> None:
    torch.testing.assert_close(loss_of(Case(*(part.flip(-1) for part in case)), name), loss_of(case, name))
