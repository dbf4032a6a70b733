"""What the batches of an epoch have in common, whatever is trained.

Every draw is keyed by (random seed, epoch, position in the epoch), never by a stream that runs on: a resumed run, or
another number of processes that read or train, sees the very same images.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.errors import DataError, RecipeError


class Draw(enum.IntEnum):
    """What a random number is for; two purposes never share their numbers."""

    ORDER = 0
    IMAGE = 1
    PAIR = 2
    PASTE = 3
    MIX = 4
    COLOUR = 5


def keyed_generator(random_seed: int, draw: Draw, epoch: int, position: int) -> np.random.Generator:
    """Return the generator of one draw; the same place in the same epoch draws the same in every run.

    Example:
        >>> a, b = (keyed_generator(1, Draw.IMAGE, 3, 4).random() for _ in range(2))
        >>> a == b
        True
    """
    # All keys have the same length: numpy takes (1, 2) and (1, 2, 0) for the same key.
    return np.random.default_rng([random_seed, epoch, draw, position])


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the images of a data set, as one of the processes that train sees it.

    Attributes:
        order: (N,) index of the image at each position.
        random_seed: Key of every draw, as is the number.
        number: From 0.
        rank: This process.
        world_size: Number of processes that train.

    Example:
        >>> from ktse.data.shapes import Shapes
        >>> epoch = Epoch.shuffled(Shapes(count=40), Recipe(), number=3, rank=1, world_size=2)
        >>> epoch.positions(2, 8)
        range(20, 24)
        >>> {epoch.index(position) for position in range(40)} == set(range(40))
        True
    """

    order: NDArray[np.intp]
    random_seed: int
    number: int
    rank: int
    world_size: int

    @classmethod
    def shuffled(cls, dataset: Dataset, recipe: Recipe, number: int, rank: int, world_size: int) -> Self:
        """Return an epoch that goes through a data set in an order of its own, the same in every process."""
        random_seed = recipe.runtime.random_seed
        order = keyed_generator(random_seed, Draw.ORDER, number, 0).permutation(len(dataset))
        return cls(order, random_seed, number, rank, world_size)

    def index(self, position: int) -> int:
        """Return which image stands at a position."""
        return int(self.order[position])

    def positions(self, step: int, size: int) -> range:
        """Return the positions that this process reads in a step; the processes cut its `size` among themselves."""
        share = size // self.world_size
        first = (step * self.world_size + self.rank) * share
        return range(first, first + share)

    def generator(self, draw: Draw, position: int) -> np.random.Generator:
        """Return the generator of the draw at a position."""
        return keyed_generator(self.random_seed, draw, self.number, position)


def check_batch_size(
    dataset: Dataset, setting: str, size: int, *, world_size: int, micro_batches: int = 1, together: int = 1
) -> None:
    """Refuse, before any work, a batch that cannot be made.

    Args:
        dataset: Images to learn from.
        setting: Name of the setting, for the error.
        size: Images a step, all processes.
        world_size: Processes that train.
        micro_batches: Equal parts that each process cuts its share into.
        together: Images that are never parted: 2 when they come in pairs.

    Raises:
        DataError: Fewer images than a batch.
        RecipeError: A batch does not divide into the processes and their micro-batches.
    """
    if len(dataset) < size:
        raise DataError(
            f"{dataset.name}, split '{dataset.split}', has {len(dataset)} images, {setting} asks for {size} at once.",
            remedy=f"Add images or set {setting}={len(dataset)}.",
        )
    parts = world_size * micro_batches * together
    if size % parts:
        cut = f" with {micro_batches} micro-batches each" if micro_batches > 1 else ""
        groups = f", in groups of {together}" if together > 1 else ""
        raise RecipeError(
            f"{setting} is {size}, which does not divide into {world_size} processes{cut}{groups}.",
            remedy=f"Set it to a multiple of {parts}.",
        )
