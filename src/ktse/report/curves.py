"""Loss curves of a run's trainings, one small plot for each loss."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 150
"""Points of a curve; a longer training is averaged down to them."""

FIGURE_SIZE = (3.2, 1.7)
"""Inches of one plot."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One loss of one training.

    Attributes:
        stage: The training.
        name: The loss.
        epochs: (N,) place of each value, in epochs from 0.
        values: (N,) the loss; NaN where it was not finite.
    """

    stage: str
    name: str
    epochs: NDArray[np.float64]
    values: NDArray[np.float64]

    @property
    def summary(self) -> str:
        """The curve in words, for those who do not see it."""
        seen = self.values[np.isfinite(self.values)]
        if not len(seen):
            return f"{self.stage}: {self.name}, no finite value"
        return f"{self.stage}: {self.name} from {seen[0]:.3g} to {seen[-1]:.3g} in {self.epochs[-1]:.3g} epochs"


def loss_curves(records: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """Read the losses of every training off a log, in the order of their first appearance, the total first.

    A step that was done again after a crash counts once, as it was done last.

    Args:
        records: Lines of `log.jsonl`; those without losses are passed over.

    Example:
        >>> log = [{"stage": "localizer", "epoch": 0, "step": step, "losses": {"total": 2.0 - step}} for step in (0, 1)]
        >>> loss_curves(log)[0].summary
        'localizer: total from 2 to 1 in 0.5 epochs'
    """
    steps: dict[str, dict[tuple[int, int], Mapping[str, Any]]] = {}
    for record in records:
        losses = record.get("losses")
        if isinstance(losses, Mapping):
            steps.setdefault(str(record.get("stage")), {})[int(record["epoch"]), int(record["step"])] = losses
    return [curve for stage, done in steps.items() for curve in _curves_of(stage, done)]


def curve_uri(curve: Curve) -> str:
    """Draw a curve and return it as a data URI (SVG)."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # fonts of the reader's system, and the same file for the same curve
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ktse", "font.size": 8, "font.family": "sans-serif"}):
        figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.plot(curve.epochs, curve.values, color="#1f6feb", linewidth=1.4)
        axes.set_title(curve.name.replace("_", " "), loc="left", fontsize=9)
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlim(0, curve.epochs[-1] or None)
        axes.set_ylim(bottom=0 if np.nanmin(curve.values, initial=0.0) >= 0 else None)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _curves_of(stage: str, done: Mapping[tuple[int, int], Mapping[str, Any]]) -> list[Curve]:
    """Return the curves of one training."""
    places = sorted(done)
    steps_in: dict[int, int] = {}
    for epoch, step in places:
        steps_in[epoch] = max(steps_in.get(epoch, 0), step + 1)
    longest = max(steps_in.values())
    last = places[-1][0]  # an epoch that was stopped is as long as the others
    epochs = np.array([epoch + step / (longest if epoch == last else steps_in[epoch]) for epoch, step in places])
    names = dict.fromkeys(name for place in places for name in done[place])
    curves = []
    for name in sorted(names, key=lambda name: name != "total"):
        values = np.array([_number(done[place].get(name)) for place in places])
        there = np.array([name in done[place] for place in places])
        curves.append(Curve(stage, name, *_averaged(epochs[there], values[there])))
    return curves


def _averaged(epochs: NDArray[np.float64], values: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    """Average runs of neighbouring points so that at most `MAX_POINTS` remain."""
    if len(values) <= MAX_POINTS:
        return epochs, values
    pieces = np.array_split(np.stack([epochs, values]), MAX_POINTS, axis=1)
    return np.stack([piece.mean(1) for piece in pieces], axis=1)  # type: ignore[return-value] # unpacks to two rows


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
