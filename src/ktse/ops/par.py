"""Pixel-adaptive refinement (PAR): masks drawn towards the edges of the image, without learning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ktse.ops.resize import resize_to

DILATIONS = (1, 2, 4, 8, 12, 24)
_BANDWIDTH = 0.3  # w1 of PAR: deviations beyond which colour or distance counts as different (REFERENCE 3.3)
_POSITION_WEIGHT = 0.01  # w2 of PAR: share of the neighbours' weight that depends on distance alone (REFERENCE 3.3)
_EPSILON = 1e-8  # keeps flat neighbourhoods from dividing by 0 (REFERENCE 3.3)


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
    count = 8 * len(dilations)
    mean = torch.zeros_like(images)
    for neighbour in _neighbours(images, dilations):
        mean += neighbour / count
    # Squared deviations in a second pass: the difference of sums of squares loses all digits in flat regions.
    variance = torch.zeros_like(images)
    for neighbour in _neighbours(images, dilations):
        variance += (neighbour - mean).square() / (count - 1)
    scale = 1 / ((variance.sqrt() + _EPSILON) * _BANDWIDTH)
    similarity = torch.stack(
        [-((neighbour - images) * scale).square().mean(dim=1) for neighbour in _neighbours(images, dilations)], dim=1
    )
    distances = torch.tensor(
        [d * math.hypot(dy, dx) for d in dilations for dy, dx in _DIRECTIONS], dtype=images.dtype, device=images.device
    )
    proximity = -(distances / (distances.std() + _EPSILON) / _BANDWIDTH).square()
    return similarity.softmax(dim=1) + _POSITION_WEIGHT * proximity.softmax(dim=0)[:, None, None]


def pixel_adaptive_refinement(
    images: Tensor, masks: Tensor, *, dilations: Sequence[int] = DILATIONS, iterations: int = 10
) -> Tensor:
    """Refine soft masks by the colours of the image (REFERENCE 3.3; paper 3.3, its reference [47]).

    Repeats mask_i <- sum_j weight_ij mask_j over the neighbours of `neighbour_weights`. The weights depend on the image
    alone and every channel is refined by itself: to refine several sets of masks of one image, stack them along K. The
    weights sum to 1.01, so ten iterations scale a mask by 1.105, which no argmax sees.

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
    weights = neighbour_weights(images.to(dtype), dilations=dilations)
    refined = resize_to(masks.to(dtype), (images.shape[-2], images.shape[-1]), align_corners=True)
    for _ in range(iterations):
        # One neighbour at a time: all 48 at once would take 48 times the memory of the masks.
        total = torch.zeros_like(refined)
        for weight, neighbour in zip(weights.unbind(dim=1), _neighbours(refined, dilations), strict=True):
            total.addcmul_(weight[:, None], neighbour)
        refined = total
    return refined


_DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def _neighbours(maps: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Yield for each neighbour the map (B, C, H, W) of what every pixel finds there: dilation by dilation, by rows."""
    height, width = maps.shape[-2:]
    margin = max(dilations)
    padded = F.pad(maps, (margin, margin, margin, margin), mode="replicate")
    for dilation in dilations:
        for dy, dx in _DIRECTIONS:
            top, left = margin + dy * dilation, margin + dx * dilation
            yield padded[..., top : top + height, left : left + width]
