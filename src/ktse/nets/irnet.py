"""IRNet: a frozen trunk with two branches, for edges between classes and for displacements to the instance's centre.

Ahn et al., CVPR 2019. On a ResNet it is the published network (REFERENCE 5.3); on any other trunk the same two branches
take as many feature taps as there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ktse.nets.feature_taps import FeatureTaps, build_feature_taps

GRID_STRIDE = 4
"""Pixels of the image per cell of the output."""

EDGE_WIDTH, EDGE_GROUPS = 32, 4
"""Channels of the edge branch for each tap, and groups of their normalisation."""

DISPLACEMENT_SIZES = ((64, 8), (128, 16), (256, 16))
"""The same for the displacement branch, tap by tap; all further taps are as the last."""

MERGED_SIZE = (256, 16)
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

    The edge branch brings all taps to the grid of the output at once. The displacement branch first merges the taps
    that are coarser than this grid on the finest of their own, then the result with the others on the grid.

    Args:
        trunk: Feature extractor; never learns, and its normalisation stays in evaluation mode.
    """

    def __init__(self, trunk: FeatureTaps) -> None:
        super().__init__()
        self.trunk = trunk.requires_grad_(False)
        self.edge_taps = nn.ModuleList(_projection(width, EDGE_WIDTH, EDGE_GROUPS) for width in trunk.channels)
        self.edge_merge = nn.Conv2d(EDGE_WIDTH * len(trunk.channels), 1, 1)
        sizes = [DISPLACEMENT_SIZES[min(n, len(DISPLACEMENT_SIZES) - 1)] for n in range(len(trunk.channels))]
        self.displacement_taps = nn.ModuleList(
            _projection(width, *size) for width, size in zip(trunk.channels, sizes, strict=True)
        )
        fine = sum(width for (width, _), stride in zip(sizes, trunk.strides, strict=True) if stride <= GRID_STRIDE)
        coarse = sum(width for width, _ in sizes) - fine
        merged, _ = MERGED_SIZE
        self.displacement_coarse = _projection(coarse, *MERGED_SIZE) if coarse else None
        self.displacement_merge = nn.Sequential(
            *_projection(fine + merged if coarse else fine, *MERGED_SIZE),
            nn.ReLU(),
            nn.Conv2d(merged, 2, 1, bias=False),
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
        size = (images.shape[-2], images.shape[-1])
        edge_logits: Tensor = self.edge_merge(_merged(self._projected(self.edge_taps, taps), GRID_STRIDE, size))
        displacement: Tensor = self.mean_shift(self._displacement(self._projected(self.displacement_taps, taps), size))
        return edge_logits, displacement

    def _projected(self, branch: nn.ModuleList, taps: Sequence[Tensor]) -> list[tuple[Tensor, int]]:
        """Bring each tap to the channels of a branch; returned with its stride."""
        return [(project(tap), stride) for project, tap, stride in zip(branch, taps, self.trunk.strides, strict=True)]

    def _displacement(self, maps: Sequence[tuple[Tensor, int]], size: tuple[int, int]) -> Tensor:
        fine = [(features, stride) for features, stride in maps if stride <= GRID_STRIDE]
        coarse = [(features, stride) for features, stride in maps if stride > GRID_STRIDE]
        if self.displacement_coarse is not None:
            middle = min(stride for _, stride in coarse)
            fine.append((self.displacement_coarse(_merged(coarse, middle, size)), middle))
        displacement: Tensor = self.displacement_merge(_merged(fine, GRID_STRIDE, size))
        return displacement

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
        trunk: As `ktse.nets.trunks.build_trunk` takes it; `resnet50` is the published one.
        weights: Weights of the trunk, as `build_trunk` takes them; None for none.

    Raises:
        InputError: Unknown trunk, or one that does not show its features on the way.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> edge_logits, displacement = build_irnet("demo", "demo")(torch.zeros(1, 3, 33, 40))
        >>> edge_logits.shape, displacement.shape
        (torch.Size([1, 1, 9, 10]), torch.Size([1, 2, 9, 10]))
    """
    return IRNet(build_feature_taps(trunk, weights=weights))


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
    rows, columns = math.ceil(height / GRID_STRIDE), math.ceil(width / GRID_STRIDE)
    upright, mirrored = edge_logits[..., :rows, :columns]
    return torch.sigmoid((upright + mirrored.flip(-1)) / 2), displacement[0, :, :rows, :columns]


def _projection(channels: int, width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.GroupNorm(groups, width))


def _merged(maps: Sequence[tuple[Tensor, int]], stride: int, size: tuple[int, int]) -> Tensor:
    """Bring maps of several strides to the grid of one, put their channels together and apply ReLU."""
    grid = (math.ceil(size[0] / stride), math.ceil(size[1] / stride))
    return torch.cat([on_grid(features, own / stride, grid) for features, own in maps], dim=1).relu()


def on_grid(features: Tensor, factor: float, grid: tuple[int, int]) -> Tensor:
    """Bring a feature map to the grid of another stride.

    It is resized by a factor, not to a size, so that every cell stays over its pixels; what odd sizes leave over is
    cut. A network that drops an incomplete last cell has its last one repeated.

    Args:
        features: (B, D, h, w).
        factor: Stride of the map over stride of the grid.
        grid: Cells of the grid.

    Returns:
        (B, D, *grid), resized bilinearly.

    Example:
        >>> centres = torch.tensor([[[[2.0, 6.0, 10.0]]]])  # of cells of 4 px
        >>> on_grid(centres, 2, (1, 5)), on_grid(centres, 0.5, (1, 2))
        (tensor([[[[2., 3., 5., 7., 9.]]]]), tensor([[[[ 4., 10.]]]]))
    """
    needed = [math.ceil(cells / factor) for cells in grid]
    below, right = (max(0, cells - own) for cells, own in zip(needed, features.shape[-2:], strict=True))
    if below or right:
        features = F.pad(features, (0, right, 0, below), mode="replicate")
    if factor != 1:
        features = F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
    return features[..., : grid[0], : grid[1]]
