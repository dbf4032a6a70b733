"""The table that a run ends with: each score beside its baseline and its bound, and below it how each was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ktse.cli.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from ktse.evaluation.score import Score


def show_scores(scores: Sequence[Score], run: Path) -> None:
    """Print the scores of a run with their protocols, and where its report is if there is one."""
    from ktse.report.score_table import score_title

    say(scores_table(scores) if scores else "nothing was scored: the data have no true masks.")
    for score in scores:
        say(f"{score_title(score)}: {score.protocol.in_words()}")
    report = run / "report.html"
    if report.is_file():
        say(f"report: {report}")


def scores_table(scores: Sequence[Score]) -> Table:
    """Return the scores as a table in percent; an empty cell is a number that was not asked for."""
    from rich.table import Table

    from ktse.report.score_table import score_title, shown_columns

    columns = shown_columns(scores)
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for title in columns:  # one word a line, so that all stand side by side in a narrow terminal
        table.add_column(title.replace("-", "-\n").replace(" ", "\n"), justify="right", no_wrap=True)
    for score in scores:
        table.add_row(score_title(score), *(_percent(value(score)) for value in columns.values()))
    return table


def _percent(value: float | None) -> str:
    """Write a percentage with one decimal."""
    return "" if value is None else f"{value:.1f}"
