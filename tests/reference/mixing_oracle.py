"""Mixing of two crops pixel by pixel, read off REFERENCE 6.3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IGNORE = 255


class Crop(NamedTuple):
    """(3, H, W) image, (H, W) offline labels and trust, (H, W) online labels and trust."""

    image: NDArray[np.float32]
    labels: NDArray[np.int64]
    trusted: NDArray[np.bool_]
    online_labels: NDArray[np.int64]
    online_trusted: NDArray[np.bool_]


class Mixed(NamedTuple):
    image: NDArray[np.float32]
    labels: NDArray[np.int64]
    trusted: NDArray[np.bool_]
    boundary: NDArray[np.bool_]


def chosen_classes(labels: NDArray[np.int64], order: Sequence[int]) -> set[int]:
    """ceil(n/2) of the n classes, those that come first in the order."""
    classes = {int(label) for label in labels.flat} - {0, IGNORE}
    return set(sorted(classes, key=lambda label: order[label])[: math.ceil(len(classes) / 2)])


def mixed_in_warm_up(target: Crop, source: Crop, order: Sequence[int]) -> Mixed:
    """Target * (1 - alpha) + source * alpha, of image, label and mask; no boundary."""
    chosen = chosen_classes(source.labels, order)
    image, labels, trusted = target.image.copy(), target.labels.copy(), target.trusted.copy()
    for place in np.ndindex(labels.shape):
        if int(source.labels[place]) in chosen:
            image[:, *place] = source.image[:, *place]
            labels[place], trusted[place] = source.labels[place], source.trusted[place]
    return Mixed(image, labels, trusted, np.zeros_like(trusted))


def mixed_online(target: Crop, source: Crop, order: Sequence[int], boundary_size: int) -> Mixed:
    """As in the warm-up, but by the online labels of both, and from confident pixels alone."""
    confident = np.where(source.online_trusted, source.online_labels, IGNORE)
    chosen = chosen_classes(confident, order)
    image, labels, trusted = target.image.copy(), target.online_labels.copy(), target.online_trusted.copy()
    alpha = np.zeros_like(trusted)
    for place in np.ndindex(labels.shape):
        if int(confident[place]) in chosen:
            alpha[place] = True
            image[:, *place] = source.image[:, *place]
            labels[place], trusted[place] = source.online_labels[place], source.online_trusted[place]
    return Mixed(image, labels, trusted, boundary(alpha, boundary_size))


def not_mixed(crop: Crop) -> Mixed:
    return Mixed(crop.image, crop.labels, crop.trusted, np.zeros_like(crop.trusted))


def boundary(alpha: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Dilation minus erosion: the window of a pixel, as far as it is in the image, holds both values."""
    rows, columns = alpha.shape
    result = np.zeros_like(alpha)
    for row in range(rows):
        for column in range(columns):
            window = alpha[max(0, row - size) : row + size + 1, max(0, column - size) : column + size + 1]
            dilated, eroded = int(window.max()), int(window.min())
            result[row, column] = dilated - eroded > 0
    return result
