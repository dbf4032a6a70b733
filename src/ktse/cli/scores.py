"""The table that a run ends with: each score beside its baseline and its bound, with its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ktse.cli.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from ktse.evaluation.score import Score


def show_scores(scores: Sequence[Score], run: Path) -> None:
    """Print the scores of a run, and where its report is if there is one."""
    say(scores_table(scores) if scores else "nothing was scored: the data have no true masks.")
    report = run / "report.html"
    if report.is_file():
        say(f"report: {report}")


def scores_table(scores: Sequence[Score]) -> Table:
    """Return the scores as a table in percent; an empty cell is a number that was not asked for."""
    from rich.table import Table

    from ktse.report.page import score_title

    table = Table(box=None, pad_edge=False)
    for name in ("stage", "mIoU", "over-expansion", "under-activation", "baseline", "fully supervised"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    table.add_column("protocol", overflow="fold")
    for score in scores:
        numbers = (score.miou, score.over_expansion, score.under_activation, score.baseline, score.fully_supervised)
        table.add_row(score_title(score), *map(_percent, numbers), score.protocol.in_words())
    return table


def _percent(value: float | None) -> str:
    """Write a percentage with one decimal."""
    return "" if value is None else f"{value:.1f}"
