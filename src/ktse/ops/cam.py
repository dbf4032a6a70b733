"""Normalisations of class activation maps, and what is read off the normalised maps.

Three normalisations live in the published code, a fourth in the paper (REFERENCE 3.4 #6). All work on each map of each
image by itself and give values of about 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from ktse.ops.resize import resize_to
from ktse.types import CamSet

Normalization = Literal["min_max", "max", "relu_max", "signed_max", "positive_max"]

EPSILON = 1e-5
"""Added to what is divided by; the published value, in every normalisation (REFERENCE 3.1, 3.3, 4.1)."""


def max_normalize(cam: Tensor) -> Tensor:
    """Divide the positive part of each map by its maximum: Eq. (1), A = ReLU(F) / max(F).

    A map without a positive value becomes 0. Adding `EPSILON` to the maximum is ours; it is below what float32 shows
    for maps of ordinary size.

    Args:
        cam: (..., h, w) raw activation.

    Returns:
        (..., h, w) in [0, 1).

    Example:
        >>> max_normalize(torch.tensor([[-1.0, 2.0], [1.0, 0.0]])).round(decimals=3)
        tensor([[0.0000, 1.0000],
                [0.5000, 0.0000]])
    """
    positive = cam.relu()
    return positive / (positive.amax(dim=(-2, -1), keepdim=True) + EPSILON)


def min_max_normalize(cam: Tensor) -> Tensor:
    """Stretch the positive part of each map from its minimum to its maximum (REFERENCE 3.1 step 2).

    N(F) = ReLU(r - min r - 1e-5) / (max r - min r + 1e-5) with r = ReLU(F); the published masks of erasing use it.

    Args:
        cam: (..., h, w) raw activation.

    Returns:
        (..., h, w) in [0, 1).

    Example:
        >>> min_max_normalize(torch.tensor([[1.0, 2.0], [3.0, 5.0]])).round(decimals=3)
        tensor([[0.0000, 0.2500],
                [0.5000, 1.0000]])
    """
    positive = cam.relu()
    lowest = positive.amin(dim=(-2, -1), keepdim=True)
    highest = positive.amax(dim=(-2, -1), keepdim=True)
    return (positive - lowest - EPSILON).relu() / (highest - lowest + EPSILON)


def signed_max_normalize(cam: Tensor) -> Tensor:
    """Divide each map by its maximum, whatever the sign of either (REFERENCE 3.3 step 2, published code).

    A map that is negative everywhere is divided by a negative number: it turns positive and wins every pixel. This is
    a defect of the published code; `positive_max_normalize` mends it.

    Args:
        cam: (..., h, w) raw activation.

    Returns:
        (..., h, w), at most about 1 when the maximum is positive.

    Example:
        >>> signed_max_normalize(torch.tensor([[-1.0, 2.0]])).round(decimals=3)
        tensor([[-0.5000,  1.0000]])
        >>> signed_max_normalize(torch.tensor([[-1.0, -2.0]])).round(decimals=3)
        tensor([[1., 2.]])
    """
    return cam / (cam.amax(dim=(-2, -1), keepdim=True) + EPSILON)


def positive_max_normalize(cam: Tensor) -> Tensor:
    """Divide each map by its maximum, taking maxima below 0 as 0.

    As `signed_max_normalize` where the maximum is positive. A map that is negative everywhere stays negative, and far
    so: after a softmax nothing of it is left, as it should be for a class that shows nowhere.

    Args:
        cam: (..., h, w) raw activation.

    Returns:
        (..., h, w), at most 1.

    Example:
        >>> positive_max_normalize(torch.tensor([[-1.0, 2.0]])).round(decimals=3)
        tensor([[-0.5000,  1.0000]])
        >>> positive_max_normalize(torch.tensor([[-1.0, -2.0]])) < -1000
        tensor([[True, True]])
    """
    return cam / (cam.amax(dim=(-2, -1), keepdim=True).relu() + EPSILON)


_NORMALIZATIONS: dict[Normalization, Callable[[Tensor], Tensor]] = {
    "min_max": min_max_normalize,
    "max": max_normalize,
    "relu_max": max_normalize,
    "signed_max": signed_max_normalize,
    "positive_max": positive_max_normalize,
}


def normalize(cam: Tensor, normalization: Normalization) -> Tensor:
    """Normalise maps in the way that a setting names (`erase_normalization`, `pseudo_label_normalization`).

    Args:
        cam: (..., h, w) raw activation.
        normalization: One of the names of `Normalization`; `max` and `relu_max` are both Eq. (1).

    Returns:
        (..., h, w).

    Example:
        >>> normalize(torch.tensor([[-1.0, 4.0]]), "relu_max").round(decimals=3)
        tensor([[0., 1.]])
    """
    return _NORMALIZATIONS[normalization](cam)


def select_present(cam: Tensor, tags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the maps of the classes that each image has: the paper's class feature extraction, as a dense tensor.

    Images have different numbers of classes, so all get as many places as the richest has (at least one); places
    beyond an image's own classes hold maps of absent classes and are marked.

    Args:
        cam: (B, K, h, w) activation.
        tags: (B, K), above 0 where the class is in the image.

    Returns:
        The maps (B, P, h, w), their classes (B, P) int64 in ascending order, and is_present (B, P) bool.

    Example:
        >>> maps, classes, is_present = select_present(torch.zeros(2, 3, 4, 4), torch.tensor([[0, 1, 1], [1, 0, 0]]))
        >>> maps.shape, classes.tolist(), is_present.tolist()
        (torch.Size([2, 2, 4, 4]), [[1, 2], [0, 1]], [[True, True], [True, False]])
    """
    is_tagged = tags > 0
    places = max(int(is_tagged.sum(dim=1).max()), 1)
    # A stable sort keeps the classes ascending, on which the order of ties in an argmax rests.
    classes = is_tagged.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :places]
    maps = cam.gather(1, classes[:, :, None, None].expand(-1, -1, *cam.shape[-2:]))
    return maps, classes, is_tagged.gather(1, classes)


def strongest_activation(
    cam: Tensor, tags: Tensor, *, size: tuple[int, int] | None = None, normalization: Normalization = "min_max"
) -> Tensor:
    """Take at each place the largest normalised activation of the classes in the image: A = max_c N(up(ReLU(F)))^c y^c.

    Args:
        cam: (B, K, h, w) raw activation.
        tags: (B, K) in {0, 1}.
        size: (H, W) to which the maps are resized before they are normalised; None for their own.
        normalization: The N above.

    Returns:
        (B, 1, H, W) in [0, 1); 0 for an image without a class.

    Example:
        >>> cam = torch.tensor([[[[0.0, 4.0]], [[9.0, 0.0]]]])
        >>> strongest_activation(cam, torch.tensor([[1.0, 0.0]]), normalization="max").round(decimals=3)
        tensor([[[[0., 1.]]]])
    """
    maps, _, is_present = select_present(cam, tags)
    maps = maps.relu() if size is None else resize_to(maps.relu(), size)
    return (normalize(maps, normalization) * is_present[:, :, None, None]).amax(dim=1, keepdim=True)


def full_size_scores(cams: CamSet) -> Tensor:
    """Return kept CAMs at the size of their image, bilinear, as the published evaluation sees them (REFERENCE 4.2).

    Args:
        cams: CAMs of one image, on any grid.

    Returns:
        (P, H, W) float32 in [0, 1].

    Example:
        >>> import numpy as np
        >>> cams = CamSet(np.ones((1, 2, 2), np.float16), np.array([4]), (8, 6))
        >>> tuple(full_size_scores(cams).shape)
        (1, 8, 6)
    """
    if not len(cams.present):
        return torch.zeros(0, *cams.size)
    return resize_to(torch.from_numpy(cams.scores.astype("float32"))[None], cams.size)[0]
