"""Settings of segmentation: the network that learns from pseudo masks, and its predictions."""

from __future__ import annotations

from ktse.config.setting import CODE, OURS, PAPER, Section, setting


class SegmentationSettings(Section):
    """How the segmenter is built, trained and asked for predictions."""

    trunk: str = setting("resnet101", "feature extractor: a timm name, or demo", f"{PAPER} 4.1")
    trunk_weights: str | None = setting(
        "timm",
        "as localization.trunk_weights; `localization` for the same ones, when the trunk is the same",
        f"{PAPER} 4.1: ImageNet",
    )
    output_stride: int = setting(
        8, "pixels of the image per cell of the network's grid", CODE + " (REFERENCE 6.1)", unit="px"
    )
    aspp_dilations: tuple[int, ...] = setting(
        (6, 12, 18, 24), "dilations of the summed 3x3 convolutions", CODE + " (REFERENCE 6.1)", min_length=1
    )

    crop_size: int = setting(512, "side of a training crop", CODE + " (REFERENCE 6.2)", unit="px", ge=16)
    crop_area: tuple[float, float] = setting(
        (0.5, 0.75), "share of the image that a crop covers", CODE + " (REFERENCE 6.2)"
    )
    flip_probability: float = setting(0.5, "chance that a training image is mirrored", CODE, ge=0, le=1)
    trusted_only: bool = setting(
        False, "learn only from pixels that the confidence mask trusts", f"{OURS}: off in the plain recipe"
    )

    epochs: int = setting(80, "epochs", f"{PAPER} 4.1: 80 on VOC", ge=1)
    batch_size: int = setting(16, "images per step, all processes", f"{PAPER} 4.1", ge=1)
    micro_batches: int = setting(1, "parts into which a batch is cut to save memory", f"{OURS}: accumulation", ge=1)
    learning_rate: float = setting(0.01, "learning rate at the start", f"{PAPER} 4.1", gt=0)
    head_learning_rate_factor: float = setting(
        1.0, "factor on the learning rate of the head", CODE + " (REFERENCE 6.4)", gt=0
    )
    learning_rate_power: float = setting(0.9, "power of the poly schedule", f"{PAPER} 4.1", ge=0)
    learning_rate_floor: float = setting(1e-5, "smallest learning rate", CODE + " (REFERENCE 6.4)", ge=0)
    momentum: float = setting(0.9, "momentum of SGD", f"{PAPER} 4.1", ge=0, lt=1)
    weight_decay: float = setting(1e-4, "weight decay of SGD", f"{PAPER} 4.1", ge=0)
    gradient_clip: float | None = setting(None, "largest gradient norm; null for none", CODE, gt=0)

    scales: tuple[float, ...] = setting(
        (1.0,), "sizes at which an image is predicted; scores are averaged", f"{OURS}: plain", min_length=1
    )
    mirror: bool = setting(False, "predict the mirror image too", f"{OURS}: plain")
