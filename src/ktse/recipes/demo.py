"""Recipes for the embedded Shapes data: minutes on two CPU cores, nothing downloaded.

Aids that this small scale needs and the published method does not have. The KTSE losses grow over the first part of
their epochs (the background channel has had no gradient before), the classification loss weighs 3, and the warm-up is
long. The foreground cross-entropy weighs 0.1 and takes all images, not simple ones alone; L_global weighs 0.3 and
L_local 2, since the erased image keeps little that tells its class and L_global would pull the anchor down to it. The
trunk comes pre-trained on drawn things of other classes, as ImageNet is for VOC.

IRNet sees the images at twice their size, for its grid would otherwise have 24 x 24 cells, and the walk has 8 steps:
after the published 256 a score has spread over things and ground alike. Its momentum is a real one, since 360 steps
without are too few.

Co-training changes brightness and contrast alone: the bodies of Shapes are known by their hue and their texture, which
other colours and a blur would take away.
"""

from __future__ import annotations

from ktse.config import Recipe, replace
from ktse.recipes.components import PLAIN, ROWS, weights_with

FULL = replace(
    Recipe(),
    name="demo",
    summary="The whole path on embedded data.",
    data={"kind": "shapes", "train_split": "train", "score_split": "train", "val_split": "val"},
    localization={
        "trunk": "demo",
        "trunk_weights": "demo",
        "output_stride": 4,
        "head_width": 64,
        "normalization_layers": "frozen_after_warm_up",
        "resize_range": (88, 120),
        "crop_size": 96,
        "warm_up_batch_size": 16,
        "batch_size": 16,
        "pairs": 4,
        "warm_up_epochs": 9,
        "epochs": 18,
        "learning_rate": 0.05,
        "horizon": "steps",
        "momentum": 0.9,
        "gradient_clip": 5.0,
        "loss_ramp": 0.4,
        "weights": {
            "classification": 3.0,
            "foreground": 0.1,
            "joint_foreground": 0.1,
            "global_alignment": 0.3,
            "local_alignment": 2.0,
        },
        "foreground_images": "all",
        "scales": (0.5, 1.0, 1.5),
        "sweep": (0.05, 0.80, 0.01),
    },
    refinement={"steps": ("par",)},
    segmentation={
        **PLAIN,
        "trunk": "demo",
        "trunk_weights": "demo",
        "output_stride": 4,
        "aspp_dilations": (1, 2, 4, 6),
        "crop_size": 96,
        "crop_area": (0.5, 1.0),
        "epochs": 12,
        "batch_size": 16,
        "learning_rate": 0.02,
    },
    evaluation={"baseline": True, "fully_supervised": True},
    runtime={"accelerator": "cpu", "checkpoint_interval": 20.0, "inference_batch": 16},
)

QUICK = replace(
    FULL,
    name="demo/quick",
    summary="The demo on a few images for a few epochs: shows that everything runs, not how well.",
    data={"shapes_train": 64, "shapes_val": 32},
    localization={"warm_up_epochs": 3, "epochs": 6, "scales": (1.0,)},
    segmentation={"epochs": 4},
)


IRN = replace(
    FULL,
    name="demo/irn",
    summary="The demo refined by IRN and a CRF in the place of PAR.",
    refinement={
        "steps": ("irn", "crf"),
        "irn": {
            "trunk": "demo",
            "trunk_weights": "demo",
            "background_threshold": 0.05,
            "path_radius": 5,
            "crop_size": 160,
            "rescale_range": (1.5, 2.5),
            "image_scale": 2.0,
            "canvas": 192,
            "epochs": 6,
            "batch_size": 8,
            "momentum": 0.9,
            "displacement_learning_rate_factor": 1.0,
            "walk_steps": 8,
            "background_score": 0.2,
        },
    },
)

COMPLETE = replace(
    IRN,
    name="demo/full",
    summary="The demo with every part of the published system: IRN, CRF, confidence masks, co-training.",
    segmentation={
        "method": "co_training",
        "co_training": {
            "warm_up_epochs": 2,
            "hue": 0.0,
            "saturation": 0.0,
            "grey_probability": 0.0,
            "blur_probability": 0.0,
        },
    },
)


def recipes() -> list[Recipe]:
    """Return the demo, its quick form, its full form and its ablation rows."""
    seeds_only = {"baseline": False, "fully_supervised": False}
    rows = {
        row: replace(
            FULL,
            name=f"demo/{row}",
            summary=f"Demo with {' + '.join(parts) or 'the plain classifier'}.",
            localization={"weights": weights_with(parts, FULL.localization.weights)},
            evaluation=seeds_only,
        )
        for row, parts in ROWS.items()
    }
    sie = rows["sie"]
    extra = [
        replace(
            sie,
            name="demo/sie-detached",
            summary="SIE without gradient into the anchor (paper 3.3).",
            localization={"detach_anchor": True},
        ),
        replace(
            sie, name="demo/cutmix", summary="CutMix in the place of SIE (paper 4.3).", localization={"join": "cutmix"}
        ),
    ]
    return [FULL, QUICK, IRN, COMPLETE, *rows.values(), *extra]
