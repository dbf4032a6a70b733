"""Settings of IRN: labels for pairs of pixels, the network that learns from them, the random walk over its edges."""

from __future__ import annotations

from pydantic import model_validator

from ktse.config.setting import CODE, OURS, Section, setting


class IrnSettings(Section):
    """IRN as published (Ahn et al., CVPR 2019; REFERENCE 5)."""

    # IR labels
    foreground_threshold: float = setting(
        0.30, "CAM above which a pixel may be foreground", f"{CODE} (REFERENCE 5.2); COCO 0.35", gt=0, lt=1
    )
    background_threshold: float = setting(
        0.10, "CAM below which a pixel may be background", f"{CODE}: IRN itself has 0.05 (3.4 #22)", gt=0, lt=1
    )

    # network
    trunk: str = setting(
        "resnet50.tv_in1k", "frozen feature extractor: any that localization.trunk takes", f"{CODE} (REFERENCE 5.3)"
    )
    trunk_weights: str | None = setting(
        "timm",
        "as localization.trunk_weights; `localization` for the same ones, when the trunk is the same",
        f"{CODE}: ImageNet (REFERENCE 5.3)",
    )

    # training
    path_radius: int = setting(
        10, "pairs of cells nearer than this are learned from", f"{CODE} (REFERENCE 5.5)", unit="cells", ge=2
    )
    crop_size: int = setting(512, "side of a training crop", f"{CODE} (REFERENCE 5.5)", unit="px", ge=16)
    rescale_range: tuple[float, float] = setting(
        (0.5, 1.5), "factor on the size of a training image, drawn uniformly", f"{CODE} (REFERENCE 5.5)"
    )
    flip_probability: float = setting(0.5, "chance that a training image is mirrored", CODE, ge=0, le=1)
    epochs: int = setting(3, "epochs", f"{CODE} (REFERENCE 5.5)", ge=1)
    batch_size: int = setting(32, "images per step, all processes", f"{CODE} (REFERENCE 5.5)", ge=1)
    micro_batches: int = setting(1, "parts into which a batch is cut to save memory", f"{OURS}: accumulation", ge=1)
    learning_rate: float = setting(0.1, "learning rate of the edge branch at the start", f"{CODE} (5.5)", gt=0)
    displacement_learning_rate_factor: float = setting(
        10.0, "factor on the learning rate of the displacement branch", f"{CODE} (REFERENCE 5.5)", gt=0
    )
    learning_rate_power: float = setting(0.9, "power of the poly schedule", f"{CODE} (REFERENCE 5.5)", ge=0)
    momentum: float = setting(1e-4, "momentum of SGD", f"{CODE}: weight decay taken for momentum (2.3)", ge=0, lt=1)
    weight_decay: float = setting(1e-4, "weight decay of SGD", f"{CODE} (REFERENCE 5.5)", ge=0)
    gradient_clip: float | None = setting(None, "largest gradient norm; null for none", CODE, gt=0)

    mean_shift_images: int = setting(
        1464, "images from which the mean displacement is taken; only instances need it", f"{CODE} (5.5)", ge=1
    )

    # inference
    image_scale: float = setting(
        1.0,
        "factor on the size of the images that IRNet looks at; above 1 for small images, whose objects would cover few "
        "cells of its grid. Let rescale_range lie around it",
        f"{CODE}: the image as it is (REFERENCE 5.6)",
        gt=0,
        le=4,
    )
    canvas: int = setting(
        512,
        "side of the square that an image is padded to; larger images are not cut",
        f"{CODE} (5.6)",
        unit="px",
        ge=1,
    )
    walk_radius: int = setting(
        5, "the walk steps between cells nearer than this", f"{CODE} (REFERENCE 5.6)", unit="cells", ge=2
    )
    walk_power: float = setting(10.0, "beta: power of the affinities", f"{CODE} (REFERENCE 5.6)", gt=0)
    walk_steps: int = setting(256, "steps of the walk, 2 to the power of `exp_times`", f"{CODE} (REFERENCE 5.6)", ge=0)
    background_score: float = setting(
        0.25, "constant score of background beside the walked CAMs", f"{CODE} (REFERENCE 5.6)", gt=0, lt=1
    )

    @model_validator(mode="after")
    def _consistent(self) -> IrnSettings:
        """Refuse settings that contradict each other."""
        if self.background_threshold > self.foreground_threshold:
            raise ValueError("background_threshold is above foreground_threshold: pixels would be both")
        if not 0 < self.rescale_range[0] <= self.rescale_range[1]:
            raise ValueError(f"rescale_range {self.rescale_range} is empty: give (smallest, largest), both above 0")
        return self
