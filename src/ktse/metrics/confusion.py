"""The confusion matrix of label maps, and what is read off it: IoU and the two failures behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktse.errors import DataError
from ktse.types import IGNORE_INDEX

if TYPE_CHECKING:
    from torch import Tensor

LabelMap = NDArray[np.integer[Any]]


def confusion_matrix(
    truth: LabelMap | Tensor, prediction: LabelMap | Tensor, num_labels: int, ignore_index: int = IGNORE_INDEX
) -> NDArray[np.int64]:
    """Count the pixels of each pair (true label, predicted label).

    Matrices of images add up to the matrix of the data set; the published scores are read off that sum, never averaged
    over images (REFERENCE 4.2, 5.8).

    Args:
        truth: (..., H, W) integer labels 0 .. L-1, or `ignore_index`; an array or a CPU tensor.
        prediction: Labels 0 .. L-1 of the same shape. What it says where the truth is ignored does not matter.
        num_labels: L.
        ignore_index: True label of pixels that are not counted.

    Returns:
        (L, L), rows the true label.

    Raises:
        DataError: Another shape, labels that are not integers, or a label that does not exist.

    Example:
        >>> confusion_matrix(np.array([[0, 1], [1, 255]]), np.array([[0, 1], [0, 1]]), 2)
        array([[1, 0],
               [1, 1]])
    """
    true, predicted = np.asarray(truth), np.asarray(prediction)
    if true.shape != predicted.shape:
        raise DataError(f"the prediction is {predicted.shape}, the true mask {true.shape}.")
    counted = true != ignore_index
    true = _checked(true[counted], num_labels, "true mask")
    predicted = _checked(predicted[counted], num_labels, "prediction")
    pairs = true.astype(np.int64) * num_labels + predicted
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the intersection over union of each label, TP / (TP + FP + FN).

    Args:
        matrix: (..., L, L), rows the true label.

    Returns:
        (..., L); NaN for a label that is neither in the truth nor predicted.

    Example:
        >>> iou(np.array([[3, 1], [0, 4]]))
        array([0.75, 0.8 ])
    """
    return _share(_hits(matrix), _union(matrix))


def mean_iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean IoU over the labels that occur in the truth or in the prediction, background among them.

    The published code divides by union + 1e-10 and averages over all 21 labels (REFERENCE 4.2). The two agree to 1e-10
    where every label occurs, as in VOC; a label that occurs nowhere counts 0 there and is left out here.

    Args:
        matrix: (..., L, L).

    Returns:
        (...); NaN where the matrix is empty.

    Example:
        >>> float(mean_iou(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])))
        0.775
    """
    return _mean(iou(matrix))


def failure_shares(matrix: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split what is missing of each IoU into the two failures that the paper is about.

    Args:
        matrix: (..., L, L).

    Returns:
        (..., L) over-expansion: the share FP / union, regions that reach into something else; and
        (..., L) under-activation: the share FN / union, parts that were not found.
        For each label IoU + both = 1; NaN as in `iou`.

    Example:
        >>> over, under = failure_shares(np.array([[3, 1], [0, 4]]))
        >>> over, under
        (array([0. , 0.2]), array([0.25, 0.  ]))
    """
    hits, union = _hits(matrix), _union(matrix)
    return _share(matrix.sum(-2) - hits, union), _share(matrix.sum(-1) - hits, union)


def mean_failure_shares(matrix: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means (...) of over-expansion and under-activation over the foreground classes that occur."""
    over, under = failure_shares(matrix)
    return _mean(over[..., 1:]), _mean(under[..., 1:])


def _hits(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _union(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    union: NDArray[np.int64] = matrix.sum(-1) + matrix.sum(-2) - _hits(matrix)
    return union


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return shares


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the last axis over the values that are not NaN."""
    there = ~np.isnan(values)
    count = there.sum(-1)
    total = np.where(there, values, 0.0).sum(-1)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return mean


def _checked(labels: LabelMap, num_labels: int, what: str) -> LabelMap:
    """Refuse labels that do not exist."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"the {what} holds {labels.dtype}, expected integer labels.")
    if labels.size and not 0 <= (lowest := int(labels.min())) <= (highest := int(labels.max())) < num_labels:
        wrong = lowest if lowest < 0 else highest
        raise DataError(
            f"the {what} holds label {wrong}, expected 0 to {num_labels - 1}.",
            remedy="Check the class list, and the value of pixels that should not count.",
        )
    return labels
