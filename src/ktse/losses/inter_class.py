"""L_inter of self-supervised regularization (SSR): one class for each pixel of an object."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

_EPSILON = 1e-5  # keeps an empty region from dividing by 0; the published value (REFERENCE 3.2)


def inter_class_loss(
    activation: Tensor,
    region: Tensor,
    *,
    detach_maximum: bool = True,
    reduction: Literal["batch", "image"] = "batch",
) -> Tensor:
    """Push the second largest class down, away from the largest, where an object is.

    Eqs. (6), (7):   L_inter = sum( (V_2nd - V_max) M ) / |M|,   V_max = max_c F^c,   V_2nd = max_c remove(F, V_max)^c

    | symbol | meaning | argument |
    |---|---|---|
    | F | activation of the foreground classes, at the size of the image | `activation` |
    | M | pixels of objects, in images with several classes | `region` |
    | V_max, V_2nd | largest and second largest activation of a pixel | - |

    Gradient reaches the second largest channel of each pixel; the largest as well when `detach_maximum` is off, which
    is how the paper writes it. Channels that tie for the largest are all removed; where none is left V_2nd is 0.

    The published code detaches V_max, clips F at 0, takes all K classes (also absent ones), and divides once by all
    pixels of the batch (REFERENCE 3.4 #14); it never calls the loss on images with one class.

    Args:
        activation: (B, K, H, W).
        region: (B, 1, H, W) bool; false all over an image with fewer than two classes.
        detach_maximum: Cut the gradient of V_max.
        reduction: One mean over the pixels of the `batch`, or the mean of the means of each `image` that has any.

    Returns:
        0-d tensor, at most 0; 0 when the region is empty.

    Example:
        >>> activation = torch.tensor([0.2, 0.9, 0.5])[None, :, None, None]
        >>> inter_class_loss(activation, torch.tensor(True)[None, None, None, None]).round(decimals=3)  # 0.5 - 0.9
        tensor(-0.4000)
    """
    maximum = activation.amax(dim=1, keepdim=True).detach()
    left = activation.masked_fill(activation == maximum, -torch.inf).max(dim=1, keepdim=True).values
    second = torch.where(left.isinf(), 0, left)
    if not detach_maximum:
        maximum = activation.max(dim=1, keepdim=True).values
    difference = torch.where(region, second - maximum, 0)
    if reduction == "batch":
        return difference.sum() / (region.sum() + _EPSILON)
    pixels = region.sum(dim=(1, 2, 3))
    means = difference.sum(dim=(1, 2, 3)) / (pixels + _EPSILON)
    return means.sum() / (pixels > 0).sum().clamp(min=1)
