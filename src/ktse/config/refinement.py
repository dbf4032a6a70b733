"""Settings of refinement: from CAMs to pseudo masks with confidence."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from ktse.config.crf import CrfSettings
from ktse.config.irn import IrnSettings
from ktse.config.setting import CODE, OURS, PAPER, Section, setting


class RefinementSettings(Section):
    """Which steps turn CAMs into pseudo masks."""

    steps: tuple[Literal["par", "crf", "irn"], ...] = setting(
        ("irn",), "steps in their order; none keeps the seeds", f"{PAPER} 4.1: IRN"
    )
    background_score: float = setting(
        0.2, "constant score of background beside the CAMs", f"{OURS}: as localization.seed_threshold", gt=0, lt=1
    )
    par_iterations: int = setting(10, "iterations of PAR", f"{CODE} (REFERENCE 3.3)", ge=1)
    par_dilations: tuple[PositiveInt, ...] = setting(
        (1, 2, 4, 8, 12, 24), "neighbour distances of PAR", CODE, unit="px", min_length=1
    )
    par_keeps_peaks: bool = setting(
        False,
        "scale the scores of each label after PAR, which flattens them, so that their maximum is what it was before",
        f"{OURS}: off, as PAR is published",
    )
    par_batch: int = setting(
        8,
        "images of one size that PAR refines together, as long as they have 4 million pixels or fewer",
        f"{OURS}: speed against memory",
        ge=1,
    )
    crf: CrfSettings = CrfSettings()
    irn: IrnSettings = IrnSettings()
    confident_share: float = setting(
        0.5,
        "share of each label's pixels, those of largest margin, that count as trusted",
        f"{CODE} (REFERENCE 5.7)",
        gt=0,
        le=1,
    )
    untagged_confidence: Literal["margin", "random"] = setting(
        "margin",
        "which pixels of an image without tags are trusted: as of any other, or a random share (the rule for COCO)",
        f"{CODE} (REFERENCE 5.7)",
    )
