"""A run beside the rows of the paper's tables: its numbers, and in what its protocol is another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ktse.config import Recipe
from ktse.errors import InputError, near_matches
from ktse.evaluation.published_tables import TABLES, Column, PublishedTable, Row
from ktse.evaluation.score import Score

OWN_SUPERVISION = "I"
"""ktse learns from tags alone: image-level labels. What label maps from elsewhere were learned from is not known."""


@dataclass(frozen=True, slots=True)
class Placing:
    """A run among the rows of a table.

    Attributes:
        table: The table.
        own: The row of the run; None in columns that it has no score for.
        protocols: Of each column that the run has a score for, how this score was made, in words.
        deviations: In what the run is not what the table is about, each in words; none where it could stand there.
    """

    table: PublishedTable
    own: Row
    protocols: tuple[str, ...]
    deviations: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, the best first: by the first column that the run has a score for; rows without one come last."""
        known = [value is not None for value in self.own.values]
        column = known.index(True) if any(known) else 0
        return tuple(sorted((self.own, *self.table.rows), key=lambda row: -_or_least(row.values[column])))


def published_table(name: str) -> PublishedTable:
    """Return a table of the paper by its name.

    Raises:
        InputError: There is no such table.

    Example:
        >>> published_table("table1").rows[-1].values
        (67.0, 73.8)
    """
    known = {table.name: table for table in TABLES}
    if name not in known:
        raise InputError(f"the paper has no table '{name}'.", remedy=near_matches(name, known))
    return known[name]


def place(table: PublishedTable, scores: Sequence[Score], recipe: Recipe | None, *, name: str = "") -> Placing:
    """Put a run, or label maps from elsewhere, among the rows of a table.

    Seeds count at the threshold that is best on their masks, as the paper's do.

    Args:
        table: One of the paper's tables.
        scores: Scores of the run.
        recipe: The recipe of the run, which names the row; None for label maps from elsewhere, of which it is not known
            how they were made.
        name: Name of the row where there is no recipe.

    Raises:
        InputError: There is no score of what the table measures.

    Example:
        >>> import numpy as np
        >>> from ktse.evaluation.protocol import Protocol
        >>> score = Score(stage="predictions", class_names=("cat",), matrix=np.array([[6, 2], [0, 8]]),
        ...               protocol=Protocol(dataset="VOC 2012", split="val", images=9))
        >>> placing = place(published_table("table3"), [score], Recipe(name="mine"))
        >>> placing.own.values, placing.deviations, [row.method for row in placing.rows[:2]]
        ((77.5, None), ('Val: 9 images, in the paper 1,449',), ['mine', 'KTSE'])
    """
    chosen = [_score_of(column, table, scores) for column in table.columns]
    if not any(chosen):
        stages = sorted({column.stage for column in table.columns})
        raise InputError(
            f"there is no score of {' or '.join(stages)}, which {table.name} compares.",
            remedy="Run the stages up to it, on data with true masks.",
        )
    pairs = [(column, score) for column, score in zip(table.columns, chosen, strict=True) if score is not None]
    values = tuple(None if score is None else score.miou for score in chosen)
    deviations = [text for column, score in pairs for text in _deviations(column, score, table)]
    return Placing(
        table,
        Row(recipe.name, values, OWN_SUPERVISION) if recipe else Row(name, values),
        tuple(f"{column.title}: {score.protocol.in_words()}" for column, score in pairs),
        tuple(dict.fromkeys([*deviations, *(_other_trunks(table, recipe) if recipe else [])])),
    )


def _score_of(column: Column, table: PublishedTable, scores: Sequence[Score]) -> Score | None:
    """Return the score that stands for a column; one of a split that no column has stands for the first."""
    fitting = sorted(
        (score for score in scores if score.stage == column.stage),
        key=lambda score: score.protocol.threshold_source != "masks",
    )
    same_stage = [other for other in table.columns if other.stage == column.stage]
    splits = {other.split for other in same_stage}
    for score in fitting:
        if score.protocol.split == column.split or (score.protocol.split not in splits and column is same_stage[0]):
            return score
    return None


def _deviations(column: Column, score: Score, table: PublishedTable) -> Iterator[str]:
    """Say in what a score is not what a column measures."""
    protocol = score.protocol
    if protocol.dataset != table.dataset:
        yield f"{column.title}: data {protocol.dataset}, in the paper {table.dataset}"
    if protocol.split != column.split:
        yield f"{column.title}: split {protocol.split}, in the paper {column.split}"
    elif protocol.images < column.images:
        yield f"{column.title}: {protocol.images:,} images, in the paper {column.images:,}"
    steps = protocol.refinement
    if column.stage == "masks" and steps is not None and steps != ("irn",):
        refined_by = ", ".join(step.upper() for step in steps) or "nothing"
        yield f"{column.title}: refined by {refined_by}, in the paper by IRN"


def _other_trunks(table: PublishedTable, recipe: Recipe) -> Iterator[str]:
    """Say which networks are not those of the table; timm names weights after a dot, which is no other network."""
    is_segmenter = any(column.stage == "predictions" for column in table.columns)
    trunk = recipe.segmentation.trunk if is_segmenter else recipe.localization.trunk
    network = trunk.partition(".")[0]
    if network != table.trunk:
        yield f"{'segmenter' if is_segmenter else 'localizer'} on {network}, in the paper on {table.trunk}"


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value
