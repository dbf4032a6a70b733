"""A score: a confusion matrix, what is read off it, and the protocol without which it says nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory, describe_machine, git_commit, read_json, write_json
from ktse.errors import DataError
from ktse.evaluation.protocol import Protocol
from ktse.metrics.confusion import failure_shares, iou, mean_failure_shares, mean_iou

LABEL_OF_BACKGROUND = "background"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """How good the label maps of a stage are.

    Attributes:
        stage: What was scored: `seeds`, `ir_labels`, `steps` (of refinement, before the last), `masks`, `predictions`.
        class_names: Names of the K classes.
        matrix: (L, L) pixels, rows the true label; of IR labels the labelled pixels alone.
        protocol: How the score was made.
        baseline: mIoU of the plain classifier at this stage, percent, or None.
        fully_supervised: mIoU of the same segmenter trained on true masks, percent, or None.
        trusted_accuracy: How many of the trusted pixels are right, percent; those are the labelled pixels of IR labels,
            and of pseudo masks what their confidence masks name. None where nothing says what to trust.
        trusted_share: Pixels that are trusted, percent, or None.

    Example:
        >>> score = Score(stage="masks", class_names=("cat",), matrix=np.array([[3, 1], [0, 4]]),
        ...               protocol=Protocol(dataset="mine", split="val", images=2))
        >>> score.miou, score.over_expansion, score.under_activation
        (77.5, 20.0, 0.0)
    """

    stage: str
    class_names: tuple[str, ...]
    matrix: NDArray[np.int64]
    protocol: Protocol
    baseline: float | None = None
    fully_supervised: float | None = None
    trusted_accuracy: float | None = None
    trusted_share: float | None = None

    @property
    def miou(self) -> float:
        """Mean IoU over the labels that occur, background among them; percent."""
        return 100 * float(mean_iou(self.matrix))

    @property
    def over_expansion(self) -> float:
        """Mean share of false positives in the union over the foreground classes; percent."""
        return 100 * float(mean_failure_shares(self.matrix)[0])

    @property
    def under_activation(self) -> float:
        """Mean share of false negatives in the union over the foreground classes; percent."""
        return 100 * float(mean_failure_shares(self.matrix)[1])

    @property
    def per_class(self) -> dict[str, dict[str, float | None]]:
        """IoU and both failure shares of each label in percent, background first; None where a label does not occur."""
        over, under = failure_shares(self.matrix)
        rows = zip((LABEL_OF_BACKGROUND, *self.class_names), iou(self.matrix), over, under, strict=True)
        return {
            name: {"iou": _percent(i), "over_expansion": _percent(o), "under_activation": _percent(u)}
            for name, i, o, u in rows
        }

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that `from_json` takes back; the means are there for readers."""
        return {
            "stage": self.stage,
            "miou": _rounded(self.miou),
            "over_expansion": _rounded(self.over_expansion),
            "under_activation": _rounded(self.under_activation),
            "baseline": _rounded(self.baseline),
            "fully_supervised": _rounded(self.fully_supervised),
            "trusted_accuracy": _rounded(self.trusted_accuracy),
            "trusted_share": _rounded(self.trusted_share),
            "protocol": self.protocol.to_json(),
            "per_class": self.per_class,
            "matrix": self.matrix.tolist(),
        }

    @classmethod
    def from_json(cls, values: Any) -> Score:
        """Make a score of JSON values; everything but the matrix follows from it.

        Raises:
            DataError: They are not those of a score.
        """
        try:
            names = tuple(values["per_class"])[1:]
            matrix = np.array(values["matrix"], dtype=np.int64)
            if matrix.shape != (len(names) + 1, len(names) + 1) or matrix.min() < 0:
                raise ValueError(f"matrix {matrix.shape} for {len(names)} classes")
            return cls(
                stage=str(values["stage"]),
                class_names=names,
                matrix=matrix,
                protocol=Protocol.from_json(values["protocol"]),
                baseline=values["baseline"],
                fully_supervised=values["fully_supervised"],
                trusted_accuracy=values.get("trusted_accuracy"),  # files of older versions have none
                trusted_share=values.get("trusted_share"),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"this is not a score ({error!r}).", remedy="Run `ktse evaluate` again.") from error


def write_scores(run: RunDirectory, scores: Sequence[Score], *, device: str = "cpu", processes: int = 1) -> None:
    """Write `scores.json`: every score with its protocol, and when, how and on what they were computed."""
    write_json(
        run.scores,
        {
            "scores": [score.to_json() for score in scores],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "commit": git_commit(),
            "machine": describe_machine(device, processes),
        },
    )


def read_scores(run: RunDirectory) -> list[Score]:
    """Read the scores of a run; none if nothing was scored.

    Raises:
        DataError: The file is damaged; it is named.
    """
    if not run.scores.is_file():
        return []
    content = read_json(run.scores)
    try:
        return [Score.from_json(values) for values in content["scores"]]
    except (DataError, KeyError, TypeError) as error:
        raise DataError(f"'{run.scores}' holds no scores: {error}") from error


def _percent(share: float) -> float | None:
    return None if np.isnan(share) else _rounded(100 * float(share))


def _rounded(value: float | None) -> float | None:
    """Round to what is printed and compared; None for what is not there."""
    return None if value is None or np.isnan(value) else round(value, 3)
