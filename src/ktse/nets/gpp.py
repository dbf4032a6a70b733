"""Gated pyramid pooling (GPP): tag logits from a raw class activation map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PYRAMID = (2, 4, 8, 16)
"""Cells per side of the four pooled maps; a constant of the layer, as its three gates are."""


class Gate(nn.Module):
    """Fuse two maps, positive and negative evidence apart, with weights per place that are learned.

    g(x, y) = 1/2 (p_x [x]+ + p_y [y]+) - 1/2 (n_x [-x]+ + n_y [-y]+) with [.]+ = ReLU,
    (p_x, p_y) = sigmoid(conv_p([x]+, [y]+)) and (n_x, n_y) = sigmoid(conv_n([-x]+, [-y]+)), each (B, 1, h, w).
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # Wrapped, since the released checkpoint calls the weights att_p.0.weight and att_n.0.weight.
        self.att_p = nn.Sequential(nn.Conv2d(2 * num_classes, 2, 3, padding=1, bias=False))
        self.att_n = nn.Sequential(nn.Conv2d(2 * num_classes, 2, 3, padding=1, bias=False))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the fusion of two (B, K, h, w) maps."""
        positive = _weigh(self.att_p, F.relu(first), F.relu(second))
        negative = _weigh(self.att_n, F.relu(-first), F.relu(-second))
        return (positive - negative) / 2


def _weigh(attention: nn.Module, first: Tensor, second: Tensor) -> Tensor:
    weights = torch.sigmoid(attention(torch.cat([first, second], dim=1)))
    return weights[:, :1] * first + weights[:, 1:] * second


class GatedPyramidPooling(nn.Module):
    """GPP of the baseline that KTSE stands on (REFERENCE 1.3): logits that are quadratic in the CAM.

    The CAM F is averaged over grids of 2, 4, 8 and 16 cells a side, each grid resized back; three gates fuse them from
    coarse to fine into G. The logit of a class is mean([F]+ [G]+) - mean([-F]+ [-G]+).

    Runs outside autocast, and takes its products and means in float32 at least: half precision would overflow at
    activations of a few hundred, which trained networks reach.

    Args:
        num_classes: K, foreground classes.

    Example:
        >>> pooling = GatedPyramidPooling(num_classes=3)
        >>> logits, gated = pooling(torch.randn(2, 3, 12, 10))
        >>> tuple(logits.shape), tuple(gated.shape)
        ((2, 3), (2, 3, 12, 10))
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.gconv1 = Gate(num_classes)
        self.gconv2 = Gate(num_classes)
        self.gconv3 = Gate(num_classes)

    def forward(self, cam: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, K) and the gated map G (B, K, h, w) of a raw foreground CAM (B, K, h, w)."""
        with torch.autocast(cam.device.type, enabled=False):
            cam = cam.to(next(self.parameters()).dtype)
            coarsest, coarse, fine, finest = (self._pooled(cam, cells) for cells in PYRAMID)
            gated = self.gconv3(self.gconv2(self.gconv1(coarsest, coarse), fine), finest)
            return quadratic_logits(cam, gated), gated

    @staticmethod
    def _pooled(cam: Tensor, cells: int) -> Tensor:
        pooled = F.adaptive_avg_pool2d(cam, cells)
        return F.interpolate(pooled, cam.shape[-2:], mode="bilinear", align_corners=False)


def quadratic_logits(cam: Tensor, gated: Tensor) -> Tensor:
    """Return the (B, K) logits mean([F]+ [G]+) - mean([-F]+ [-G]+) of two (B, K, h, w) maps.

    Example:
        >>> quadratic_logits(torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[3.0, -4.0]]]]))  # (2·3 - 1·4) / 2
        tensor([[1.]])
    """
    precise = torch.promote_types(cam.dtype, torch.float32)
    cam, gated = cam.to(precise), gated.to(precise)
    return (F.relu(cam) * F.relu(gated) - F.relu(-cam) * F.relu(-gated)).mean(dim=(-2, -1))
