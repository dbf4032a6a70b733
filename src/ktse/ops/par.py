"""Pixel-adaptive refinement (PAR): masks drawn towards the edges of the image, without learning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ktse.ops.resize import resize_to

Item = TypeVar("Item")

DILATIONS = (1, 2, 4, 8, 12, 24)
_BANDWIDTH = 0.3  # w1 of PAR: deviations beyond which colour or distance counts as different (REFERENCE 3.3)
_POSITION_WEIGHT = 0.01  # w2 of PAR: share of the neighbours' weight that depends on distance alone (REFERENCE 3.3)
_EPSILON = 1e-8  # keeps flat neighbourhoods from dividing by 0 (REFERENCE 3.3)

PIXELS_AT_ONCE: Final = 2**19
"""Up to so many pixels of a batch, PAR holds the weights of all neighbours at once; beyond it goes strip by strip."""

PIXELS_OF_STRIP: Final = 2**16
"""About how many pixels of a batch a strip has; more where a strip would not reach as far as the neighbours."""


def neighbour_weights(images: Tensor, *, dilations: Sequence[int] = DILATIONS) -> Tensor:
    """Say how much each of a pixel's neighbours counts in PAR (REFERENCE 3.3).

    weight_ij = softmax_j(e_ij) + 0.01 softmax_j(p_j), with
    e_ij = -mean_c ( |I_c(i) - I_c(j)| / (s_c(i) + 1e-8) / 0.3 )^2,   p_j = -( d_j / (s_d + 1e-8) / 0.3 )^2

    | symbol | meaning |
    |---|---|
    | j | the 8 neighbours at each dilation; outside the image its border is repeated |
    | s_c(i) | unbiased standard deviation of channel c over the neighbours of i, without i itself |
    | d_j, s_d | distance of neighbour j, and the deviation of all these distances |

    Args:
        images: (B, 3, H, W) in [0, 1].
        dilations: Distances of the neighbours in px.

    Returns:
        (B, 8 * len(dilations), H, W); they sum to 1.01 over the neighbours.

    Example:
        >>> neighbour_weights(torch.rand(1, 3, 5, 5), dilations=(1, 2)).sum(dim=1).allclose(torch.tensor(1.01))
        True
    """
    return _weights(_padded(images, max(dilations)), dilations)


def pixel_adaptive_refinement(
    images: Tensor, masks: Tensor, *, dilations: Sequence[int] = DILATIONS, iterations: int = 10
) -> Tensor:
    """Refine soft masks by the colours of the image (REFERENCE 3.3; paper 3.3, its reference [47]).

    Repeats mask_i <- sum_j weight_ij mask_j over the neighbours of `neighbour_weights`. The weights depend on the image
    alone and every channel is refined by itself: to refine several sets of masks of one image, stack them along K. The
    weights sum to 1.01, so ten iterations scale a mask by 1.105, which no argmax sees.

    Images of more than PIXELS_AT_ONCE go through it in strips along their shorter side: an iteration begins with a
    strip as soon as the one before has done the next strip. So the weights of `iterations` + 2 strips are in memory,
    not those of all pixels (which take 48 times the memory of a mask), and none are computed twice.

    Args:
        images: (B, 3, H, W) in [0, 1].
        masks: (B, K, h, w) soft masks, resized to the image first (corners aligned) when they have another size.
        dilations: Distances of the neighbours in px.
        iterations: How often to repeat.

    Returns:
        (B, K, H, W) on the device of the images, in at least float32.

    Example:
        >>> images = torch.zeros(1, 3, 8, 8)
        >>> images[..., 4:] = 1  # a black and a white half
        >>> masks = torch.zeros(1, 1, 8, 8)
        >>> masks[..., :2] = 1  # half of the black half is known
        >>> pixel_adaptive_refinement(images, masks, dilations=(1, 2))[0, 0, 3] > 0.5  # fills it, stops at the edge
        tensor([ True,  True,  True,  True, False, False, False, False])
    """
    dtype = torch.promote_types(images.dtype, torch.float32)  # squared colour distances overflow in half precision
    images = images.to(dtype)
    refined = resize_to(masks.to(dtype), (images.shape[-2], images.shape[-1]), align_corners=True)
    batch, _, height, width = images.shape
    if batch * height * width <= PIXELS_AT_ONCE:
        return _refined(images, refined, dilations, iterations, rows=height)
    rows = max(max(dilations), PIXELS_OF_STRIP // (batch * min(height, width)))
    if width <= height:
        return _refined(images, refined, dilations, iterations, rows=rows)
    # The eight directions are the same when rows and columns change places.
    return _refined(images.mT, refined.mT, dilations, iterations, rows=rows).mT


@dataclass(frozen=True, slots=True)
class _Strip:
    """Some rows: the weights (B, N, h, W) of their pixels' neighbours, and the masks (B, K, h, W)."""

    weights: Tensor
    masks: Tensor


def _refined(images: Tensor, masks: Tensor, dilations: Sequence[int], iterations: int, *, rows: int) -> Tensor:
    """Refine masks (B, K, H, W) in strips of so many rows: no fewer than the largest dilation, or all."""
    strips: Iterator[_Strip] = map(
        _Strip, _weights_of_strips(images, dilations, rows), torch.split(masks, rows, dim=-2)
    )
    for _ in range(iterations):
        strips = _refined_once(strips, dilations)
    if rows >= masks.shape[-2]:
        return next(strips).masks
    refined, top = torch.empty_like(masks), 0
    for strip in strips:
        refined[..., top : top + rows, :] = strip.masks
        top += rows
    return refined


def _weights_of_strips(images: Tensor, dilations: Sequence[int], rows: int) -> Iterator[Tensor]:
    for above, strip, below in _between_neighbours(torch.split(images, rows, dim=-2)):
        yield _weights(_padded(strip, max(dilations), above=above, below=below), dilations)


def _refined_once(strips: Iterable[_Strip], dilations: Sequence[int]) -> Iterator[_Strip]:
    """Yield strips after one more iteration, one behind those that come in."""
    for above, strip, below in _between_neighbours(strips):
        padded = _padded(
            strip.masks,
            max(dilations),
            above=None if above is None else above.masks,
            below=None if below is None else below.masks,
        )
        # One neighbour at a time: all 48 at once would take 48 times the memory of the masks.
        total = strip.masks.new_zeros(strip.masks.shape)  # in the order of its axes, turned or not
        for weight, neighbour in zip(strip.weights.unbind(dim=1), _neighbours(padded, dilations), strict=True):
            total.addcmul_(weight[:, None], neighbour)
        yield _Strip(strip.weights, total)


def _weights(padded: Tensor, dilations: Sequence[int]) -> Tensor:
    """Return the weights of `neighbour_weights` for images with a margin of the largest dilation."""
    margin = max(dilations)
    images = padded[..., margin:-margin, margin:-margin]
    count = 8 * len(dilations)
    mean = torch.zeros_like(images)
    for neighbour in _neighbours(padded, dilations):
        mean += neighbour / count
    # Squared deviations in a second pass: the difference of sums of squares loses all digits in flat regions.
    variance = torch.zeros_like(images)
    for neighbour in _neighbours(padded, dilations):
        variance += (neighbour - mean).square() / (count - 1)
    scale = 1 / ((variance.sqrt() + _EPSILON) * _BANDWIDTH)
    similarity = torch.stack(
        [-((neighbour - images) * scale).square().mean(dim=1) for neighbour in _neighbours(padded, dilations)], dim=1
    )
    distances = torch.tensor(
        [d * math.hypot(dy, dx) for d in dilations for dy, dx in _DIRECTIONS], dtype=images.dtype, device=images.device
    )
    proximity = -(distances / (distances.std() + _EPSILON) / _BANDWIDTH).square()
    return similarity.softmax(dim=1) + _POSITION_WEIGHT * proximity.softmax(dim=0)[:, None, None]


_DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def _neighbours(padded: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Yield for each neighbour the map (B, C, H, W) of what every pixel finds there: dilation by dilation, by rows.

    Args:
        padded: (B, C, H + 2m, W + 2m) maps with a margin m of the largest dilation.
        dilations: Distances of the neighbours in px.
    """
    margin = max(dilations)
    height, width = padded.shape[-2] - 2 * margin, padded.shape[-1] - 2 * margin
    for dilation in dilations:
        for dy, dx in _DIRECTIONS:
            top, left = margin + dy * dilation, margin + dx * dilation
            yield padded[..., top : top + height, left : left + width]


def _padded(maps: Tensor, margin: int, *, above: Tensor | None = None, below: Tensor | None = None) -> Tensor:
    """Put a margin around a strip: rows of the strips above and below it; beyond the image its border is repeated.

    Args:
        maps: (B, C, h, W).
        margin: Its width, px.
        above: The strip above, of at least as many rows as the margin; None at the top of the image.
        below: The strip below, which may have fewer rows if it is the last; None at the bottom of the image.

    Returns:
        (B, C, h + 2m, W + 2m).
    """
    top, bottom = margin, margin
    if above is not None:
        maps, top = torch.cat([above[..., -margin:, :], maps], dim=-2), 0
    if below is not None:
        rows = below[..., :margin, :]
        maps, bottom = torch.cat([maps, rows], dim=-2), margin - rows.shape[-2]
    return F.pad(maps, (margin, margin, top, bottom), mode="replicate")


def _between_neighbours(items: Iterable[Item]) -> Iterator[tuple[Item | None, Item, Item | None]]:
    """Yield each item with the one before and the one after it, of which there is none at the ends."""
    before, item = None, None
    for after in items:
        if item is not None:
            yield before, item, after
        before, item = item, after
    if item is not None:
        yield before, item, None
