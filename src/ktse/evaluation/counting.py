"""Counts over the images of a data set that have a true mask, streamed and shared among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ktse.data.dataset import Dataset
from ktse.data.image_io import MAX_PIXELS
from ktse.engine.fabric import shard
from ktse.engine.progress import progress
from ktse.errors import DataError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LabelMap = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Counted:
    """Sums over the images of all processes.

    Attributes:
        matrices: Sum of what each image gave.
        images: Images that had a mask.
    """

    matrices: NDArray[np.int64]
    images: int


def count(
    dataset: Dataset,
    matrices_of: Callable[[str, LabelMap], NDArray[np.int64]],
    shape: tuple[int, ...],
    *,
    what: str,
    fabric: Fabric | None,
) -> Counted:
    """Sum the matrices of all images that have a mask; one image is in memory at a time.

    Args:
        dataset: Images with true masks.
        matrices_of: From the id of an image and its true mask to an array of `shape`.
        shape: Of what is summed.
        what: Name of the work, for the progress.
        fabric: Processes that share the images; None for this one alone.

    Raises:
        DataError: The data set has no masks.
    """
    total, images = np.zeros(shape, np.int64), 0
    indices = shard(len(dataset), fabric)
    with progress(what, len(indices), shown=fabric is None or fabric.global_rank == 0) as report:
        for index in indices:
            truth = dataset.mask(index)
            if truth is not None:
                total += matrices_of(dataset.ids[index], truth)
                images += 1
            report()
    sums = _summed(np.append(total.ravel(), images), fabric)
    if sums[-1] == 0:
        raise DataError(
            f"{dataset.name} has no true masks in split '{dataset.split}'.", remedy="Score a split that has masks."
        )
    return Counted(sums[:-1].reshape(shape), int(sums[-1]))


@contextmanager
def reading_label_map(path: Path, id_: str, stage: str) -> Iterator[None]:
    """Name the file in every error about a label map.

    Raises:
        DataError: There is no such file, or what happens inside raises one.
    """
    if not path.is_file():
        raise DataError(f"there is no label map '{path}' for image '{id_}'.", remedy=f"Make the {stage} first.")
    try:
        yield
    except DataError as error:
        raise DataError(f"label map '{path}': {error}") from error


def largest_for(truth: LabelMap) -> int:
    """Return how many pixels a label map may have that is read beside a true mask: as many as that one has already."""
    return max(MAX_PIXELS, truth.size)


def _summed(counts: NDArray[np.int64], fabric: Fabric | None) -> NDArray[np.int64]:
    """Add the counts of all processes."""
    if fabric is None or fabric.world_size == 1:
        return counts
    total = fabric.all_reduce(torch.from_numpy(counts).to(fabric.device), reduce_op="sum")
    return np.asarray(torch.as_tensor(total).cpu().numpy(), np.int64)
