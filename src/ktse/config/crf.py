"""Settings of a dense CRF, wherever one is used."""

from __future__ import annotations

from typing import Literal

from ktse.config.setting import CODE, OURS, Section, setting


class CrfSettings(Section):
    """A fully connected CRF; the defaults are those of IR labels."""

    iterations: int = setting(10, "steps of the mean field", f"{CODE} (REFERENCE 5.2)", ge=0)
    gaussian: tuple[float, float] | None = setting(
        (3.0, 3.0), "deviation of place in px, compatibility; null leaves the kernel out", f"{CODE} (REFERENCE 5.2)"
    )
    bilateral: tuple[float, float, float] | None = setting(
        (50.0, 5.0, 10.0),
        "deviation of place in px, of colour in grey levels, compatibility; null leaves the kernel out",
        f"{CODE} (REFERENCE 5.2)",
    )
    unary: Literal["labels", "scores"] = setting(
        "labels", "what the CRF starts from: the strongest label, or the scores as probabilities", f"{CODE} (5.2, 6.5)"
    )
    confidence: float = setting(
        0.7, "probability that a label stands for, with unary labels", f"{CODE} (REFERENCE 5.2)", gt=0, lt=1
    )
    implementation: Literal["lattice", "pydensecrf"] = setting(
        "lattice", "ours, or the package pydensecrf2 (extra `crf`)", f"{OURS}: ours needs no compiler"
    )
