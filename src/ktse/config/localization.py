"""Settings of localization: the network, its training, every KTSE loss, CAM inference and seeds."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt, model_validator

from ktse.config.setting import CODE, OURS, PAPER, Section, setting

SMALLEST_SWEEP_STEP = 0.001
"""Finest sweep of thresholds: a confusion matrix is counted for each."""


class LossWeights(Section):
    """Weight of each loss in the total; 0 switches it off, and with it the forward passes that only it needs."""

    classification: float = setting(1.0, "L_cls", f"{PAPER} Eq. 10", ge=0)
    knowledge_transfer: float = setting(1.0, "L_kt, the loss of SIE", f"{PAPER} Eq. 10", ge=0)
    background: float = setting(1.0, "background part of L_ce on the anchor (SSR)", f"{PAPER} Eq. 5", ge=0)
    foreground: float = setting(0.0125, "omega_fg: foreground part of L_ce on the anchor (SSR)", f"{PAPER} 3.3", ge=0)
    inter_class: float = setting(0.005, "lambda_inter: L_inter (SSR)", f"{PAPER} 3.5", ge=0)
    joint_background: float = setting(1.0, "background part of L_ce on the joint image (SIE with SSR)", CODE, ge=0)
    joint_foreground: float = setting(0.0125, "foreground part of L_ce on the joint image (SIE with SSR)", CODE, ge=0)
    global_alignment: float = setting(1.0, "L_global (MGA)", f"{PAPER} Eq. 10", ge=0)
    local_alignment: float = setting(1.0, "L_local (MGA)", f"{PAPER} Eq. 10", ge=0)
    erased_classification: float = setting(
        0.0, "L_cls of the erased image (ACoL), a rival of MGA", f"{PAPER} Tab. 7: not part of the method", ge=0
    )


class LocalizationSettings(Section):
    """How the localizer is built, trained and asked for CAMs."""

    # network
    trunk: str = setting(
        "resnet38d", "feature extractor: resnet38d, demo (small, made for Shapes) or a timm name", f"{PAPER} 4.1"
    )
    trunk_weights: str | None = setting(
        "resnet38d.imagenet",
        "weights of the trunk: a name of `ktse weights list`, a file (.safetensors, .params, .pth), `timm` for the "
        "pre-trained weights that timm knows, or null for none",
        f"{PAPER} 4.1: ImageNet",
    )
    trunk_width: float = setting(1.0, "factor on the channels of resnet38d; 1/32 for tests", OURS, gt=0, le=4)
    output_stride: int = setting(
        8, "pixels of the image per cell of the CAM; resnet38d has 8, demo 4", f"{CODE} (REFERENCE 1.1)", unit="px"
    )
    head_width: int = setting(256, "channels between trunk and CAM", f"{CODE} (REFERENCE 1.2)", ge=1)
    normalization_layers: Literal["frozen", "frozen_after_warm_up", "trained"] = setting(
        "frozen",
        "batch normalisation of the trunk: frozen always, learning during warm-up only, or trained",
        f"{CODE} (REFERENCE 1.4)",
    )

    # data
    resize_range: tuple[int, int] = setting(
        (256, 512), "longest side of a training image, drawn uniformly", f"{CODE} (REFERENCE 2.1)", unit="px"
    )
    crop_size: int = setting(320, "side of a training crop", f"{CODE} (REFERENCE 2.1)", unit="px", ge=16)
    flip_probability: float = setting(0.5, "chance that a training image is mirrored", CODE, ge=0, le=1)

    # schedule
    warm_up_epochs: int = setting(10, "epochs with L_cls alone, before all other losses", f"{CODE} (3.4 #1)", ge=0)
    epochs: int = setting(40, "epochs in all, warm-up included", f"{CODE} (3.4 #2)", ge=1)
    warm_up_batch_size: int = setting(8, "images per step during warm-up, all processes", f"{CODE} (3.4 #2)", ge=1)
    batch_size: int = setting(16, "images per step after warm-up, all processes", f"{CODE} (3.4 #2)", ge=1)
    pairs: int = setting(4, "P: images of a batch that get a pair and a joint image, per process", CODE, ge=1)
    micro_batches: int = setting(1, "parts into which a batch is cut to save memory", f"{OURS}: accumulation", ge=1)
    learning_rate: float = setting(0.01, "learning rate at the start", f"{PAPER} 4.1", gt=0)
    head_learning_rate_factor: float = setting(
        1.0, "factor on the learning rate of the new layers", f"{CODE}: the announced 10 never applies (3.4 #5)", gt=0
    )
    learning_rate_power: float = setting(0.9, "power of the poly schedule", f"{PAPER} 4.1", ge=0)
    horizon: Literal["warm_up_batches", "steps"] = setting(
        "warm_up_batches",
        "step at which the poly schedule reaches 0: counted as if every epoch had warm-up batches, or the real number",
        f"{CODE}: the rate ends at 0.41 of its start (3.4 #3)",
    )
    momentum: float = setting(5e-4, "momentum of SGD", f"{CODE}: weight decay taken for momentum (3.4 #4)", ge=0, lt=1)
    weight_decay: float = setting(5e-4, "weight decay of SGD", f"{CODE} (3.4 #4)", ge=0)
    gradient_clip: float | None = setting(None, "largest gradient norm; null for none", CODE, gt=0)

    collapse_activation: float = setting(
        1e-2,
        "mean largest activation of a tagged class below which a training has collapsed and stops; 0 never stops",
        f"{OURS}: guard",
        ge=0,
    )
    guard_steps: int = setting(200, "steps that the guard averages over", f"{OURS}: guard", unit="steps", ge=1)

    # the method
    weights: LossWeights = LossWeights()
    loss_ramp: float = setting(
        0.0,
        "share of the epochs after warm-up over which every loss but L_cls grows from 0 to its weight",
        CODE,
        ge=0,
        le=1,
    )
    erase_threshold: float = setting(0.6, "CAM above which the anchor is erased", f"{PAPER} 3.4", ge=0, le=1)
    foreground_threshold: float = setting(
        0.3, "beta_h: CAM above which a pixel may be foreground", f"{PAPER} 3.3", gt=0, lt=1
    )
    background_threshold: float = setting(
        0.15, "beta_l: CAM below which a pixel may be background", f"{PAPER} 3.3", gt=0, lt=1
    )
    object_threshold: float = setting(0.2, "beta_o: CAM above which L_inter acts", f"{PAPER} 3.3", gt=0, lt=1)
    par_iterations: int = setting(10, "iterations of PAR on the pseudo labels", f"{CODE} (REFERENCE 3.3)", ge=1)
    par_dilations: tuple[PositiveInt, ...] = setting(
        (1, 2, 4, 8, 12, 24), "neighbour distances of PAR", CODE, unit="px", min_length=1
    )
    par_size_divisor: int = setting(2, "PAR runs on the image reduced by this factor", f"{CODE} (REFERENCE 3.3)", ge=1)
    join: Literal["stack", "cutmix"] = setting(
        "stack",
        "how anchor and pair become a joint image: one above the other, or a box of the pair pasted in",
        CODE + " (3.4 #8)",
    )
    detach_anchor: bool = setting(False, "cut the gradient of the single images in L_kt", f"{PAPER} 3.3 warns of it")
    foreground_images: Literal["simple", "all"] = setting(
        "simple", "anchors that take part in the foreground L_ce: of one class, or all", f"{CODE} (3.4 #11)"
    )

    # where the paper and its code differ; the dialects set these (docs/differences.md)
    erase_normalization: Literal["min_max", "max"] = setting(
        "min_max",
        "CAM of erasing and of L_inter: min-max of the ReLU, or ReLU over maximum (Eq. 1)",
        f"{CODE} (3.4 #6)",
    )
    pseudo_label_normalization: Literal["signed_max", "positive_max", "relu_max"] = setting(
        "positive_max",
        "CAM of the pseudo labels: over its own maximum whatever its sign, the same with maxima below 0 taken as 0, "
        "or ReLU over maximum (Eq. 1)",
        f"{OURS}: published code with the sign flip of all-negative maps mended (REFERENCE 7.1 no. 4)",
    )
    pseudo_label_input: Literal["scores", "labels"] = setting(
        "scores", "what PAR refines: soft scores against two constants, or the hard labels of Eq. 4", f"{CODE} (3.4 #9)"
    )
    clip_logits: bool = setting(True, "L_ce and L_inter see ReLU(F), not F", f"{CODE} (3.4 #12, #14)")
    cross_entropy_reduction: Literal["per_group", "pooled"] = setting(
        "per_group",
        "mean of L_ce over the pixels of each group by itself, or over all labelled pixels of anchor and joint",
        f"{CODE} (3.4 #10, #18)",
    )
    joint_labels: Literal["both", "anchor"] = setting(
        "both", "halves of the joint image that L_ce labels", f"{CODE} (3.4 #13)"
    )
    knowledge_transfer_halves: Literal["both", "anchor"] = setting(
        "both", "halves of the joint image that L_kt compares", f"{CODE} (3.4 #7)"
    )
    knowledge_transfer_tags: Literal["union", "own"] = setting(
        "union", "classes that L_kt compares: of either image, or of the half's own image", f"{CODE} (3.4 #7)"
    )
    class_reduction: Literal["all", "present"] = setting(
        "all",
        "L_kt, L_global and L_local are means over all K classes, or over the present ones",
        f"{CODE} (3.4 #7, #16)",
    )
    margin: float = setting(0.05, "difference that L_kt and L_local forgive", f"{CODE} (3.4 #7, #17)", ge=0)
    detach_maximum: bool = setting(
        True, "L_inter pulls down the runner-up only, not up the largest", f"{CODE} (3.4 #14)"
    )
    inter_class_reduction: Literal["batch", "image"] = setting(
        "batch",
        "L_inter is a mean over the pixels of all complex images, or a mean of image means",
        f"{CODE} (3.4 #14)",
    )
    global_alignment_norm: Literal["l1", "signed"] = setting(
        "l1", "L_global is the absolute difference, or the signed one as Eq. 8 writes it", f"{CODE} (3.4 #16)"
    )
    global_alignment_of: Literal["cam", "gated"] = setting(
        "cam",
        "what L_global compares: the CAM, or the gated map of GPP (after AEFT), a rival of MGA",
        f"{PAPER} Eq. 8; gated: Tab. 7",
    )
    local_alignment_region: Literal["kept", "all"] = setting(
        "kept", "cells in which L_local acts: those not erased, or all", f"{CODE} (3.4 #17)"
    )
    count_padding: bool = setting(True, "padding counts as image in every loss", f"{CODE} (3.4 #20)")

    # CAM inference and seeds
    scales: tuple[PositiveFloat, ...] = setting(
        (0.5, 1.0, 1.5, 2.0), "sizes of the views, to the image", CODE + " (REFERENCE 4.1)", min_length=1
    )
    mirror: bool = setting(True, "add the mirror image of each view", CODE + " (REFERENCE 4.1)")
    view_merge: Literal["relu_then_sum", "sum_then_relu"] = setting(
        "relu_then_sum",
        "ReLU on each view, or on the sum of a view and its mirror (as for IRN)",
        CODE + " (REFERENCE 4.1, 5.1)",
    )
    cam_stride: int = setting(
        4,
        "grid on which CAMs are kept; 1 for full size",
        f"{OURS}: 1/30 of the disk space; published code keeps full size",
        unit="px",
        ge=1,
    )
    seed_threshold: float = setting(
        0.2,
        "CAM above which a pixel becomes foreground in the seeds",
        f"{OURS}: the middle of the range of the published sweep",
        gt=0,
        lt=1,
    )
    sweep: tuple[float, float, float] = setting(
        (0.10, 0.29, 0.01), "first, last and step of the thresholds that are tried on masks", CODE + " (REFERENCE 4.2)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LocalizationSettings:
        """Refuse settings that contradict each other."""
        if not 0 < self.resize_range[0] <= self.resize_range[1]:
            raise ValueError(f"resize_range {self.resize_range} is empty: give (smallest, largest), both above 0")
        if self.background_threshold > self.foreground_threshold:
            raise ValueError("background_threshold is above foreground_threshold: pixels would be both")
        if self.warm_up_epochs > self.epochs:
            raise ValueError(f"warm_up_epochs {self.warm_up_epochs} is more than epochs {self.epochs}")
        first, last, step = self.sweep
        if not (0 <= first <= last <= 1 and step >= SMALLEST_SWEEP_STEP):
            raise ValueError(
                f"sweep {self.sweep} is no range of thresholds: give (first, last, step), the first two in 0 .. 1, the "
                f"step at least {SMALLEST_SWEEP_STEP}"
            )
        return self
