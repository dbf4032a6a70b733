"""Mixing of co-training: objects of an image are pasted into its partner, and the partner's into it (REFERENCE 6.3).

All tensors have the axes (Q, 2, ...): Q pairs of two crops. The mixed crop at (q, 0) is the first of pair q with parts
of the second, the one at (q, 1) is the second with parts of the first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ktse.types import IGNORE_INDEX


class Labelling(NamedTuple):
    """What is held to be true of crops.

    Attributes:
        labels: (Q, 2, H, W) int64, some of them ignored.
        trusted: (Q, 2, H, W) bool.
    """

    labels: Tensor
    trusted: Tensor


class MixedCrops(NamedTuple):
    """Crops after mixing.

    Attributes:
        images: (Q, 2, 3, H, W), of the type given.
        labels: (Q, 2, H, W) int64.
        trusted: (Q, 2, H, W) bool.
        boundary: (Q, 2, H, W) bool, along the edges of what was pasted.
    """

    images: Tensor
    labels: Tensor
    trusted: Tensor
    boundary: Tensor


def draw_mixing(
    num_labels: int, probability: float, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Draw all chance of the mixing of one pair, before anything is known of its labels.

    Args:
        num_labels: L, background included.
        probability: Chance that a crop gets parts of its partner; both are drawn for themselves.
        generator: Source of the draws.

    Returns:
        (2,) bool, whether a crop is mixed; (2, L), the order in which it would take the classes of its partner.

    Example:
        >>> is_mixed, order = draw_mixing(3, 0.5, np.random.default_rng(0))
        >>> is_mixed.shape, order.shape
        ((2,), (2, 3))
    """
    order = np.stack([generator.permutation(num_labels) for _ in range(2)])
    return generator.random(2) < probability, order.astype(np.int64)


def mix_by_offline_labels(
    images: Tensor, offline: Labelling, is_mixed: Tensor, order: Tensor, *, ignore_index: int = IGNORE_INDEX
) -> MixedCrops:
    """Mix as in the warm-up: what is pasted follows the offline labels, and takes label and trust along.

    Nothing counts as a boundary, as published.

    Args:
        images: (Q, 2, 3, H, W).
        offline: Labels made before the training, and which of them are trusted.
        is_mixed: (Q, 2) bool.
        order: (Q, 2, L) permutations of the labels, of `draw_mixing`.
        ignore_index: Label of pixels that do not count.

    Returns:
        The mixed crops.

    Example:
        >>> images = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1, 1).expand(1, 2, 3, 1, 2)
        >>> offline = Labelling(torch.tensor([[[[0, 0]], [[0, 1]]]]), torch.tensor([[[[True, True]], [[True, False]]]]))
        >>> mixed = mix_by_offline_labels(images, offline, torch.tensor([[True, True]]), torch.tensor([[[0, 1]] * 2]))
        >>> mixed.images[0, :, 0].tolist()  # the second lends its object, the first has none to lend
        [[[1.0, 2.0]], [[2.0, 2.0]]]
        >>> mixed.labels.tolist(), mixed.trusted.tolist()
        ([[[[0, 1]], [[0, 1]]]], [[[[True, False]], [[True, False]]]])
    """
    region = pasted_region(offline.labels.flip(1), order, ignore_index=ignore_index) & is_mixed[..., None, None]
    return MixedCrops(
        images=_paste(images, region[:, :, None]),
        labels=_paste(offline.labels, region),
        trusted=_paste(offline.trusted, region),
        boundary=torch.zeros_like(region),
    )


def mix_by_online_labels(
    images: Tensor,
    offline: Labelling,
    online: Labelling,
    is_mixed: Tensor,
    order: Tensor,
    *,
    boundary_size: int = 1,
    ignore_index: int = IGNORE_INDEX,
) -> MixedCrops:
    """Mix as after the warm-up: what is pasted follows the trusted online labels.

    A mixed crop has the online labels of both crops, also outside what was pasted and also when the partner had nothing
    to lend; one that is not mixed keeps its offline labels.

    Args:
        images: (Q, 2, 3, H, W).
        offline: Labels made before the training, and which of them are trusted.
        online: Labels that the networks give to these crops now, and which of them are trusted.
        is_mixed: (Q, 2) bool.
        order: (Q, 2, L) permutations of the labels, of `draw_mixing`.
        boundary_size: Half width of the boundary, px.
        ignore_index: Label of pixels that do not count.

    Returns:
        The mixed crops.

    Example:
        >>> images = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1, 1).expand(1, 2, 3, 1, 2)
        >>> offline = Labelling(torch.zeros(1, 2, 1, 2, dtype=torch.int64), torch.zeros(1, 2, 1, 2, dtype=torch.bool))
        >>> online = Labelling(torch.tensor([[[[0, 1]], [[1, 1]]]]), torch.tensor([[[[True, True]], [[True, False]]]]))
        >>> is_mixed, order = torch.tensor([[True, False]]), torch.tensor([[[0, 1]] * 2])
        >>> mixed = mix_by_online_labels(images, offline, online, is_mixed, order)
        >>> mixed.images[0, :, 0].tolist()
        [[[2.0, 1.0]], [[2.0, 2.0]]]
        >>> mixed.labels.tolist()
        [[[[1, 1]], [[0, 0]]]]
    """
    is_mixed = is_mixed[..., None, None]
    confident = online.labels.masked_fill(~online.trusted, ignore_index)
    region = pasted_region(confident.flip(1), order, ignore_index=ignore_index) & is_mixed
    return MixedCrops(
        images=_paste(images, region[:, :, None]),
        labels=torch.where(is_mixed, _paste(online.labels, region), offline.labels),
        trusted=torch.where(is_mixed, _paste(online.trusted, region), offline.trusted),
        boundary=region_boundary(region, boundary_size),
    )


def pasted_region(labels: Tensor, order: Tensor, *, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Return the pixels of half the classes of each crop: of ceil(n / 2) of its n classes, without background.

    Args:
        labels: (Q, 2, H, W) int64 of the crops that lend.
        order: (Q, 2, L) permutations of the labels; the classes with the smallest numbers are taken.
        ignore_index: Label of pixels of no class.

    Returns:
        (Q, 2, H, W) bool; false everywhere in a crop that has no class.

    Example:
        >>> labels, order = torch.tensor([0, 1, 2, 3, 255]).reshape(1, 1, 1, 5), torch.tensor([[[3, 2, 0, 1]]])
        >>> pasted_region(labels, order)
        tensor([[[[False, False,  True,  True, False]]]])
    """
    num_labels = order.shape[-1]
    pixels = labels.masked_fill(labels == ignore_index, 0).flatten(-2)  # (Q, 2, HW)
    present = torch.zeros_like(order, dtype=torch.bool).scatter(-1, pixels, True)
    present[..., 0] = False
    wanted = (present.sum(-1, keepdim=True) + 1) // 2
    place = order.masked_fill(~present, num_labels).argsort(-1).argsort(-1)  # 0 .. n - 1 for the present classes
    return (place < wanted).gather(-1, pixels).reshape(labels.shape)


def region_boundary(region: Tensor, size: int) -> Tensor:
    """Return what lies within `size` px of the edge of a region, counted along rows, columns and diagonals.

    It is the region dilated, without the region eroded, by a square of 2 * size + 1 px. The border of the image is no
    edge; a region that is empty or everything has none.

    Args:
        region: (Q, 2, H, W) bool.
        size: px.

    Returns:
        (Q, 2, H, W) bool.

    Example:
        >>> region_boundary(torch.tensor([[[[True, True, True, False, False]]]]), 1)
        tensor([[[[False, False,  True,  True, False]]]])
    """
    return _dilated(region, size) & _dilated(~region, size)  # what erosion takes away is what the outside grows into


def _dilated(region: Tensor, size: int) -> Tensor:
    return F.max_pool2d(region.float(), 2 * size + 1, stride=1, padding=size) > 0


def _paste(own: Tensor, region: Tensor) -> Tensor:
    """Return each crop with the region of its partner in it."""
    return torch.where(region, own.flip(1), own)
