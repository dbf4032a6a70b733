"""Recipes for PASCAL VOC 2012: one for each row that the paper's method has in its tables, and the dialects.

Their costs are given in steps: no such run was made by us, so that its hours are not known.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ktse.config import Recipe, replace
from ktse.recipes.components import MGA_AND_RIVALS, ROWS, weights_with
from ktse.recipes.dialects import PAPER, PUBLISHED
from ktse.recipes.table_row import described

IMAGES = 10_582
"""Images of trainaug."""

DATA = "VOCdevkit/VOC2012"

TABLE_6 = {"base": 54.2, "sie": 57.1, "ssr": 57.4, "mga": 60.2, "sie-ssr": 63.8, "all": 67.0}
"""Seed mIoU on VOC train (paper Tab. 6)."""

TABLE_7 = {"base": 54.2, "rigid-classification": 55.6, "soft-gpp-feature": 54.9, "ga": 58.7, "ga-la": 60.2}
"""Seed mIoU on VOC train (paper Tab. 7)."""

RIVAL_NAMES = {
    "base": "the plain classifier",
    "rigid-classification": "rigid classification of the erased image, as ACoL",
    "soft-gpp-feature": "alignment of GPP's gated maps, an approximation of AEFT",
    "ga": "global alignment",
    "ga-la": "global and local alignment: MGA",
}

IRN_VIEWS: dict[str, Any] = {"view_merge": "sum_then_relu"}
"""Settings of `localization`: the published code makes CAMs for IRN in this order (REFERENCE 5.1), seeds in the other.

A run has one set of CAMs: rows of masks and beyond take those for IRN, rows of seeds those that the seeds come from.
"""

VGG: dict[str, Any] = {"trunk": "vgg16", "trunk_weights": "timm", "vgg_classifier": "subsampled"}
"""Settings of `segmentation` for the VGG rows: the paper says "the default setting of DeepLabV2" and no more (4.1).

That network starts from a subsampled classifier. Co-training as with ResNet101 is our reading (REFERENCE 6.7).
"""

_described = partial(described, images=IMAGES, data=DATA)

FULL = _described(
    Recipe(name="voc12/full", reproduces="Table 3, val", published_value=73.0),
    "The whole method on VOC 2012, published code with its defects mended.",
    reach="predictions",
    table="table3",
)


def recipes() -> list[Recipe]:
    """Return all recipes for VOC 2012."""
    return [*_dialects(), *_rows_of_results(), *_rows_of_components(), *_rows_of_rivals()]


def _dialects() -> list[Recipe]:
    """Return the full method in our form, as the published code has it, and as the paper's formulas do."""
    published = replace(
        FULL,
        name="voc12/published",
        localization=PUBLISHED,
        segmentation={"epochs": 100, "crf_image": "wrapped"},
    )
    paper = replace(FULL, name="voc12/paper", localization=PAPER)
    return [
        FULL,
        _described(
            published,
            "Published code to the letter; IRN starts from the maps of the seeds (docs/differences.md, 22).",
            reach="predictions",
            table="table3",
        ),
        _described(paper, "The paper's formulas to the letter.", reach="predictions", table="table3"),
    ]


def _rows_of_results() -> list[Recipe]:
    """Return the method's rows of Tables 1 to 3."""
    masks = replace(
        FULL, name="voc12/table1/irn", reproduces="Table 1, w/ IRN", published_value=73.8, localization=IRN_VIEWS
    )
    return [
        _described(
            replace(FULL, name="voc12/table1/seed", reproduces="Table 1, seed", published_value=67.0),
            "Seeds of the whole method on VOC train.",
            reach="seeds",
            table="table1",
        ),
        _described(masks, "Pseudo masks on VOC train: seeds refined by IRN.", reach="masks", table="table1"),
        _described(
            replace(masks, name="voc12/table2", reproduces="Table 2, val", published_value=67.3, segmentation=VGG),
            "Segmentation of VOC val with VGG16; what the paper leaves open about it is ours.",
            reach="predictions",
            table="table2",
        ),
        _described(
            replace(masks, name="voc12/table3", reproduces="Table 3, val", published_value=73.0),
            "Segmentation of VOC val with ResNet101.",
            reach="predictions",
            table="table3",
        ),
    ]


def _rows_of_components() -> list[Recipe]:
    """Return the rows of Table 6."""
    return [
        _described(
            replace(
                FULL,
                name=f"voc12/table6/{row}",
                reproduces=f"Table 6, {row}",
                published_value=TABLE_6[row],
                localization={"weights": weights_with(components)},
            ),
            f"Component analysis with {' + '.join(components) or 'the plain classifier'}; seeds only.",
            reach="seeds",
            table="table6",
        )
        for row, components in ROWS.items()
    ]


def _rows_of_rivals() -> list[Recipe]:
    """Return the rows of Table 7."""
    return [
        _described(
            replace(
                FULL,
                name=f"voc12/table7/{row}",
                reproduces=f"Table 7, {row}",
                published_value=TABLE_7[row],
                localization=settings,
            ),
            f"Erasing with {RIVAL_NAMES[row]}; seeds only." if row != "base" else "The plain classifier; seeds only.",
            reach="seeds",
            table="table7",
        )
        for row, settings in MGA_AND_RIVALS.items()
    ]
