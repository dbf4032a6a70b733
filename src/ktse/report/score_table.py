"""The table of scores: its rows by name, and the columns that say something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ktse.evaluation.score import Score

Column = Callable[[Score], float | None]
"""From a score to its number in a column, percent; None where it has none."""


@dataclass(frozen=True, slots=True)
class TitledScore:
    """A score under the name that tells it from the others on the page."""

    title: str
    score: Score


def score_title(score: Score) -> str:
    """Return the name of a score for people.

    Example:
        >>> import numpy as np
        >>> from ktse.evaluation.protocol import Protocol
        >>> protocol = Protocol(dataset="x", split="train", images=1, threshold=0.3, threshold_source="masks")
        >>> score_title(Score(stage="seeds", class_names=("cat",), matrix=np.eye(2, dtype=int), protocol=protocol))
        'seeds, best threshold'
    """
    match score.stage:
        case "seeds":
            kind = "best" if score.protocol.threshold_source == "masks" else "fixed"
            return f"seeds, {kind} threshold"
        case "ir_labels":
            return "IR labels"
        case "steps":
            return f"after {', '.join(step.upper() for step in score.protocol.refinement or ())}"
        case "masks":
            return "pseudo masks"
        case other:
            return other


def shown_columns(scores: Sequence[Score]) -> Mapping[str, Column]:
    """Return the columns of a table by their titles: mIoU and its two failures always, others where one is known.

    Example:
        >>> list(shown_columns([]))
        ['mIoU', 'over-expansion', 'under-activation']
    """
    always: dict[str, Column] = {
        "mIoU": lambda score: _of_all_pixels(score, score.miou),
        "over-expansion": lambda score: _of_all_pixels(score, score.over_expansion),
        "under-activation": lambda score: _of_all_pixels(score, score.under_activation),
    }
    sometimes: dict[str, Column] = {
        "baseline": lambda score: score.baseline,
        "fully supervised": lambda score: score.fully_supervised,
        "trusted correct": lambda score: score.trusted_accuracy,
        "trusted share": lambda score: score.trusted_share,
    }
    known = {title: value for title, value in sometimes.items() if any(value(score) is not None for score in scores)}
    return always | known


def _of_all_pixels(score: Score, value: float) -> float | None:
    """Return a number, unless it leaves pixels out: it could not be compared with the others of its column."""
    return None if score.protocol.labelled_only else value
