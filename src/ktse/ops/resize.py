"""Resizing of maps that live on different grids of one image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_to(maps: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize maps bilinearly; maps that have the size already come back as they are.

    Args:
        maps: (B, C, h, w) floating point.
        size: (H, W) in cells.
        align_corners: Let the centres of the corner cells coincide, rather than the outer edges of the grids.

    Returns:
        (B, C, H, W), same dtype and device.

    Example:
        >>> import torch
        >>> resize_to(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
        tensor([[[[0.0000, 0.2500, 0.7500, 1.0000]]]])
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners)
