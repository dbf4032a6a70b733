"""Each difference of paper and published code in losses, labels and masks (REFERENCE 3.4), one setting at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.config import DataSettings, LocalizationSettings
from ktse.localization.task import ktse_losses
from ktse.recipes import load_recipe
from ktse.recipes.dialects import PAPER
from ktse.types import LocalizerOutput, LossTerms
from reference.method_oracle import Step, method_losses, pseudo_label

PUBLISHED = load_recipe("voc12/published").localization.model_copy(
    update={"par_iterations": 2, "par_dilations": (1, 2)}
)
DATA = DataSettings()


def example() -> Step:
    """Four anchors, two pairs, three classes; an image of one class, two of two, and one without tags."""
    rng = np.random.default_rng(3)
    images = rng.normal(size=(4, 3, 12, 12))
    images[..., 10:] = 0  # padding
    anchor = rng.normal(scale=2, size=(4, 4, 4, 4))
    anchor[1, 1:] = abs(anchor[1, 1:]) + 1  # positive everywhere: the minimum is not 0
    erased = rng.normal(scale=2, size=(4, 4, 4, 4))
    erased[1, 1:] = abs(erased[1, 1:]) + 2
    return Step(
        anchor=anchor,
        pair=rng.normal(scale=2, size=(2, 4, 4, 4)),
        erased=erased,
        joint=rng.normal(scale=2, size=(2, 4, 8, 4)),
        images=images,
        paired_images=rng.normal(size=(2, 3, 12, 12)),
        tags=np.array([[1.0, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]]),
        paired_tags=np.array([[1.0, 1, 0], [0, 0, 1]]),
    )


STEP = example()


def tensor(array: Any) -> Tensor:
    return torch.from_numpy(array).float()


def output(array: Any) -> LocalizerOutput:
    return LocalizerOutput(
        cam_with_background=tensor(array).requires_grad_(), logits=torch.zeros(len(array), array.shape[1] - 1)
    )


def losses_of(step: Step, settings: LocalizationSettings) -> tuple[LossTerms, dict[str, LocalizerOutput]]:
    outputs = {name: output(getattr(step, name)) for name in ("anchor", "pair", "erased", "joint")}
    losses = ktse_losses(
        outputs["anchor"],
        outputs["pair"],
        outputs["erased"],
        outputs["joint"],
        images=tensor(step.images),
        paired_images=tensor(step.paired_images),
        tags=tensor(step.tags),
        paired_tags=tensor(step.paired_tags),
        settings=settings,
    )
    return losses, outputs


@cache
def computed_and_expected(*switched: str) -> tuple[dict[str, float], dict[str, float], Any, Any]:
    """Losses and labels of ktse and of the slow oracle with some settings taken from the paper (or another value)."""
    other = {**PAPER, "count_padding": False}
    settings = PUBLISHED.model_copy(update={name: other[name] for name in switched})
    labels, paired_labels = (
        [pseudo_label(image, cam[1:], tags, settings, DATA.mean, DATA.std) for image, cam, tags in images]
        for images in (
            zip(STEP.images, STEP.anchor, STEP.tags, strict=True),
            zip(STEP.paired_images, STEP.pair, STEP.paired_tags, strict=True),
        )
    )
    losses, _ = losses_of(STEP, settings)
    assert losses.pseudo_labels is not None
    terms = {name: term.item() for name, term in losses.terms.items() if name != "classification"}
    expected = method_losses(STEP, labels, paired_labels, settings)
    return terms, expected, losses.pseudo_labels.numpy(), np.array(labels)


CROSS_ENTROPIES = {"background", "foreground", "joint_background", "joint_foreground"}

ROWS = {
    "6: erasing normalised by the maximum": (("erase_normalization",), {"inter_class", "local_alignment"}),
    "6: labels from the ReLU": (
        ("pseudo_label_normalization",),
        {"labels", *CROSS_ENTROPIES},
    ),
    "7, 17: no margin": (("margin",), {"knowledge_transfer", "local_alignment"}),
    "7: anchor's half": (("knowledge_transfer_halves",), {"knowledge_transfer"}),
    "7: own tags": (("knowledge_transfer_tags",), {"knowledge_transfer"}),
    "7, 16: mean over present classes": (
        ("class_reduction",),
        {"knowledge_transfer", "global_alignment", "local_alignment"},
    ),
    "9: hard labels before PAR": (
        ("pseudo_label_input",),
        {"labels", *CROSS_ENTROPIES},
    ),
    "10, 18: pooled pixels": (
        ("cross_entropy_reduction",),
        CROSS_ENTROPIES,
    ),
    "11: foreground of all images": (("foreground_images",), {"foreground"}),
    "12, 14: raw logits": (
        ("clip_logits",),
        {"inter_class", *CROSS_ENTROPIES},
    ),
    "13: anchor's label alone": (("joint_labels",), {"joint_background", "joint_foreground"}),
    "14: mean of image means": (("inter_class_reduction",), {"inter_class"}),
    "16: signed difference": (("global_alignment_norm",), {"global_alignment"}),
    "17: all cells": (("local_alignment_region",), {"local_alignment"}),
    "20: padding left out": (("count_padding",), {"labels", "inter_class", *CROSS_ENTROPIES}),
    "the whole paper": (
        tuple(name for name in PAPER if name != "detach_maximum"),
        {"labels", *PUBLISHED.weights.model_dump()} - {"classification", "erased_classification"},
    ),
}


@pytest.mark.parametrize(("switched", "changed"), ROWS.values(), ids=ROWS.keys())
def test_switching_a_setting_changes_what_it_names(switched: tuple[str, ...], changed: set[str]) -> None:
    """Both sides agree with the oracle, and differ in the named terms alone."""
    published, published_expected, published_labels, published_oracle = computed_and_expected()
    paper, paper_expected, labels, oracle = computed_and_expected(*switched)
    assert published == pytest.approx(published_expected, rel=1e-4, abs=1e-6)
    assert paper == pytest.approx(paper_expected, rel=1e-4, abs=1e-6)
    np.testing.assert_array_equal(published_labels, published_oracle)
    np.testing.assert_array_equal(labels, oracle)

    differing = {name for name in published if abs(published[name] - paper[name]) > 1e-5}
    if not np.array_equal(labels, published_labels):
        differing.add("labels")
    assert differing == changed


def test_the_example_has_every_label() -> None:
    _, _, labels, _ = computed_and_expected()
    assert set(np.unique(labels)) == {0, 1, 2, 3, 255}
    assert set(np.unique(labels[3])) <= {0, 255}, "the image without tags has no foreground"


@pytest.mark.parametrize(("detach_maximum", "expected"), [(True, 1.0), (False, 0.0)], ids=["published", "paper"])
def test_row_14_gradient_of_the_maximum(detach_maximum: bool, expected: float) -> None:
    """Each pixel pushes the runner-up by 1 / |M| and, in the paper, the largest by -1 / |M|: together 1 or 0."""
    settings = PUBLISHED.model_copy(update={"detach_maximum": detach_maximum})
    step = replace(STEP, anchor=abs(STEP.anchor) + 0.1)  # ReLU stops no gradient
    losses, outputs = losses_of(step, settings)
    (gradient,) = torch.autograd.grad(losses.terms["inter_class"], [outputs["anchor"].cam_with_background])
    assert gradient[:, 1:].sum().item() == pytest.approx(expected, abs=1e-5)
    assert not gradient[:, 0].any(), "the background takes no part"
    assert not gradient[[0, 3]].any(), "nor do images of fewer than two classes"


def test_row_15_objects_are_the_same_in_every_dialect() -> None:
    recipes = [load_recipe(f"voc12/{name}").localization for name in ("full", "published", "paper")]
    assert {settings.object_threshold for settings in recipes} == {0.2}
    higher = losses_of(STEP, PUBLISHED.model_copy(update={"object_threshold": 0.5}))[0]
    assert higher.terms["inter_class"].item() != computed_and_expected()[0]["inter_class"]


@pytest.mark.parametrize("dialect", ["full", "published", "paper"])
@pytest.mark.parametrize(
    ("tags", "cam"),
    [(0.0, None), (1.0, 0.0), (1.0, 5.0), (1.0, -5.0)],
    ids=["no tags", "flat at 0", "flat above 0", "flat below 0"],
)
def test_losses_and_gradients_are_finite(dialect: str, tags: float, cam: float | None) -> None:
    """The published cross-entropy of no pixel is NaN (REFERENCE 7.1 no. 5); here no dialect has that."""
    settings = load_recipe(f"voc12/{dialect}").localization.model_copy(
        update={"par_iterations": 2, "par_dilations": (1, 2)}
    )
    step = replace(
        STEP,
        tags=np.full_like(STEP.tags, tags),
        paired_tags=np.full_like(STEP.paired_tags, tags),
        **({} if cam is None else {"anchor": np.full_like(STEP.anchor, cam), "pair": np.full_like(STEP.pair, cam)}),
    )
    losses, outputs = losses_of(step, settings)
    torch.autograd.backward(losses.total)
    assert set(losses.terms) == {name for name, weight in settings.weights if weight}
    assert all(term.isfinite() for term in losses.terms.values())
    for branch in outputs.values():
        assert branch.cam_with_background.grad is not None
        assert branch.cam_with_background.grad.isfinite().all()


@pytest.mark.parametrize("dialect", ["full", "published", "paper"])
def test_cross_entropy_without_any_labelled_pixel_is_0(dialect: str) -> None:
    settings = load_recipe(f"voc12/{dialect}").localization.model_copy(
        update={"par_iterations": 1, "par_dilations": (1,), "count_padding": False}
    )
    step = replace(STEP, images=np.zeros_like(STEP.images), paired_images=np.zeros_like(STEP.paired_images))
    losses, outputs = losses_of(step, settings)
    torch.autograd.backward(losses.total)
    assert losses.pseudo_labels is not None
    assert (losses.pseudo_labels == 255).all()
    assert {losses.terms[name].item() for name in (*CROSS_ENTROPIES, "inter_class")} == {0.0}
    assert all(branch.cam_with_background.grad.isfinite().all() for branch in outputs.values())  # type: ignore[union-attr]
