"""Recipes for COCO 2014: one for each row that the paper's method has in its tables.

How the localizer was trained on COCO is published nowhere: its settings are ours. They are those of VOC but for the
epochs, 2 and 8 where VOC has 10 and 40: COCO has eight times the images, and 51,732 steps come of it, VOC has 33,050.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ktse.config import Recipe, replace
from ktse.recipes.table_row import described
from ktse.recipes.voc12 import FULL as VOC12_FULL
from ktse.recipes.voc12 import IRN_VIEWS, VGG

IMAGES = 82_783
"""Images of train2014."""

OURS: dict[str, Any] = {"warm_up_epochs": 2, "epochs": 8}
"""Settings of `localization` that nobody has published."""

_described = partial(described, images=IMAGES, data="COCO", reach="predictions")

_BASE = replace(
    VOC12_FULL,
    data={"kind": "coco14", "train_split": "train2014", "score_split": "train2014", "val_split": "val2014"},
    localization={**OURS, **IRN_VIEWS},
    refinement={"irn": {"foreground_threshold": 0.35}, "untagged_confidence": "random"},  # REFERENCE 5.2, 5.7
    segmentation={"epochs": 40},  # paper 4.1
)

_RESNET = replace(_BASE, reproduces="Table 5, val", published_value=45.9)

FULL = _described(
    replace(_RESNET, name="coco14/full"),
    "The whole method on COCO 2014; settings of the localizer are ours, for want of published ones.",
    table="table5",
)


def recipes() -> list[Recipe]:
    """Return all recipes for COCO 2014."""
    vgg = replace(_BASE, name="coco14/table4", reproduces="Table 4, val", published_value=37.2, segmentation=VGG)
    return [
        FULL,
        _described(vgg, "Segmentation of COCO val with VGG16; settings of the localizer are ours.", table="table4"),
        _described(
            replace(_RESNET, name="coco14/table5"),
            "Segmentation of COCO val with ResNet101; settings of the localizer are ours.",
            table="table5",
        ),
    ]
