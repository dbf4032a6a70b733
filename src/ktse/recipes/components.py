"""What several recipes have in common: the rows of the ablation (paper Tab. 6) as loss weights, the plain segmenter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ktse.config import LossWeights

TERMS: dict[str, tuple[str, ...]] = {
    "SIE": ("knowledge_transfer",),
    "SSR": ("background", "foreground", "inter_class"),
    "SIE+SSR": ("joint_background", "joint_foreground"),
    "MGA": ("global_alignment", "local_alignment"),
}
"""Component to its terms; the labels of SSR on the joint image of SIE need both."""

ROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "sie": ("SIE",),
    "ssr": ("SSR",),
    "mga": ("MGA",),
    "sie-ssr": ("SIE", "SSR"),
    "all": ("SIE", "SSR", "MGA"),
}
"""Rows of Tab. 6 in the paper's order."""

PLAIN: dict[str, Any] = {
    "method": "plain",
    "scales": (1.0,),
    "view_merge": "mean",
    "inference_size": None,
    "use_crf": False,
}
"""Settings of `segmentation` for quick work: one network, cross-entropy, each image seen once at its own size."""


def weights_with(components: Collection[str], full: LossWeights | None = None) -> dict[str, float]:
    """Return the loss weights of a method made of some components: the others' terms weigh 0.

    Args:
        components: Any of SIE, SSR, MGA.
        full: Weights of the full method.

    Example:
        >>> weights = weights_with(["SSR"])
        >>> weights["background"], weights["joint_background"], weights["knowledge_transfer"]
        (1.0, 0.0, 0.0)
    """
    kept = {"classification"}
    for component, terms in TERMS.items():
        if set(component.split("+")) <= set(components):
            kept.update(terms)
    return {name: value if name in kept else 0.0 for name, value in (full or LossWeights()).model_dump().items()}


MGA_AND_RIVALS: dict[str, dict[str, Any]] = {
    "base": {"weights": weights_with(())},
    "rigid-classification": {"weights": weights_with(()) | {"erased_classification": 1.0}},
    "soft-gpp-feature": {"weights": weights_with(()) | {"global_alignment": 1.0}, "global_alignment_of": "gated"},
    "ga": {"weights": weights_with(()) | {"global_alignment": 1.0}},
    "ga-la": {"weights": weights_with(("MGA",))},
}
"""Rows of Tab. 7 in the paper's order, as settings of `localization`; the weights of the rivals are ours."""
