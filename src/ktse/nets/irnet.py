"""IRNet: a frozen trunk with two branches, for edges between classes and for displacements to the instance's centre.

Ahn et al., CVPR 2019, as published (REFERENCE 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ktse.nets.resnet_taps import ResNetTaps, build_resnet_taps

EDGE_WIDTH, EDGE_GROUPS = 32, 4
"""Channels of the edge branch for each tap, and groups of their normalisation."""

DISPLACEMENT_WIDTHS, DISPLACEMENT_GROUPS = (64, 128, 256, 256, 256), (8, 16, 16, 16, 16)
"""The same for the displacement branch."""

MERGED_WIDTH, MERGED_GROUPS = 256, 16
"""The same after taps have been merged."""


class MeanShift(nn.Module):
    """Subtracts a stored displacement in evaluation; the identity in training.

    Attributes:
        running_mean: (2,) mean displacement over the training images, (dy, dx).
    """

    running_mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(2))

    def forward(self, displacement: Tensor) -> Tensor:
        """Shift (B, 2, h, w)."""
        return displacement if self.training else displacement - self.running_mean[:, None, None]


class IRNet(nn.Module):
    """Edges and displacements from the taps of a frozen trunk.

    Args:
        trunk: Feature extractor; never learns, and its normalisation stays in evaluation mode.
    """

    def __init__(self, trunk: ResNetTaps) -> None:
        super().__init__()
        self.trunk = trunk.requires_grad_(False)
        self.edge_taps = nn.ModuleList(_projection(width, EDGE_WIDTH, EDGE_GROUPS) for width in trunk.channels)
        self.edge_merge = nn.Conv2d(EDGE_WIDTH * len(trunk.channels), 1, 1)
        plan = zip(trunk.channels, DISPLACEMENT_WIDTHS, DISPLACEMENT_GROUPS, strict=True)
        self.displacement_taps = nn.ModuleList(_projection(*sizes) for sizes in plan)
        stem, first, *coarse = DISPLACEMENT_WIDTHS
        self.displacement_coarse = _projection(sum(coarse), MERGED_WIDTH, MERGED_GROUPS)
        self.displacement_merge = nn.Sequential(
            *_projection(stem + first + MERGED_WIDTH, MERGED_WIDTH, MERGED_GROUPS),
            nn.ReLU(),
            nn.Conv2d(MERGED_WIDTH, 2, 1, bias=False),
        )
        self.mean_shift = MeanShift()
        self.train(self.training)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Look for edges and displacements in normalised images.

        Args:
            images: (B, 3, H, W).

        Returns:
            Edge logits (B, 1, h, w) and displacements (B, 2, h, w) in cells, h = ceil(H / 4), w = ceil(W / 4).
        """
        with torch.no_grad():
            taps = self.trunk(images)
        return self._edges(taps), self._displacements(taps)

    def _edges(self, taps: Sequence[Tensor]) -> Tensor:
        projected = [project(tap) for project, tap in zip(self.edge_taps, taps, strict=True)]
        logits: Tensor = self.edge_merge(torch.cat(_on_one_grid(projected, self._factors(to=1), like=taps[1]), dim=1))
        return logits

    def _displacements(self, taps: Sequence[Tensor]) -> Tensor:
        stem, first, *coarse = [project(tap) for project, tap in zip(self.displacement_taps, taps, strict=True)]
        merged = torch.cat(_on_one_grid(coarse, self._factors(to=2)[2:], like=taps[2]), dim=1)
        fine = [stem, first, self.displacement_coarse(merged)]
        displacements: Tensor = self.displacement_merge(
            torch.cat(_on_one_grid(fine, self._factors(to=1)[:3], like=taps[1]), dim=1)
        )
        shifted: Tensor = self.mean_shift(displacements)
        return shifted

    def _factors(self, *, to: int) -> list[int]:
        """By how much each tap is enlarged to have the stride of tap `to`."""
        return [stride // self.trunk.strides[to] for stride in self.trunk.strides]

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the branches; the trunk stays in evaluation mode."""
        super().train(mode)
        self.trunk.eval()
        return self

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return what learns, by the groups whose learning rates differ (REFERENCE 5.5): `edge` and `displacement`."""
        return {
            group: [parameter for name, parameter in self.named_parameters() if name.startswith(group)]
            for group in ("edge", "displacement")
        }


def build_irnet(trunk: str = "resnet50", weights: str | Path | None = None) -> IRNet:
    """Build an IRNet with new branches.

    Args:
        trunk: A ResNet of timm; `resnet50` is the published one.
        weights: Weights of the trunk, as `ktse.nets.trunks.build_trunk` takes them; None for none.

    Raises:
        InputError: Unknown trunk, or no ResNet.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> edge_logits, displacement = build_irnet("test_resnet")(torch.zeros(1, 3, 33, 40))
        >>> edge_logits.shape, displacement.shape
        (torch.Size([1, 1, 9, 10]), torch.Size([1, 2, 9, 10]))
    """
    return IRNet(build_resnet_taps(trunk, weights=weights))


@torch.no_grad()
def edges_of_image(net: IRNet, image: Tensor, *, canvas: int = 512) -> tuple[Tensor, Tensor]:
    """Find the edges of one image from it and its mirror image (REFERENCE 5.6).

    Args:
        net: In evaluation mode.
        image: (3, H, W) normalised.
        canvas: Side in px of the square that the image is padded to with zeros, to the right and below, since the
            network's normalisation sees the whole square. A longer side is kept as it is, not cut.

    Returns:
        Edge probabilities (1, h, w), the mean of both views before the sigmoid, and the displacements (2, h, w) of the
        upright image; h = ceil(H / 4), w = ceil(W / 4).

    Example:
        >>> edge, displacement = edges_of_image(build_irnet("test_resnet").eval(), torch.zeros(3, 30, 41), canvas=64)
        >>> edge.shape, displacement.shape
        (torch.Size([1, 8, 11]), torch.Size([2, 8, 11]))
    """
    height, width = image.shape[-2:]
    views = torch.stack([image, image.flip(-1)])
    padded = F.pad(views, (0, max(canvas - width, 0), 0, max(canvas - height, 0)))
    edge_logits, displacement = net(padded)
    stride = net.trunk.strides[1]
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    upright, mirrored = edge_logits[..., :rows, :columns]
    return torch.sigmoid((upright + mirrored.flip(-1)) / 2), displacement[0, :, :rows, :columns]


def _projection(channels: int, width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.GroupNorm(groups, width))


def _on_one_grid(features: Sequence[Tensor], factors: Sequence[int], *, like: Tensor) -> list[Tensor]:
    """Enlarge each map by its factor, cut off what odd sizes leave over beyond the grid of `like`, and apply ReLU."""
    enlarged = [
        F.interpolate(feature, scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else feature
        for feature, factor in zip(features, factors, strict=True)
    ]
    return [feature[..., : like.shape[-2], : like.shape[-1]].relu() for feature in enlarged]
