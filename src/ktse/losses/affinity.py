"""The losses of IRN: near cells of one label belong together, cells of different labels have an edge between them.

Ahn et al., CVPR 2019. Pairs are those of `ktse.ops.paths`: N `destinations` for each source cell, on a grid of
(h - f, w - 2 f) sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ktse.losses.reduction import masked_mean
from ktse.ops.paths import Offset, destinations, reach
from ktse.types import IGNORE_INDEX

_EPSILON = 1e-5  # keeps the logarithm of an affinity of 0 or 1 finite; the published value (REFERENCE 5.5)


@dataclass(frozen=True, slots=True)
class PairLabels:
    """What is known of each pair of near cells; a pair with an ignored cell is in none of the three.

    Attributes:
        background: (B, N, h - f, w - 2 f) bool, both cells are background.
        foreground: The same shape, both cells are of one class.
        different: The same shape, the cells have different labels.
    """

    background: Tensor
    foreground: Tensor
    different: Tensor


def pair_labels(labels: Tensor, *, radius: int, ignore_index: int = IGNORE_INDEX) -> PairLabels:
    """Compare the labels of every pair of near cells (REFERENCE 5.5).

    Args:
        labels: (B, h, w) label maps on the grid of the edges.
        radius: Pairs are nearer than this, cells.
        ignore_index: Label of cells that nothing is known of.

    Example:
        >>> pairs = pair_labels(torch.tensor([[[0, 0, 3, 3, 255], [0, 1, 1, 255, 3]]]), radius=2)
        >>> pairs.background.sum(), pairs.foreground.sum(), pairs.different.sum()  # of the three cells above the middle
        (tensor(1), tensor(2), tensor(6))
    """
    sources = _at_sources(labels, (0, 0), radius)[:, None]
    ends = torch.stack([_at_sources(labels, offset, radius) for offset in destinations(radius)], dim=1)
    known = (sources != ignore_index) & (ends != ignore_index)
    same, is_background = known & (sources == ends), sources == 0
    return PairLabels(same & is_background, same & ~is_background, known & ~same)


def affinity_loss(affinity: Tensor, pairs: PairLabels) -> tuple[Tensor, Tensor]:
    """Raise the affinity of cells with one label, lower that of cells with different ones.

    REFERENCE 5.5:   L_pos = 1/2 mean over P+_bg of -log(a_ij + e) + 1/2 mean over P+_fg of -log(a_ij + e)
                     L_neg = mean over P- of -log(1 + e - a_ij)

    | symbol | meaning | argument |
    |---|---|---|
    | a_ij | affinity: 1 minus the strongest edge between the cells | `affinity` |
    | P+_bg, P+_fg, P- | pairs of one label, background or a class, and of different ones | `pairs` |
    | e | 1e-5, so that the logarithm is finite | - |

    Gradient reaches the strongest edge of each path. A mean over no pairs is 0; the published code adds 1e-5 to each
    count instead, which no figure shows.

    Args:
        affinity: (B, N, h - f, w - 2 f) in [0, 1], from `ktse.ops.paths.path_affinity`.
        pairs: Of the same shape.

    Returns:
        L_pos and L_neg, 0-d.

    Example:
        >>> affinity = torch.tensor([0.5, 0.25, 0.5]).reshape(1, 3, 1, 1)
        >>> kinds = torch.eye(3, dtype=torch.bool).reshape(3, 1, 3, 1, 1)  # the first pair background, ...
        >>> positive, negative = affinity_loss(affinity, PairLabels(*kinds))
        >>> positive.round(decimals=3), negative.round(decimals=3)  # (log 2 + log 4) / 2, log 2
        (tensor(1.0400), tensor(0.6930))
    """
    attracted = -torch.log(affinity + _EPSILON)
    repelled = -torch.log(1 + _EPSILON - affinity)
    positive = (masked_mean(attracted, pairs.background) + masked_mean(attracted, pairs.foreground)) / 2
    return positive, masked_mean(repelled, pairs.different)


def displacement_loss(displacement: Tensor, pairs: PairLabels, *, radius: int) -> tuple[Tensor, Tensor]:
    """Let cells of one class point to one place, and cells of background agree.

    REFERENCE 5.5:   L_fg = mean over P+_fg of |D(i) - D(j) - (x_j - x_i)|
                     L_bg = mean over P+_bg of |D(i) - D(j)|

    | symbol | meaning | argument |
    |---|---|---|
    | D | displacement (dy, dx) to the centre of the cell's instance | `displacement` |
    | x_j - x_i | offset (dy, dx) from source i to destination j | `destinations(radius)` |
    | P+_fg, P+_bg | pairs of one class, pairs of background | `pairs` |

    The mean is over both components. Gradient reaches both cells. A mean over no pairs is 0.

    Args:
        displacement: (B, 2, h, w) in cells.
        pairs: Labels of the pairs.
        radius: The one of `pairs`.

    Returns:
        L_fg and L_bg, 0-d.

    Example:
        >>> labels = torch.tensor([[[0, 0, 3, 3, 255], [0, 1, 1, 255, 3]]])
        >>> pairs = pair_labels(labels, radius=2)
        >>> foreground, background = displacement_loss(torch.zeros(1, 2, 2, 5), pairs, radius=2)
        >>> foreground, background  # the pairs of class 3 lie (0, 1) and (1, 1) apart
        (tensor(0.7500), tensor(0.))
    """
    sources = _at_sources(displacement, (0, 0), radius)[:, :, None]
    offsets = destinations(radius)
    ends = torch.stack([_at_sources(displacement, offset, radius) for offset in offsets], dim=2)
    wanted = displacement.new_tensor(offsets).T[None, :, :, None, None]  # (N, 2) -> (1, 2, N, 1, 1)
    foreground, background = pairs.foreground[:, None], pairs.background[:, None]  # (B, 1, N, h - f, w - 2 f)
    difference = (sources - ends - wanted * foreground).abs()  # (B, 2, N, h - f, w - 2 f)
    return masked_mean(difference, foreground), masked_mean(difference, background)


def _at_sources(maps: Tensor, offset: Offset, radius: int) -> Tensor:
    """Return what lies at an offset from each source: (..., h, w) -> (..., h - f, w - 2 f)."""
    margin, (dy, dx) = reach(radius), offset
    height, width = maps.shape[-2] - margin, maps.shape[-1] - 2 * margin
    return maps[..., dy : dy + height, margin + dx : margin + dx + width]
