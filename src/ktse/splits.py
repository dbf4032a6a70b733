"""The splits of a data set that a run looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.data.open import has_split, open_dataset


@dataclass(frozen=True, slots=True)
class Splits:
    """The data of a run.

    Attributes:
        train: Images whose tags are learned from.
        scored: Images on whose masks seeds and pseudo masks are scored.
        val: Images for which the segmenter predicts masks; it needs no tags of them.
    """

    train: Dataset
    scored: Dataset
    val: Dataset


def open_splits(recipe: Recipe, data: Path | None) -> Splits:
    """Open the splits that a recipe names; a folder without its own validation split predicts its training images.

    Raises:
        DataError: A data set is missing or not as it has to be.
    """
    settings = recipe.data
    train = open_dataset(settings, data, settings.train_split)
    opened = {settings.train_split: train}
    for split in (settings.score_split, settings.val_split):
        if split not in opened and has_split(settings, data, split):
            opened[split] = open_dataset(settings, data, split)
    return Splits(train, opened.get(settings.score_split, train), opened.get(settings.val_split, train))
