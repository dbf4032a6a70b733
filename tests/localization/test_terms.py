"""Who is compared with what; the losses themselves are tested in tests/losses, all settings in test_dialects."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from ktse.config import LocalizationSettings
from ktse.errors import InputError
from ktse.localization.branches import needed_branches
from ktse.localization.erasing import join_pairs, paste_pairs
from ktse.localization.terms import (
    Arrange,
    alignment_terms,
    cross_entropy_terms,
    full_size_activation,
    inter_class_terms,
    transfer_terms,
)
from ktse.types import LocalizerOutput

FIRST, SECOND = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def settings_with(**changes: Any) -> LocalizationSettings:
    return LocalizationSettings().model_copy(update=changes)


def output(cam_with_background: Tensor) -> LocalizerOutput:
    size = cam_with_background.shape
    return LocalizerOutput(cam_with_background=cam_with_background, logits=torch.zeros(size[0], size[1] - 1))


def flat(value: float, height: int = 2, *, images: int = 1) -> LocalizerOutput:
    return output(torch.full((images, 3, height, 2), float(value)))


def transfer(single: float, paired: float, joint: float, arrange: Arrange = join_pairs, **changes: Any) -> float:
    """L_kt of an anchor of the first class and a pair of the second, all maps flat."""
    height = 4 if arrange is join_pairs else 2
    settings = settings_with(margin=0.0, **changes)
    terms = transfer_terms(flat(single), flat(paired), flat(joint, height), FIRST, SECOND, settings, arrange)
    return terms["knowledge_transfer"].item()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # single - joint is 3 on the anchor's half and 1 on the pair's
        ({}, (3 + 1 + 3 + 1) / 4),
        ({"knowledge_transfer_tags": "own"}, (3 + 0 + 0 + 1) / 4),
        ({"knowledge_transfer_halves": "anchor"}, (3 + 3) / 2),
        ({"knowledge_transfer_halves": "anchor", "knowledge_transfer_tags": "own"}, (3 + 0) / 2),
        ({"knowledge_transfer_tags": "own", "class_reduction": "present"}, (3 + 1) / 2),
        (
            {
                "knowledge_transfer_halves": "anchor",
                "knowledge_transfer_tags": "own",
                "class_reduction": "present",
            },
            3,
        ),
    ],
    ids=["union, both", "own, both", "union, anchor", "own, anchor", "own, both, present", "paper"],
)
def test_halves_and_tags_of_transfer(changes: dict[str, Any], expected: float) -> None:
    assert transfer(5, 3, 2, **changes) == pytest.approx(expected)


def test_transfer_in_a_pasted_image() -> None:
    """The pair shows in one cell of four; there it is compared, elsewhere the anchor."""
    region = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    region[..., :4, :4] = True
    arrange = partial(paste_pairs, region=region)
    assert transfer(5, 3, 2, arrange) == pytest.approx((3 * 3 + 1 * 1) / 4)
    assert transfer(5, 3, 2, arrange, knowledge_transfer_halves="anchor") == pytest.approx(3)
    own = transfer(5, 3, 2, arrange, knowledge_transfer_tags="own", class_reduction="present")
    assert own == pytest.approx((3 * 3 + 1 * 1) / 4)


def test_transfer_looks_at_anchors_with_a_pair_only() -> None:
    anchor = output(torch.cat([torch.full((1, 3, 2, 2), 5.0), torch.full((3, 3, 2, 2), 1000.0)]))
    tags = torch.cat([FIRST, torch.ones(3, 2)])
    settings = settings_with(margin=0.0)
    terms = transfer_terms(anchor, flat(3), flat(2, 4), tags, SECOND, settings, join_pairs)
    assert terms["knowledge_transfer"].item() == pytest.approx(2)


def test_transfer_without_a_pair_compares_the_anchors_half() -> None:
    settings = settings_with(margin=0.0, knowledge_transfer_halves="anchor")
    terms = transfer_terms(flat(5), None, flat(2, 4), FIRST, SECOND, settings, join_pairs)
    assert terms["knowledge_transfer"].item() == pytest.approx(3)


@pytest.mark.parametrize("detach", [True, False])
def test_detach_anchor_cuts_the_single_images(detach: bool) -> None:
    maps = [
        torch.full((1, 3, height, 2), value, requires_grad=True) for value, height in ((5.0, 2), (3.0, 2), (2.0, 4))
    ]
    anchor, pair, joint = (output(cam) for cam in maps)
    terms = transfer_terms(anchor, pair, joint, FIRST, SECOND, settings_with(detach_anchor=detach), join_pairs)
    torch.autograd.backward(terms["knowledge_transfer"])
    for single in maps[:2]:
        assert (single.grad is None) == detach
    assert maps[2].grad is not None
    assert (maps[2].grad[:, 1:] < 0).all(), "the joint image is lifted"
    assert not maps[2].grad[:, 0].any(), "the background is not transferred"


def cross_entropies(
    labels: Tensor, paired: Tensor | None, tags: Tensor, arrange: Arrange = join_pairs, **changes: Any
) -> dict[str, float]:
    """L_ce of outputs in which label 1 has log 2 more than each of the two others: p = 1/4, 2/4, 1/4."""
    favoured = torch.tensor([0.0, math.log(2), 0.0])[None, :, None, None]
    height = 4 if arrange is join_pairs else 2
    anchor = output(favoured.expand(len(labels), 3, 2, 2))
    joint = output(favoured.expand(1, 3, height, 2))
    settings = settings_with(**changes)
    step = needed_branches(settings, pairs=1)
    terms = cross_entropy_terms(anchor, joint, labels, paired, tags, step, settings, arrange)
    return {name: term.item() for name, term in terms.items()}


LIKELY, UNLIKELY = math.log(2), math.log(4)  # cross-entropy of label 1, and of labels 0 and 2


@pytest.mark.parametrize(
    ("foreground_images", "expected"), [("simple", LIKELY), ("all", (LIKELY + UNLIKELY) / 2)], ids=["simple", "all"]
)
def test_foreground_of_simple_images(foreground_images: str, expected: float) -> None:
    """The first image has one tag and label 1, the second two tags and label 2."""
    labels = torch.tensor([[[0, 255], [1, 1]], [[0, 255], [2, 2]]])
    tags = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    terms = cross_entropies(labels, torch.full((1, 2, 2), 255), tags, foreground_images=foreground_images)
    assert terms["foreground"] == pytest.approx(expected)
    assert terms["background"] == pytest.approx(UNLIKELY)
    assert terms["joint_foreground"] == pytest.approx(LIKELY), "of the first image, whatever its tags"


@pytest.mark.parametrize(
    ("paired", "expected"), [([[2, 2], [2, 0]], (LIKELY + 3 * UNLIKELY) / 4), (None, LIKELY)], ids=["both", "anchor"]
)
def test_halves_of_the_joint_label(paired: list[list[int]] | None, expected: float) -> None:
    labels = torch.tensor([[[255, 255], [255, 1]]])
    terms = cross_entropies(labels, None if paired is None else torch.tensor([paired]), FIRST)
    assert terms["joint_foreground"] == pytest.approx(expected)
    assert terms["joint_background"] == pytest.approx(UNLIKELY if paired else 0)


def test_labels_in_a_pasted_image() -> None:
    labels, paired = torch.tensor([[[1, 1], [1, 1]]]), torch.tensor([[[2, 2], [2, 2]]])
    region = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    region[..., 0, 1] = True
    terms = cross_entropies(labels, paired, FIRST, partial(paste_pairs, region=region))
    assert terms["joint_foreground"] == pytest.approx((3 * LIKELY + UNLIKELY) / 4)
    assert terms["foreground"] == pytest.approx(LIKELY), "the anchor itself is as it was"


def test_pooled_pixels_count_alike() -> None:
    """Four labelled pixels of the anchor, four and one of the joint image: all are divided by nine."""
    labels, paired = torch.tensor([[[0, 0], [0, 1]]]), torch.tensor([[[2, 255], [255, 255]]])
    terms = cross_entropies(labels, paired, FIRST, cross_entropy_reduction="pooled")
    assert terms["background"] == pytest.approx(3 * UNLIKELY / 9)
    assert terms["foreground"] == pytest.approx(LIKELY / 9)
    assert terms["joint_background"] == pytest.approx(3 * UNLIKELY / 9)
    assert terms["joint_foreground"] == pytest.approx((LIKELY + UNLIKELY) / 9)


def test_only_the_wanted_parts_come_back() -> None:
    weights = LocalizationSettings().weights.model_copy(update={"foreground": 0.0, "joint_background": 0.0})
    labels = torch.tensor([[[0, 0], [0, 1]]])
    assert set(cross_entropies(labels, labels, FIRST, weights=weights)) == {"background", "joint_foreground"}


def inter_class(tags: Tensor, images: Tensor, **changes: Any) -> float:
    """L_inter where class 1 has 3, class 2 has 1 all over: -2 on each pixel that counts."""
    cam = torch.zeros(1, 3, 2, 2)
    cam[:, 1], cam[:, 2] = 3, 1
    settings = settings_with(erase_normalization="max", **changes)
    return inter_class_terms(output(cam), images, tags, settings)["inter_class"].item()


def test_inter_class_parts_complex_images_only() -> None:
    images = torch.ones(1, 3, 4, 4)
    assert inter_class(torch.ones(1, 2), images) == pytest.approx(-2, rel=1e-5)
    assert inter_class(FIRST, images) == 0
    assert inter_class(torch.zeros(1, 2), images) == 0


def test_inter_class_and_padding() -> None:
    tags, padding = torch.ones(1, 2), torch.zeros(1, 3, 4, 4)
    assert inter_class(tags, padding) == pytest.approx(-2, rel=1e-5)
    assert inter_class(tags, padding, count_padding=False) == 0


def test_alignment_by_hand() -> None:
    """Class 1 is 8 in one cell, which is erased, and 1 in the other; the erased copy has 2 and 4."""
    anchor, erased = output(torch.zeros(1, 2, 1, 2)), output(torch.zeros(1, 2, 1, 2))
    anchor.cam[:] = torch.tensor([8.0, 1.0])
    erased.cam[:] = torch.tensor([2.0, 4.0])
    tags = torch.ones(1, 1)
    step = needed_branches(LocalizationSettings(), pairs=0)
    terms = alignment_terms(anchor, erased, tags, step, settings_with())
    assert terms["local_alignment"].item() == pytest.approx((0 + 2.95) / 2)
    assert terms["global_alignment"].item() == pytest.approx(4.5 - 3)
    erased.cam[:] = torch.tensor([10.0, 4.0])
    kept = alignment_terms(anchor, erased, tags, step, settings_with())
    everywhere = alignment_terms(anchor, erased, tags, step, settings_with(local_alignment_region="all"))
    assert kept["local_alignment"].item() == pytest.approx(2.95 / 2)
    assert everywhere["local_alignment"].item() == pytest.approx((1.95 + 2.95) / 2)


@pytest.mark.parametrize("term", ["global_alignment", "local_alignment"])
def test_alignment_terms_come_one_by_one(term: str) -> None:
    others = {"global_alignment": 0.0, "local_alignment": 0.0, term: 1.0}
    settings = settings_with(weights=LocalizationSettings().weights.model_copy(update=others))
    step = needed_branches(settings, pairs=0)
    assert set(alignment_terms(flat(1), flat(2), FIRST, step, settings)) == {term}


def test_global_alignment_of_the_gated_maps() -> None:
    """GAP of the positive part is 3 for the anchor and 1 for its erased copy, of the CAM 1 and 2."""
    anchor, erased = flat(1), flat(2)
    settings = settings_with(weights=LocalizationSettings().weights.model_copy(update={"local_alignment": 0.0}))
    step = needed_branches(settings, pairs=0)
    gated = [replace(anchor, gated=torch.full((1, 2, 2, 2), 3.0)), replace(erased, gated=torch.ones(1, 2, 2, 2))]
    of_cam = alignment_terms(*gated, torch.ones(1, 2), step, settings)
    of_gated = alignment_terms(
        *gated, torch.ones(1, 2), step, settings.model_copy(update={"global_alignment_of": "gated"})
    )
    assert of_cam["global_alignment"].item() == pytest.approx(1)
    assert of_gated["global_alignment"].item() == pytest.approx(2)


def test_gated_maps_have_to_be_there() -> None:
    settings = settings_with(global_alignment_of="gated")
    with pytest.raises(InputError, match=r"global_alignment_of.*got none"):
        alignment_terms(flat(1), flat(2), FIRST, needed_branches(settings, pairs=0), settings)


@pytest.mark.parametrize(("clip", "expected"), [(True, [0.0, 0.5, 1.5, 2.0]), (False, [-2.0, -1.0, 1.0, 2.0])])
def test_clipping_comes_before_resizing(clip: bool, expected: list[float]) -> None:
    activation = output(torch.tensor([-2.0, 2.0]).expand(1, 2, 1, 2))
    resized = full_size_activation(activation, torch.zeros(1, 1, 4), settings_with(clip_logits=clip))
    assert resized[0, 0, 0].tolist() == expected
