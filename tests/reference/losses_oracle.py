"""The losses from their equations (paper Eqs. 2 to 9, REFERENCE 3.2, 3.4): one scalar at a time, in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]

IGNORED = 255


def positive(value: float) -> float:
    return value if value > 0 else 0.0


def mean_or_zero(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def classification(logits: Array, tags: Array) -> float:
    """Eq. (2)."""
    terms = []
    for image, cls in np.ndindex(*logits.shape):
        probability = 1 / (1 + math.exp(-logits[image, cls]))
        terms.append(-math.log(probability if tags[image, cls] else 1 - probability))
    return mean_or_zero(terms)


def knowledge_transfer(
    single: Array, joint: Array, present: Array, *, margin: float, over: str, region: Flags | None = None
) -> float:
    """Eq. (3). A cell outside the region does not exist; an absent class counts as 0 or does not exist."""
    terms = []
    for image, cls, y, x in np.ndindex(*single.shape):
        if region is not None and not region[image, 0, y, x]:
            continue
        if present[image, cls, y, x]:
            terms.append(positive(float(single[image, cls, y, x]) - float(joint[image, cls, y, x]) - margin))
        elif over == "all":
            terms.append(0.0)
    return mean_or_zero(terms)


def cross_entropy(
    activation: Array, labels: Labels, *, foreground_images: Flags | None = None
) -> tuple[list[float], list[float]]:
    """-log softmax(F)^Y of each background pixel, and of each foreground pixel that takes part: terms of Eq. (5)."""
    background, foreground = [], []
    for image, y, x in np.ndindex(*labels.shape):
        label = int(labels[image, y, x])
        if label == IGNORED:
            continue
        exponentials = [math.exp(value) for value in activation[image, :, y, x]]
        term = -math.log(exponentials[label] / sum(exponentials))
        if label == 0:
            background.append(term)
        elif foreground_images is None or foreground_images[image]:
            foreground.append(term)
    return background, foreground


def inter_class(activation: Array, region: Flags, *, reduction: str) -> float:
    """Eqs. (6) and (7): runner-up minus largest, a mean over the object pixels of the batch or of each image."""
    images = []
    for image in range(len(activation)):
        terms = []
        for y, x in np.ndindex(*activation.shape[2:]):
            if region[image, 0, y, x]:
                values = [float(value) for value in activation[image, :, y, x]]
                others = [value for value in values if value != max(values)]
                terms.append((max(others) if others else 0.0) - max(values))
        images.append(terms)
    if reduction == "image":
        return mean_or_zero([mean_or_zero(terms) for terms in images if terms])
    return mean_or_zero([term for terms in images for term in terms])


def global_alignment(anchor: Array, erased: Array, tags: Array, *, norm: str, over: str) -> float:
    """Eq. (8)."""
    terms = []
    for image, cls in np.ndindex(*tags.shape):
        if tags[image, cls]:
            of_anchor = mean_or_zero([positive(value) for value in anchor[image, cls].flat])
            of_erased = mean_or_zero([positive(value) for value in erased[image, cls].flat])
            terms.append(abs(of_anchor - of_erased) if norm == "l1" else of_anchor - of_erased)
        elif over == "all":
            terms.append(0.0)
    return mean_or_zero(terms)


def local_alignment(
    anchor: Array, erased: Array, tags: Array, *, margin: float, over: str, kept: Flags | None = None
) -> float:
    """Eq. (9). Erased cells count as 0."""
    terms = []
    for image, cls, y, x in np.ndindex(*anchor.shape):
        if tags[image, cls]:
            excess = positive(float(erased[image, cls, y, x]) - float(anchor[image, cls, y, x]) - margin)
            terms.append(excess if kept is None or kept[image, 0, y, x] else 0.0)
        elif over == "all":
            terms.append(0.0)
    return mean_or_zero(terms)
