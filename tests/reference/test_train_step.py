"""One step of KTSE against what the published code computes from the same outputs of the branches."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.config import DataSettings
from ktse.localization.erasing import erase, join_pairs
from ktse.localization.pseudo_labels import pseudo_labels
from ktse.localization.task import ktse_losses
from ktse.recipes import load_recipe
from ktse.types import LocalizerOutput, LossTerms

BRANCHES = ("anchor", "pair", "erased", "joint")
assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
DIALECTS = ("voc12/published", "voc12/full")

Vectors = Mapping[str, Tensor]
Step = tuple[LossTerms, dict[str, LocalizerOutput]]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    with np.load(Path(__file__).parent / "vectors" / "train_step.npz", allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module", params=DIALECTS)
def step(request: pytest.FixtureRequest, vectors: Vectors) -> Step:
    """The losses of a dialect, after the backward pass, and the outputs that hold the gradients."""
    outputs = {}
    for name in BRANCHES:
        cam = vectors[f"{name}/cam_with_background"].clone().requires_grad_()
        logits = vectors["anchor/logits"].clone().requires_grad_()
        outputs[name] = LocalizerOutput(cam_with_background=cam, logits=logits)
    losses = ktse_losses(
        outputs["anchor"],
        outputs["pair"],
        outputs["erased"],
        outputs["joint"],
        images=vectors["images"],
        paired_images=vectors["paired_images"],
        tags=vectors["labels"],
        paired_tags=vectors["paired_labels"],
        settings=load_recipe(request.param).localization,
    )
    torch.autograd.backward(losses.total)
    return losses, outputs


def test_losses(step: Step, vectors: Vectors) -> None:
    terms = step[0].terms
    computed = {
        "total_loss": step[0].total,
        "knowledge_transfer_loss": terms["knowledge_transfer"],
        "simple_foreground_loss": terms["foreground"],
        "inter_class_loss": terms["inter_class"],
        "global_alignment_loss": terms["global_alignment"],
        "local_alignment_loss": terms["local_alignment"],
        "anchor_regularization_loss": terms["background"] + 0.0125 * terms["foreground"] + 0.005 * terms["inter_class"],
        "joint_regularization_loss": terms["joint_background"] + 0.0125 * terms["joint_foreground"],
    }
    assert set(computed) == {name for name in vectors if name.endswith("_loss")}
    for name, value in computed.items():
        assert_close(value.detach(), vectors[name], msg=f"{name}: {value}, published {vectors[name]}")


@pytest.mark.parametrize("branch", BRANCHES)
def test_gradient_of_the_total_with_respect_to_a_branch(branch: str, step: Step, vectors: Vectors) -> None:
    gradient = step[1][branch].cam_with_background.grad
    expected = vectors[f"{branch}/grad_cam_with_background"]
    assert gradient is not None
    assert_close(gradient, expected)
    # gradients are small: the largest deviation is held against the largest gradient as well
    assert (gradient - expected).abs().max() < 1e-4 * expected.abs().max()


def test_gradient_with_respect_to_the_tag_logits(step: Step, vectors: Vectors) -> None:
    gradient = step[1]["anchor"].logits.grad
    assert gradient is not None
    torch.testing.assert_close(gradient, vectors["anchor/grad_logits"], rtol=1e-4, atol=1e-7)
    assert all(step[1][name].logits.grad is None for name in BRANCHES[1:]), "only the anchor is classified"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pseudo_labels_of_the_pairs(dialect: str, vectors: Vectors) -> None:
    data = DataSettings()
    labels = pseudo_labels(
        vectors["paired_images"],
        vectors["pair/cam_with_background"][:, 1:],
        vectors["paired_labels"],
        load_recipe(dialect).localization,
        mean=data.mean,
        std=data.std,
    )
    assert torch.equal(labels, vectors["paired_pseudo_label"].long())


def test_pseudo_labels_of_the_anchors(step: Step, vectors: Vectors) -> None:
    assert step[0].pseudo_labels is not None
    assert torch.equal(step[0].pseudo_labels, vectors["pseudo_label"].long())


def test_what_the_network_is_shown(vectors: Vectors) -> None:
    cam = vectors["anchor/cam_with_background"][:, 1:]
    erased = erase(vectors["images"], cam, vectors["labels"])
    joint = join_pairs(vectors["images"], vectors["paired_images"])
    assert_close(erased, vectors["erased_input"])
    assert_close(joint, vectors["joint_input"])
    assert 0 < (erased == 0).float().mean() < 1, "the vectors erase something, not all"
