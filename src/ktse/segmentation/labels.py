"""What the segmenter learns from: the pseudo masks of a run, or the true masks as a bound of what tags could reach."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.image_io import MAX_PIXELS, read_confidence, read_label_map
from ktse.errors import DataError

LabelSource = Literal["masks", "truth"]

ReadLabels = Callable[[int], NDArray[np.integer[Any]] | None]
"""From the index of an image to its (H, W) label map, or None when there is none."""

ReadTrust = Callable[[int, NDArray[np.integer[Any]]], NDArray[np.bool_]]
"""From the index of an image and its labels to (H, W), True where the labels are trusted."""

LOOKED_AT = 100
"""About how many images are looked at for the share of foreground in their labels."""


def label_reader(
    dataset: Dataset, source: LabelSource, *, run: RunDirectory, trusted_only: bool, max_pixels: int = MAX_PIXELS
) -> ReadLabels:
    """Return the function that reads the labels of an image.

    Args:
        dataset: Images to learn from.
        source: `masks` for the pseudo masks of the run, `truth` for the masks of the data set.
        run: Holds the pseudo masks and what of them is trusted.
        trusted_only: Ignore the pixels of a pseudo mask that are not trusted.
        max_pixels: Largest pseudo mask that is read.

    Raises:
        DataError: There are no masks of that kind.
    """
    if source == "truth":
        if not dataset.has_masks:
            raise DataError(f"{dataset.name} has no true masks.", remedy="Train on the pseudo masks of a run.")
        return partial(_true_labels, dataset)
    if not run.stage("masks").key:
        raise DataError(f"there are no pseudo masks in '{run.root}'.", remedy="Run refine first.")
    # A run directory of its own: that of the caller may hold a lock, which no other process can be given.
    return partial(_pseudo_labels, dataset, RunDirectory(run.root), trusted_only, max_pixels)


def trust_reader(
    dataset: Dataset, source: LabelSource, *, run: RunDirectory, max_pixels: int = MAX_PIXELS
) -> ReadTrust:
    """Return the function that reads which labels of an image are trusted.

    Args:
        dataset: Images to learn from.
        source: `masks` for the confidence masks of the run; of the `truth` all that is labelled is trusted.
        run: Holds the confidence masks.
        max_pixels: Largest confidence mask that is read.
    """
    if source == "truth":
        return partial(_labelled, dataset.classes.ignore_index)
    return partial(_confident, dataset, RunDirectory(run.root), max_pixels)  # without the caller's lock, as above


def foreground_share(dataset: Dataset, read_labels: ReadLabels) -> float:
    """Return the mean share of foreground in the labels of some images, evenly chosen.

    Args:
        dataset: The images.
        read_labels: Reads the labels of an image; one without labels has no foreground.

    Example:
        >>> from ktse.data.shapes import Shapes
        >>> foreground_share(Shapes(count=4), lambda index: np.array([[0, 1, 255, index % 2]]))
        0.375
    """
    shares = []
    for index in range(0, len(dataset), max(1, len(dataset) // LOOKED_AT)):
        labels = read_labels(index)
        if labels is None:
            shares.append(0.0)
        else:
            shares.append(float(((labels != 0) & (labels != dataset.classes.ignore_index)).mean()))
    return sum(shares) / len(shares)


def _true_labels(dataset: Dataset, index: int) -> NDArray[np.integer[Any]] | None:
    labels = dataset.mask(index)
    return None if labels is None else _checked(labels, dataset.classes, f"the true mask of '{dataset.ids[index]}'")


def _pseudo_labels(
    dataset: Dataset, run: RunDirectory, trusted_only: bool, max_pixels: int, index: int
) -> NDArray[np.integer[Any]]:
    path, classes = run.mask(dataset.ids[index]), dataset.classes
    labels = _checked(read_label_map(path, max_pixels=max_pixels), classes, f"the mask '{path}'")
    if not trusted_only:
        return labels
    # an 8-bit file of a data set with many classes has no room for their ignore index
    known = labels.astype(np.promote_types(labels.dtype, np.min_scalar_type(classes.ignore_index)))
    known[~_confident(dataset, run, max_pixels, index, labels)] = classes.ignore_index
    return known


def _confident(
    dataset: Dataset, run: RunDirectory, max_pixels: int, index: int, labels: NDArray[np.integer[Any]]
) -> NDArray[np.bool_]:
    path = run.confidence(dataset.ids[index])
    trusted = read_confidence(path, max_pixels=max_pixels)
    if trusted.shape != labels.shape:
        raise DataError(
            f"'{path}' is {trusted.shape}, but its mask is {labels.shape}.", remedy="Delete both and run refine again."
        )
    return trusted


def _labelled(ignore_index: int, index: int, labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    labelled: NDArray[np.bool_] = labels != ignore_index
    return labelled


def _checked(labels: NDArray[np.integer[Any]], classes: Classes, what: str) -> NDArray[np.integer[Any]]:
    """Refuse labels that the classes do not have: a network would fail on them without naming the file."""
    unknown = labels[(labels >= classes.num_labels) & (labels != classes.ignore_index)]
    if unknown.size:
        raise DataError(
            f"{what} holds label {unknown[0]}, expected 0 .. {classes.count} or {classes.ignore_index} (ignore).",
            remedy="Make it anew with these classes.",
        )
    return labels
