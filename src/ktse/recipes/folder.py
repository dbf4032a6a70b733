"""Recipes for people's own images: `ktse run folder/cpu --data MY_FOLDER --out RUN`.

The new layers learn three times as fast as the trunk. With ten times and a rate of 0.02 the CAMs of a small trunk fell
to 0 within 40 steps and stayed there: the logits of GPP are quadratic in them, so that at 0 no gradient is left. The
trunk of `folder/cpu` learns at half the usual rate, which leaves its new layers room for ten times as much, and a few
hundred steps need it. Its crops show nearly the whole image: one that cuts off what a tag names teaches what is not so.
Its schedule is too short for maps that can be trusted, so that self-training on them weighs little: with the paper's
weights the full method had 7.3 mIoU of seeds on photographs of clothes, with these 15.5 (on another CPU 11.8), the
plain classifier 16.7.

Photographs of a camera are reduced: objects should be seen at about the scale at which they are learned.

Both refine by PAR. For IRN (`--set refinement.steps=irn`) `folder/cpu` has the small trunk and crop too, and a momentum
that is one, since a few hundred steps without are too few.
"""

from __future__ import annotations

from ktse.config import Recipe, replace
from ktse.recipes.components import PLAIN

GPU = replace(
    Recipe(),
    name="folder/gpu",
    summary="Own images on one GPU: ResNet-50 trunks, crop 320.",
    data={
        "kind": "folder",
        "train_split": "train",
        "score_split": "train",
        "val_split": "val",
        "longest_side": 512,  # of training images the longest side
    },
    localization={
        "trunk": "resnet50",
        "trunk_weights": "timm",
        "output_stride": 16,
        "warm_up_epochs": 6,
        "epochs": 20,
        "horizon": "steps",
        "momentum": 0.9,
        "head_learning_rate_factor": 3.0,
        "gradient_clip": 5.0,
        "loss_ramp": 0.4,
        "sweep": (0.05, 0.95, 0.05),
    },
    refinement={"steps": ("par",)},
    segmentation={**PLAIN, "trunk": "resnet50", "trunk_weights": "localization", "epochs": 20},
    runtime={"precision": "bf16-mixed", "workers": 4},
)

CPU = replace(
    GPU,
    name="folder/cpu",
    summary="Own images on a laptop without a GPU: a small trunk, small crops, a short schedule.",
    data={
        "longest_side": 384,
        "mean": (0.5, 0.5, 0.5),  # what timm's weights of this trunk were trained with
        "std": (0.5, 0.5, 0.5),
    },
    localization={
        "trunk": "tf_efficientnet_lite0",
        "resize_range": (192, 256),
        "crop_size": 192,
        "learning_rate": 0.005,
        "head_learning_rate_factor": 10.0,
        "warm_up_epochs": 4,
        "epochs": 8,
        "warm_up_batch_size": 8,
        "batch_size": 8,
        "scales": (0.5, 1.0),
        "weights": {
            "background": 0.1,
            "joint_background": 0.03,
            "global_alignment": 0.03,
            "local_alignment": 0.03,
        },
    },
    refinement={
        "irn": {
            "trunk": "tf_efficientnet_lite0",
            "trunk_weights": "localization",
            "path_radius": 6,
            "crop_size": 256,
            "batch_size": 8,
            "momentum": 0.9,
            "displacement_learning_rate_factor": 1.0,
        },
    },
    segmentation={
        "trunk": "tf_efficientnet_lite0",
        "output_stride": 16,
        "crop_size": 160,
        "crop_area": (0.3, 1.0),
        "epochs": 8,
        "aspp_dilations": (1, 2, 3, 4),
        "batch_size": 8,
    },
    runtime={"precision": "32-true", "workers": 0},
)


def recipes() -> list[Recipe]:
    """Return the recipes for folders of images."""
    return [CPU, GPU]
