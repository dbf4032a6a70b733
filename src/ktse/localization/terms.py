"""From the outputs of the branches to the losses, as the settings have it: what is compared where, for whom."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ktse.config import LocalizationSettings
from ktse.errors import InputError
from ktse.localization.branches import ANCHOR_CROSS_ENTROPY, JOINT_CROSS_ENTROPY, Branches
from ktse.localization.erasing import kept_region
from ktse.localization.pseudo_labels import is_padding
from ktse.losses.alignment import global_alignment_loss, local_alignment_loss
from ktse.losses.classification import classification_loss
from ktse.losses.inter_class import inter_class_loss
from ktse.losses.knowledge_transfer import knowledge_transfer_loss
from ktse.losses.self_supervised import pseudo_label_loss
from ktse.ops.cam import strongest_activation
from ktse.ops.resize import resize_to
from ktse.types import IGNORE_INDEX, LocalizerOutput

Terms = dict[str, Tensor]
Arrange = Callable[[Tensor, Tensor], Tensor]
"""Lays out something of the anchors and the same of the pairs as it is in the joint image."""


def transfer_terms(
    anchor: LocalizerOutput,
    pair: LocalizerOutput | None,
    joint: LocalizerOutput,
    tags: Tensor,
    paired_tags: Tensor,
    settings: LocalizationSettings,
    arrange: Arrange,
) -> Terms:
    """Compare the joint image with anchor and pair alone: L_kt (REFERENCE 3.4 #7).

    Args:
        anchor: Of B images, of which the first P have a pair.
        pair: Of P images; None when the anchor's half alone is compared.
        joint: Of P joint images.
        tags: (B, K) of the anchors.
        paired_tags: (P, K) of the pairs.
        settings: Halves, classes, margin, reduction.
        arrange: Layout of the joint image.
    """
    cam = anchor.cam[: len(paired_tags)]
    tags = tags[: len(paired_tags)]
    single = arrange(cam, torch.zeros_like(cam) if pair is None else pair.cam)
    either = torch.maximum(tags, paired_tags)
    own, paired_own = (either, either) if settings.knowledge_transfer_tags == "union" else (tags, paired_tags)
    everywhere = torch.ones_like(cam)
    is_anchor = arrange(everywhere[:, :1], torch.zeros_like(cam[:, :1])) > 0
    loss = knowledge_transfer_loss(
        single,
        resize_to(joint.cam, (single.shape[-2], single.shape[-1])),
        arrange(everywhere * own[:, :, None, None], everywhere * paired_own[:, :, None, None]),
        region=is_anchor if settings.knowledge_transfer_halves == "anchor" else None,
        margin=settings.margin,
        class_reduction=settings.class_reduction,
        detach_anchor=settings.detach_anchor,
    )
    return {"knowledge_transfer": loss}


def cross_entropy_terms(
    anchor: LocalizerOutput,
    joint: LocalizerOutput | None,
    labels: Tensor,
    paired_labels: Tensor | None,
    tags: Tensor,
    step: Branches,
    settings: LocalizationSettings,
    arrange: Arrange,
) -> Terms:
    """Compare anchor and joint image with the pseudo labels: the parts of L_ce (REFERENCE 3.4 #10 - #13, #18).

    Args:
        anchor: Of B images.
        joint: Of P joint images, or None.
        labels: (B, H, W) pseudo labels of the anchors.
        paired_labels: (P, H, W) pseudo labels of the pairs; None to label the anchor's half alone.
        tags: (B, K) of the anchors.
        step: Which losses are wanted.
        settings: Clipping, reduction, images of the foreground.
        arrange: Layout of the joint image.
    """
    groups: list[tuple[str, LocalizerOutput, Tensor, Tensor | None]] = []
    if step.terms & ANCHOR_CROSS_ENTROPY:
        is_simple = tags.sum(dim=1) == 1 if settings.foreground_images == "simple" else None
        groups.append(("", anchor, labels, is_simple))
    if joint is not None and step.terms & JOINT_CROSS_ENTROPY:
        labels = labels[: len(joint.cam)]
        unlabelled = torch.full_like(labels, IGNORE_INDEX)
        joint_labels = arrange(labels, unlabelled if paired_labels is None else paired_labels)
        groups.append(("joint_", joint, joint_labels, None))
    count = None
    if settings.cross_entropy_reduction == "pooled":
        count = torch.stack([(group_labels != IGNORE_INDEX).sum() for _, _, group_labels, _ in groups]).sum()
    terms: Terms = {}
    for prefix, output, group_labels, images in groups:
        activation = full_size_activation(output, group_labels, settings)
        loss = pseudo_label_loss(activation, group_labels, foreground_images=images, count=count)
        terms |= {f"{prefix}background": loss.background, f"{prefix}foreground": loss.foreground}
    return {name: term for name, term in terms.items() if name in step.terms}


def inter_class_terms(anchor: LocalizerOutput, images: Tensor, tags: Tensor, settings: LocalizationSettings) -> Terms:
    """Part the classes on the objects of complex images: L_inter (REFERENCE 3.4 #14, #15).

    Args:
        anchor: Of B images.
        images: (B, 3, H, W) normalised.
        tags: (B, K).
        settings: Threshold of an object, normalisation, clipping, gradient, reduction, padding.
    """
    size = (images.shape[-2], images.shape[-1])
    with torch.no_grad():
        strongest = strongest_activation(anchor.cam, tags, size=size, normalization=settings.erase_normalization)
        is_complex = tags.sum(dim=1) > 1
        region = (strongest > settings.object_threshold) & is_complex[:, None, None, None]
        if not settings.count_padding:
            region &= ~is_padding(images)
    loss = inter_class_loss(
        full_size_activation(anchor, images, settings)[:, 1:],
        region,
        detach_maximum=settings.detach_maximum,
        reduction=settings.inter_class_reduction,
    )
    return {"inter_class": loss}


def alignment_terms(
    anchor: LocalizerOutput, erased: LocalizerOutput, tags: Tensor, step: Branches, settings: LocalizationSettings
) -> Terms:
    """Compare the anchor with its erased copy: L_global and L_local (REFERENCE 3.4 #16, #17), or a rival of Tab. 7.

    The rivals: the rigid classification of ACoL asks the erased image itself for the tags; the soft GPP feature of
    AEFT is L_global with the gated map in the CAM's place. The latter is an approximation: AEFT's own loss is another.

    Args:
        anchor: Of B images.
        erased: Of the same images, erased.
        tags: (B, K).
        step: Which losses are wanted.
        settings: What is compared, norm, region, margin, reduction.

    Raises:
        InputError: The gated maps are to be compared, and the localizer gives none.
    """
    terms: Terms = {}
    if "erased_classification" in step.terms:
        terms["erased_classification"] = classification_loss(erased.logits, tags)
    if "global_alignment" in step.terms:
        terms["global_alignment"] = global_alignment_loss(
            _compared(anchor, settings),
            _compared(erased, settings),
            tags,
            norm=settings.global_alignment_norm,
            class_reduction=settings.class_reduction,
        )
    if "local_alignment" in step.terms:
        kept = kept_region(
            anchor.cam, tags, threshold=settings.erase_threshold, normalization=settings.erase_normalization
        )
        terms["local_alignment"] = local_alignment_loss(
            anchor.cam,
            erased.cam,
            tags,
            kept=kept if settings.local_alignment_region == "kept" else None,
            margin=settings.margin,
            class_reduction=settings.class_reduction,
        )
    return terms


def _compared(output: LocalizerOutput, settings: LocalizationSettings) -> Tensor:
    """Return the maps (B, K, h, w) that L_global compares."""
    if settings.global_alignment_of == "cam":
        return output.cam
    if output.gated is None:
        raise InputError(
            'localization.global_alignment_of = "gated" needs a localizer that gives its gated maps, got none.',
            remedy="Return them as LocalizerOutput.gated, or compare the CAM.",
        )
    return output.gated


def full_size_activation(output: LocalizerOutput, like: Tensor, settings: LocalizationSettings) -> Tensor:
    """Resize the activation with background (B, K+1, h, w) to the grid of `like`; clipped at 0 first, if so set."""
    activation = output.cam_with_background.relu() if settings.clip_logits else output.cam_with_background
    return resize_to(activation, (like.shape[-2], like.shape[-1]))
