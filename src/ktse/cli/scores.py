"""Tables of scores, and below each how they were made: of a run by itself, and among the rows of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ktse.cli.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from ktse.evaluation.published import Placing
    from ktse.evaluation.published_tables import Row
    from ktse.evaluation.score import Score

OWN_MARK, OTHER_PROTOCOL = ">", "*"
"""Stand before the row of the run, and behind its numbers where they were made in another way than the paper's."""


def show_scores(scores: Sequence[Score], run: Path | None = None) -> None:
    """Print scores with their protocols, and where the report of their run is if there is one."""
    from ktse.report.score_table import score_title

    say(scores_table(scores) if scores else "nothing was scored: the data have no true masks.")
    for score in scores:
        say(f"{score_title(score)}: {score.protocol.in_words()}")
    if run is not None and (report := run / "report.html").is_file():
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


def show_placing(placing: Placing) -> None:
    """Print a run among the rows of a table of the paper, with its protocol and in what that is another."""
    table = placing.table
    say(f"\n{table.name} of the paper: {table.title}. mIoU in percent on {table.dataset}; the best first.")
    say(placing_table(placing))
    for protocol in placing.protocols:
        say(f"{OWN_MARK} {placing.own.method}, {protocol}")
    for deviation in placing.deviations:
        say(f"{OTHER_PROTOCOL} not as in the paper: {deviation}")
    say(table.note)


def placing_table(placing: Placing) -> Table:
    """Return the rows of the paper and the one of the run; a dash stands where the paper prints one."""
    from rich.table import Table

    with_supervision = any(row.supervision for row in placing.table.rows)
    table = Table(box=None, pad_edge=False)
    for title in ("", "method", "", *(["sup"] if with_supervision else [])):
        table.add_column(title, no_wrap=True)
    for column in placing.table.columns:
        table.add_column(f"{column.title} ({column.split})", justify="right", no_wrap=True)
    for row in placing.rows:
        is_own = row is placing.own
        numbers = [_percent(value) if value is not None or is_own else "-" for value in row.values]
        if is_own and placing.deviations:
            numbers = [f"{number}{OTHER_PROTOCOL}" if number else "" for number in numbers]
        supervision = [row.supervision or ""] if with_supervision else []
        table.add_row(OWN_MARK if is_own else "", _method(row), row.venue or "", *supervision, *numbers)
    return table


def _method(row: Row) -> str:
    """Write a method with its reference; brackets are escaped, which would be styles otherwise."""
    cited = "" if row.cited is None else rf" \[{row.cited}]"
    return f"{row.method}{cited}{' (the paper)' if row.ours else ''}"


def _percent(value: float | None) -> str:
    """Write a percentage with one decimal."""
    return "" if value is None else f"{value:.1f}"
