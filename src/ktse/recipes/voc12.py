"""Recipes for PASCAL VOC 2012: `ktse run voc12/full --data VOCdevkit/VOC2012 --out RUN`.

Expected cost of the full localizer: 33,050 steps (REFERENCE 2.2); not measured here for want of such a machine.
"""

from __future__ import annotations

from ktse.config import Recipe, replace
from ktse.recipes.components import ROWS, weights_with
from ktse.recipes.dialects import PAPER, PUBLISHED

TABLE_6 = {"base": 54.2, "sie": 57.1, "ssr": 57.4, "mga": 60.2, "sie-ssr": 63.8, "all": 67.0}
"""Seed mIoU on VOC train (paper Tab. 6)."""

FULL = Recipe(
    name="voc12/full",
    summary="The whole method on VOC 2012, published code with its defects mended.",
    reproduces="Table 1 seed; Table 3",
    published_value=67.0,
)


def recipes() -> list[Recipe]:
    """Return all recipes for VOC 2012."""
    rows = [
        replace(
            FULL,
            name=f"voc12/table6/{row}",
            summary=f"Ablation row of Table 6 with {' + '.join(components) or 'the plain classifier'}; seeds only.",
            reproduces=f"Table 6, {row}",
            published_value=TABLE_6[row],
            localization={"weights": weights_with(components)},
        )
        for row, components in ROWS.items()
    ]
    return [
        FULL,
        replace(
            FULL,
            name="voc12/published",
            summary="Published code to the letter.",
            localization=PUBLISHED,
            segmentation={"epochs": 100, "crf_image": "wrapped"},
        ),
        replace(FULL, name="voc12/paper", summary="The paper's formulas to the letter.", localization=PAPER),
        *rows,
    ]
