"""What the batches of an epoch have in common, whatever is trained.

Every draw is keyed by (random seed, epoch, position in the epoch), never by a stream that runs on: a resumed run, or
another number of processes that read or train, sees the very same images.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

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


def shuffled(count: int, random_seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the order in which an epoch goes through `count` images."""
    return keyed_generator(random_seed, Draw.ORDER, epoch, 0).permutation(count)


def positions_of(step: int, batch_size: int, *, rank: int, world_size: int) -> range:
    """Return the positions in the epoch that a process reads in a step; the processes cut a batch among themselves.

    Example:
        >>> positions_of(2, 8, rank=1, world_size=2)
        range(20, 24)
    """
    share = batch_size // world_size
    first = (step * world_size + rank) * share
    return range(first, first + share)


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
