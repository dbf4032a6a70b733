"""Recipes for COCO 2014: `ktse run coco14/full --data COCO --out RUN`.

Settings of the localizer on COCO are published nowhere; these are ours.
"""

from __future__ import annotations

from ktse.config import Recipe, replace
from ktse.recipes.voc12 import FULL as VOC12_FULL

FULL = replace(
    VOC12_FULL,
    name="coco14/full",
    summary="The whole method on COCO 2014; settings of the localizer as on VOC, ours for want of published ones.",
    reproduces="Table 5",
    published_value=45.9,
    data={"kind": "coco14", "train_split": "train2014", "score_split": "train2014", "val_split": "val2014"},
    refinement={"irn": {"foreground_threshold": 0.35}, "untagged_confidence": "random"},
    segmentation={"epochs": 40},
)


def recipes() -> list[Recipe]:
    """Return all recipes for COCO 2014."""
    return [FULL]
