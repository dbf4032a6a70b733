"""The splits of a data set that a run looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
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

    Images to learn from are reduced to `data.longest_side`, those to predict are as they are, and so are their masks:
    the segmenter knows how large it may see them.

    Raises:
        DataError: A data set is missing or not as it has to be.
    """
    settings = recipe.data

    @cache
    def opened(split: str, full_size: bool) -> Dataset:
        return open_dataset(settings, data, split, full_size=full_size)

    def or_train(split: str) -> str:
        return split if split == settings.train_split or has_split(settings, data, split) else settings.train_split

    return Splits(
        train=opened(settings.train_split, False),
        scored=opened(or_train(settings.score_split), False),
        val=opened(or_train(settings.val_split), settings.longest_side is not None),
    )
