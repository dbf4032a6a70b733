"""Confusion matrices at many thresholds from one reading of the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktse.errors import DataError
from ktse.metrics.confusion import LabelMap, confusion_matrix
from ktse.types import IGNORE_INDEX

if TYPE_CHECKING:
    from torch import Tensor


def sweep(
    scores: NDArray[np.floating[Any]] | Tensor,
    present: Sequence[int] | NDArray[np.integer[Any]] | Tensor,
    truth: LabelMap | Tensor,
    thresholds: Sequence[float] | NDArray[np.floating[Any]] | Tensor,
    num_classes: int,
    ignore_index: int = IGNORE_INDEX,
) -> NDArray[np.int64]:
    """Return the confusion matrix of one image's seed for every threshold (REFERENCE 4.2).

    A pixel gets its strongest class where that class exceeds the threshold, else background; a tie with the threshold
    goes to background, a tie among classes to the first of them. A threshold is rounded to the precision of the scores
    first, as it is when it stands beside them in one stack.

    The strongest class does not depend on the threshold. So each pixel is counted once, under its true label, its
    strongest class and the number of thresholds that it exceeds; running sums over that number give all matrices.

    Args:
        scores: (P, H, W) scores of the present classes, any float type; arrays or CPU tensors, here and below.
        present: (P,) these classes, 0 .. K-1.
        truth: (H, W) label map.
        thresholds: (T,) in any order.
        num_classes: K.
        ignore_index: True label of pixels that are not counted.

    Returns:
        (T, L, L), rows the true label, in the order of `thresholds`.

    Raises:
        DataError: Another shape, a label or class that does not exist, or a score that is not finite.

    Example:
        >>> scores = np.array([[[0.2, 0.9]]])
        >>> matrices = sweep(scores, np.array([0]), np.array([[0, 1]]), [0.1, 0.2, 0.9], num_classes=1)
        >>> matrices.tolist()
        [[[0, 1], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [1, 0]]]
    """
    scores, truth, present = np.asarray(scores), np.asarray(truth), np.asarray(present, np.int64)
    num_labels, steps = num_classes + 1, len(thresholds)
    _check(scores, present, truth, num_classes)
    if len(present) == 0:
        background = confusion_matrix(truth, np.zeros_like(truth), num_labels, ignore_index)
        return np.repeat(background[None], steps, axis=0)
    rounded = np.asarray(thresholds).astype(scores.dtype)
    order = np.argsort(rounded, kind="stable")
    counted = truth != ignore_index
    strongest = scores.argmax(0)
    best = np.take_along_axis(scores, strongest[None], 0)[0][counted]
    if not np.isfinite(best).all():
        raise DataError("a score is not finite.", remedy="Make the CAMs anew.")
    exceeded = np.searchsorted(rounded[order], best, side="left")  # thresholds strictly below the score
    # one label for each pair (class, number of thresholds exceeded)
    pairs = strongest[counted] * (steps + 1) + exceeded
    counts = _count(truth[counted], pairs, num_labels, len(present) * (steps + 1))
    counts = counts.reshape(num_labels, len(present), steps + 1)
    above = counts[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]  # (L, P, T): pixels that exceed threshold t
    sorted_matrices = np.zeros((steps, num_labels, num_labels), np.int64)
    sorted_matrices[:, :, present + 1] = above.transpose(2, 0, 1)  # (L, P, T) → (T, L, P)
    sorted_matrices[:, :, 0] = counts.sum((1, 2)) - above.sum(1).T
    matrices = np.empty_like(sorted_matrices)
    matrices[order] = sorted_matrices
    return matrices


def _count(truth: LabelMap, codes: NDArray[np.int64], num_labels: int, num_codes: int) -> NDArray[np.int64]:
    """Count the pixels of each pair (true label, code)."""
    if truth.size and not 0 <= int(truth.min()) <= int(truth.max()) < num_labels:
        raise DataError(f"the true mask holds labels {truth.min()} to {truth.max()}, expected 0 to {num_labels - 1}.")
    counts = np.bincount(truth.astype(np.int64) * num_codes + codes, minlength=num_labels * num_codes)
    return counts.reshape(num_labels, num_codes)


def _check(
    scores: NDArray[np.floating[Any]], present: NDArray[np.integer[Any]], truth: LabelMap, num_classes: int
) -> None:
    if scores.ndim != 3 or scores.shape != (len(present), *truth.shape):
        raise DataError(f"scores are {scores.shape}, expected {(len(present), *truth.shape)}.")
    if len(present) and (
        present.min() < 0 or present.max() >= num_classes or len(set(present.tolist())) < len(present)
    ):
        raise DataError(f"present classes are {present.tolist()}, expected different ones of 0 to {num_classes - 1}.")
