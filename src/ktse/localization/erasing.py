"""Images made from images: the erased anchor of MGA and the joint image of SIE."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ktse.ops.cam import Normalization, strongest_activation


def kept_region(
    cam: Tensor,
    tags: Tensor,
    *,
    size: tuple[int, int] | None = None,
    threshold: float = 0.6,
    normalization: Normalization = "min_max",
) -> Tensor:
    """Tell where the CAM of no present class reaches the threshold: what erasing leaves (paper 3.4, REFERENCE 3.1).

    Args:
        cam: (B, K, h, w) raw activation.
        tags: (B, K) in {0, 1}.
        size: (H, W) of the region; None for that of the CAM.
        threshold: Normalised activation from which a place is erased.
        normalization: Of the CAM, `min_max` or `max`.

    Returns:
        (B, 1, H, W) bool, without gradient.

    Example:
        >>> kept_region(torch.tensor([[[[0.0, 1.0, 9.0]]]]), torch.ones(1, 1))
        tensor([[[[ True,  True, False]]]])
    """
    with torch.no_grad():
        return strongest_activation(cam, tags, size=size, normalization=normalization) < threshold


def erase(
    images: Tensor, cam: Tensor, tags: Tensor, *, threshold: float = 0.6, normalization: Normalization = "min_max"
) -> Tensor:
    """Paint over the most striking part of each image with the mean colour (paper 3.4; 0 in normalised images).

    Args:
        images: (B, 3, H, W) normalised.
        cam: (B, K, h, w) raw activation.
        tags: (B, K) in {0, 1}.
        threshold: Normalised activation from which a pixel is erased.
        normalization: Of the CAM, `min_max` (published code) or `max` (Eq. 1).

    Returns:
        (B, 3, H, W), without gradient to the CAM.

    Example:
        >>> erase(torch.ones(1, 1, 1, 3), torch.tensor([[[[0.0, 1.0, 9.0]]]]), torch.ones(1, 1))
        tensor([[[[1., 1., 0.]]]])
    """
    size = (images.shape[-2], images.shape[-1])
    return images * kept_region(cam, tags, size=size, threshold=threshold, normalization=normalization)


def join_pairs(images: Tensor, paired_images: Tensor) -> Tensor:
    """Put each pair under its anchor (paper 3.2; stacked vertically as in the published code, REFERENCE 3.4 #8).

    Args:
        images: (P, ..., H, W) images, CAMs or label maps of the anchors.
        paired_images: The same of the pairs.

    Returns:
        (P, ..., 2 H, W).

    Example:
        >>> join_pairs(torch.zeros(4, 3, 5, 7), torch.ones(4, 3, 5, 7)).shape
        torch.Size([4, 3, 10, 7])
    """
    return torch.cat([images, paired_images], dim=-2)


def paste_pairs(images: Tensor, paired_images: Tensor, region: Tensor) -> Tensor:
    """Paste a region of each pair into its anchor, as CutMix does (paper 4.3, what SIE is compared with).

    Args:
        images: (P, C, H, W) images or CAMs, or (P, H, W) label maps, of the anchors.
        paired_images: The same of the pairs.
        region: (P, 1, H', W') bool, where the pair shows; taken to the grid of the maps by the nearest cell.

    Returns:
        Shape and dtype of `images`.

    Example:
        >>> paste_pairs(torch.zeros(1, 1, 1, 4), torch.ones(1, 1, 1, 4), torch.tensor([[[[True, False]]]]))
        tensor([[[[1., 1., 0., 0.]]]])
    """
    size = (images.shape[-2], images.shape[-1])
    shown = F.interpolate(region.float(), size=size, mode="nearest-exact") > 0
    return torch.where(shown if images.ndim == region.ndim else shown[:, 0], paired_images, images)
