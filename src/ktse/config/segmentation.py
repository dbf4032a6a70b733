"""Settings of segmentation: the network that learns from pseudo masks, and its predictions."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt, model_validator

from ktse.config.co_training import CoTrainingSettings
from ktse.config.crf import CrfSettings
from ktse.config.setting import CODE, OURS, PAPER, Section, setting


class SegmentationSettings(Section):
    """How the segmenter is built, trained and asked for predictions."""

    # network
    trunk: str = setting(
        "resnet101.tv2_in1k",
        "feature extractor: vgg16, demo or a timm name; what follows a dot names timm's weights, here torchvision's "
        "second set",
        f"{PAPER} 4.1; weights {CODE} (REFERENCE 6.1)",
    )
    trunk_weights: str | None = setting(
        "timm",
        "as localization.trunk_weights; `localization` for the same ones, when the trunk is the same",
        f"{PAPER} 4.1: ImageNet",
    )
    output_stride: int = setting(
        8, "pixels of the image per cell of the network's grid", CODE + " (REFERENCE 6.1)", unit="px"
    )
    aspp_dilations: tuple[PositiveInt, ...] = setting(
        (6, 12, 18, 24), "dilations of the summed 3x3 convolutions", CODE + " (REFERENCE 6.1)", min_length=1
    )
    vgg_classifier: Literal["random", "subsampled"] = setting(
        "random",
        "first weights of fc6 and fc7 of vgg16: drawn, or every so-manieth of ImageNet's fully connected layers",
        f"{OURS}: published nowhere (REFERENCE 6.7)",
    )
    vgg_dropout: float = setting(0.5, "dropout after fc6 and fc7 of vgg16", f"{OURS}: as in DeepLabV2", ge=0, lt=1)
    normalization_layers: Literal["trained", "synchronized", "frozen"] = setting(
        "trained",
        "batch normalisation: each process by itself, statistics shared by all processes, or not learning",
        f"{CODE} (REFERENCE 6.1)",
    )

    # method
    method: Literal["plain", "co_training"] = setting(
        "co_training", "one network with cross-entropy, or two networks as in BECO", f"{PAPER} 4.1"
    )
    co_training: CoTrainingSettings = CoTrainingSettings()

    # data
    crop_size: int = setting(512, "side of a training crop", CODE + " (REFERENCE 6.2)", unit="px", ge=16)
    crop_area: tuple[float, float] = setting(
        (0.5, 0.75), "share of the image that a crop covers", CODE + " (REFERENCE 6.2)"
    )
    flip_probability: float = setting(0.5, "chance that a training image is mirrored", CODE, ge=0, le=1)
    trusted_only: bool = setting(
        False, "plain: learn only from pixels that the confidence mask trusts", f"{OURS}: off in the plain recipe"
    )

    # schedule
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

    collapse_share: float = setting(
        0.002,
        "mean share of pixels predicted as foreground below which a training has collapsed and stops; 0 never stops",
        f"{OURS}: guard",
        ge=0,
        lt=1,
    )
    collapse_ratio: float = setting(
        0.1,
        "the same limit as a share of the foreground in the labels, where that is less: objects may be small",
        f"{OURS}: guard",
        ge=0,
        le=1,
    )
    ignored_share: float = setting(
        0.95, "mean share of ignored pixels above which a training stops; 1 never stops", f"{OURS}: guard", gt=0, le=1
    )
    guard_steps: int = setting(200, "steps that both guards average over", f"{OURS}: guard", unit="steps", ge=1)

    # prediction
    scales: tuple[PositiveFloat, ...] = setting(
        (0.75, 1.0, 1.25), "sizes of the views, to the image", f"{CODE} (REFERENCE 6.5)", min_length=1
    )
    mirror: bool = setting(False, "predict the mirror image too", f"{CODE} (REFERENCE 6.5)")
    view_merge: Literal["max", "mean"] = setting(
        "max",
        "how views are merged: the largest score of each label on the network's grid, or the mean of probabilities",
        f"{CODE} (REFERENCE 6.5)",
    )
    inference_size: int | None = setting(
        512,
        "side of the square that an image is resized to before it is predicted; null keeps its size",
        f"{CODE} (REFERENCE 6.5)",
        unit="px",
        ge=16,
    )
    tile_size: int = setting(
        1024,
        "side of the tiles in which an image is predicted that is larger, where inference_size is null",
        f"{OURS}: bounds memory",
        unit="px",
        ge=64,
    )
    tile_overlap: int = setting(
        128, "strip that neighbouring tiles share", f"{OURS}: so that seams see what is beside them", unit="px", ge=0
    )
    use_crf: bool = setting(True, "refine predictions by a dense CRF", f"{CODE} (REFERENCE 6.5)")
    crf: CrfSettings = CrfSettings(gaussian=(1.0, 3.0), bilateral=(67.0, 3.0, 4.0), unary="scores")
    crf_image: Literal["original", "wrapped"] = setting(
        "original",
        "what the CRF sees: the image, or the image minus its mean with negative values wrapped",
        f"{OURS}: published code wraps (REFERENCE 6.5), a defect",
    )

    @model_validator(mode="after")
    def _consistent(self) -> SegmentationSettings:
        """Refuse settings that contradict each other."""
        if not 0 < self.crop_area[0] <= self.crop_area[1] <= 1:
            raise ValueError(f"crop_area {self.crop_area} is no range of shares: give (smallest, largest) in 0 .. 1")
        if self.tile_overlap >= self.tile_size:
            raise ValueError(f"tile_overlap {self.tile_overlap} leaves nothing of tile_size {self.tile_size}")
        if self.method == "co_training" and self.batch_size % 2:
            raise ValueError(f"co_training mixes pairs: batch_size {self.batch_size} has to be even")
        return self
