"""Images that wait for refinement, read with their CAMs; one that cannot be read does not keep the others from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory, read_cams
from ktse.data.dataset import Dataset
from ktse.data.faults import noted
from ktse.errors import DataError
from ktse.types import CamSet


@dataclass(frozen=True, slots=True)
class Unrefined:
    """A tagged image and its CAMs.

    Attributes:
        id: Of the image.
        image: (H, W, 3) uint8.
        cams: Of this image.
    """

    id: str
    image: NDArray[np.uint8]
    cams: CamSet


def read_all(
    dataset: Dataset, indices: Iterable[int], *, run: RunDirectory, faults: list[DataError]
) -> Iterator[Unrefined]:
    """Yield images with their CAMs, one at a time, and note the errors of those that cannot be read."""
    for index in indices:
        with noted(faults):
            yield read_unrefined(dataset, index, run=run)


def read_unrefined(dataset: Dataset, index: int, *, run: RunDirectory) -> Unrefined:
    """Read a tagged image and its CAMs.

    Raises:
        DataError: The image or its CAMs cannot be read, or do not belong together; the file is named.
    """
    id_, image = dataset.ids[index], dataset.image(index)
    size = (image.shape[0], image.shape[1])
    path = run.cams(id_)
    cams = read_cams(path)
    if cams.size != size:
        raise DataError(
            f"'{path}' belongs to an image of {cams.size}, but image '{id_}' has {size} pixels.",
            remedy="Delete it and run localize on these images.",
        )
    if cams.present.max(initial=-1) >= dataset.classes.count:
        raise DataError(
            f"'{path}' names class {cams.present.max()}, expected 0 .. {dataset.classes.count - 1}.",
            remedy="Delete it and run localize on this data set.",
        )
    return Unrefined(id_, image, cams)


def cams_key(run: RunDirectory) -> str:
    """Return the stage key of the CAMs that a run holds.

    Raises:
        DataError: The run has no CAMs.
    """
    stage = run.stage("cams")
    if not stage.key:
        raise DataError(f"there are no CAMs in '{stage.folder}'.", remedy="Run localize first.")
    return stage.key
