"""Which losses a step has, and which branches of the method they need."""

from __future__ import annotations

from dataclasses import dataclass

from ktse.config import LocalizationSettings

JOINT_CROSS_ENTROPY = frozenset({"joint_background", "joint_foreground"})
ANCHOR_CROSS_ENTROPY = frozenset({"background", "foreground"})
OF_ERASED = frozenset({"global_alignment", "local_alignment", "erased_classification"})
WITH_PAIRS = JOINT_CROSS_ENTROPY | {"knowledge_transfer"}


@dataclass(frozen=True, slots=True)
class Branches:
    """What a step has to compute.

    Attributes:
        terms: Names of the losses.
        pair: The pair is seen alone.
        joint: The joint image of anchor and pair is seen.
        erased: The erased anchor is seen.
        labels: The anchor gets pseudo labels.
        paired_labels: The pair gets pseudo labels.
    """

    terms: frozenset[str]
    pair: bool
    joint: bool
    erased: bool
    labels: bool
    paired_labels: bool


def needed_branches(settings: LocalizationSettings, *, pairs: int) -> Branches:
    """Tell which losses weigh more than 0, and what they need; without pairs there are no losses of pairs.

    Args:
        settings: Weights of the losses, and which halves of the joint image they look at.
        pairs: P, pairs in the batch.

    Example:
        >>> from ktse.config import LocalizationSettings
        >>> from ktse.config.localization import LossWeights
        >>> weights = LossWeights(joint_background=0, joint_foreground=0, global_alignment=0, local_alignment=0)
        >>> branches = needed_branches(LocalizationSettings(weights=weights), pairs=4)
        >>> branches.joint, branches.erased, branches.paired_labels
        (True, False, False)
    """
    terms = {name for name, weight in settings.weights.model_dump().items() if weight > 0}
    if pairs == 0:
        terms -= WITH_PAIRS
    paired_labels = bool(terms & JOINT_CROSS_ENTROPY) and settings.joint_labels == "both"
    paired_transfer = "knowledge_transfer" in terms and settings.knowledge_transfer_halves == "both"
    return Branches(
        terms=frozenset(terms),
        pair=paired_labels or paired_transfer,
        joint=bool(terms & WITH_PAIRS),
        erased=bool(terms & OF_ERASED),
        labels=bool(terms & (ANCHOR_CROSS_ENTROPY | JOINT_CROSS_ENTROPY)),
        paired_labels=paired_labels,
    )
