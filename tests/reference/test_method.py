"""Labels and losses at the size of a training step: appendices A3, A4 and A5 of REFERENCE."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.config import DataSettings, LocalizationSettings
from ktse.localization.branches import needed_branches
from ktse.localization.erasing import join_pairs, kept_region
from ktse.localization.pseudo_labels import pseudo_labels
from ktse.localization.terms import alignment_terms, cross_entropy_terms, full_size_activation, transfer_terms
from ktse.losses.inter_class import inter_class_loss
from ktse.ops.cam import strongest_activation
from ktse.recipes import load_recipe
from ktse.types import LocalizerOutput

SAME_AS_PUBLISHED = ("voc12/published", "voc12/full")


def sine(shape: tuple[int, ...], a: float, b: float) -> Tensor:
    """The tensor S of REFERENCE, appendix A."""
    flat = np.sin(a * np.arange(np.prod(shape)) + b)
    return torch.from_numpy(flat.reshape(shape).astype(np.float32))


IMAGES = sine((2, 3, 64, 64), 0.017, 0)
CAM = 2 * sine((2, 20, 8, 8), 0.29, 0.2)
TAGS = torch.zeros(2, 20)
TAGS[0, 3] = 1
TAGS[1, [0, 7, 19]] = 1


def output_of(cam_with_background: Tensor) -> LocalizerOutput:
    return LocalizerOutput(cam_with_background=cam_with_background, logits=torch.zeros(len(cam_with_background), 20))


def with_background(cam: Tensor) -> LocalizerOutput:
    return output_of(torch.cat([torch.zeros_like(cam[:, :1]), cam], dim=1))


def settings_of(recipe: str) -> LocalizationSettings:
    return load_recipe(recipe).localization


def label(cam: Tensor, settings: LocalizationSettings) -> Tensor:
    data = DataSettings()
    return pseudo_labels(IMAGES, cam, TAGS, settings, mean=data.mean, std=data.std)


def counts(labels: Tensor) -> dict[int, int]:
    return dict(Counter(labels.flatten().tolist()))


@pytest.fixture(scope="module")
def labels() -> Tensor:
    return label(CAM, settings_of("voc12/published"))


@pytest.mark.parametrize("recipe", SAME_AS_PUBLISHED)
def test_a3_pseudo_labels(recipe: str) -> None:
    first, second = label(CAM, settings_of(recipe))
    assert counts(first) == {0: 2664, 4: 764, 255: 668}
    assert counts(second) == {0: 329, 1: 648, 8: 1040, 20: 947, 255: 1132}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [("voc12/published", {4: 4096}), ("voc12/full", {0: 4096}), ("voc12/paper", {0: 4096})],
    ids=["published: the sign flips and the class takes all", "default: mended", "paper: ReLU"],
)
def test_a3_class_that_is_negative_everywhere(recipe: str, expected: dict[int, int], labels: Tensor) -> None:
    cam = CAM.clone()
    cam[0, 3] = -cam[0, 3].abs() - 0.5
    first, second = label(cam, settings_of(recipe))
    assert counts(first) == expected
    if recipe != "voc12/paper":
        assert torch.equal(second, labels[1]), "an image does not change the labels of another"


def test_a4_strongest_activation() -> None:
    strongest = strongest_activation(CAM, TAGS, size=(64, 64))
    assert strongest.sum().item() == pytest.approx(3800.0833, rel=1e-5)
    assert (strongest > 0.2).float().mean().item() == pytest.approx(0.7600098, abs=1e-6)
    assert kept_region(CAM, TAGS, size=(64, 64)).float().mean().item() == pytest.approx(0.6635742, abs=1e-6)


@pytest.mark.parametrize("recipe", SAME_AS_PUBLISHED)
def test_a4_self_supervised_regularization(recipe: str, labels: Tensor) -> None:
    settings = settings_of(recipe)
    logits = 2 * sine((2, 21, 8, 8), 0.41, 0.3)
    step = needed_branches(settings, pairs=2)
    terms = cross_entropy_terms(
        output_of(logits),
        output_of(logits),
        labels,
        None,
        TAGS,
        step,
        settings,
        lambda anchors, _: anchors,  # the appendix takes the same tensors for the joint image
    )
    # The appendix takes objects from the CAM of A3, and activation from these logits.
    strongest = strongest_activation(CAM, TAGS, size=(64, 64), normalization=settings.erase_normalization)
    is_complex = TAGS.sum(dim=1) > 1
    inter_class = inter_class_loss(
        full_size_activation(output_of(logits), IMAGES, settings)[:, 1:],
        (strongest > settings.object_threshold) & is_complex[:, None, None, None],
        detach_maximum=settings.detach_maximum,
        reduction=settings.inter_class_reduction,
    )
    weights = settings.weights
    total = terms["background"] + weights.foreground * terms["foreground"] + weights.inter_class * inter_class
    joint = terms["joint_background"] + weights.joint_foreground * terms["joint_foreground"]
    assert terms["background"].item() == pytest.approx(3.1823699, rel=1e-5)
    assert terms["foreground"].item() == pytest.approx(3.0732074, rel=1e-5)
    assert inter_class.item() == pytest.approx(-0.0411478, rel=1e-5)
    assert total.item() == pytest.approx(3.2205794, rel=1e-5)
    assert joint.item() == pytest.approx(3.2211485, rel=1e-5)


@pytest.mark.parametrize("recipe", SAME_AS_PUBLISHED)
def test_a5_alignment(recipe: str) -> None:
    settings = settings_of(recipe)
    erased = 2 * sine((2, 20, 8, 8), 0.31, 0.7)
    step = needed_branches(settings, pairs=0)
    terms = alignment_terms(with_background(CAM), with_background(erased), TAGS, step, settings)
    assert kept_region(CAM, TAGS).float().mean().item() == 0.5
    assert terms["local_alignment"].item() == pytest.approx(0.0550574, rel=1e-5)
    assert terms["global_alignment"].item() == pytest.approx(0.0044509, rel=2e-5)


@pytest.mark.parametrize("recipe", SAME_AS_PUBLISHED)
def test_a5_knowledge_transfer(recipe: str) -> None:
    """ReLU(F_a - F_m - margin) y; both halves of the joint image are the same here."""
    settings = settings_of(recipe)
    erased = 2 * sine((2, 20, 8, 8), 0.31, 0.7)
    single, joint = with_background(CAM), with_background(join_pairs(erased, erased))
    terms = transfer_terms(single, single, joint, TAGS, TAGS, settings, join_pairs)
    assert terms["knowledge_transfer"].item() == pytest.approx(0.0753460, rel=1e-5)
