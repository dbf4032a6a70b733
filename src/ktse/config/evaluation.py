"""Settings of evaluation and of the machine a run uses."""

from __future__ import annotations

from typing import Literal

from ktse.config.setting import CODE, OURS, Section, setting


class EvaluationSettings(Section):
    """What is scored beside the method."""

    baseline: bool = setting(
        False, "also train the plain classifier and score its CAMs", f"{OURS}: for the demo's table"
    )
    fully_supervised: bool = setting(
        False,
        "also train the segmenter on true masks, as the bound of what tags could reach",
        f"{OURS}: for the demo's table",
    )
    gallery: int = setting(24, "images shown in the report", f"{OURS}: a screenful or two", ge=0)


class RuntimeSettings(Section):
    """How a run uses the machine; none of these changes what is computed, up to rounding."""

    random_seed: int = setting(
        5137, "random seed of initialisation, order, augmentation and dropout", CODE + " (REFERENCE 2.2)", ge=0
    )
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = setting("auto", "device", OURS)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = setting(
        "32-true", "arithmetic of training", CODE + " (REFERENCE 2.2)"
    )
    workers: int = setting(
        0, "processes that read images, per process that trains", f"{OURS}: 0 reads in the training process", ge=0
    )
    inference_batch: int = setting(
        1,
        "images of one size that are seen together at inference, as long as they have 4 million pixels or fewer",
        f"{OURS}: speed against memory",
        ge=1,
    )
    checkpoint_interval: float = setting(
        60.0, "seconds between checkpoints within an epoch; 0 for every step", OURS, unit="s", ge=0
    )
