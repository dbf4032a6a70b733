"""The demo's trunk: a small residual network of stride 4 that learns on a CPU in minutes.

Pre-activation blocks, as in ResNet38d, so that a map ends in normalisation and ReLU. Its weights come with the package,
pre-trained on drawn things that are no class of Shapes (`ktse.pretraining`). A cell sees only 71 px, on purpose: with
dilations 1-2-4 the maps had halos of 32 px; with one more block (103 px) seeds lost two points in a trial, and their
best threshold rose from 0.28 to 0.42.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from ktse.nets.strict_loading import load_strictly
from ktse.nets.trunk import Trunk
from ktse.nets.weight_files import read_weights

STEM_CHANNELS = 16
STAGES = ((24, 1, 1, 1), (48, 2, 2, 1), (80, 1, 1, 2))
"""Channels, blocks, stride of the first block and dilation of each stage."""


class PreActivationBlock(nn.Module):
    """Normalisation, ReLU, 3x3 convolution, twice, beside a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Step of the first convolution and of the shortcut.
        dilation: Dilation of both convolutions.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        same = in_channels == channels and stride == 1
        self.shortcut = None if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, channels, h / stride, w / stride)."""
        activated = F.relu(self.bn1(features))
        branch: Tensor = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        kept: Tensor = features if self.shortcut is None else self.shortcut(activated)
        return kept + branch


class DemoTrunk(Trunk):
    """Small pre-activation residual network, 0.2 M parameters.

    Attributes:
        channels: D, channels of the output.
        stride: Pixels of the image per cell of the output.

    Example:
        >>> import torch
        >>> trunk = DemoTrunk().eval()
        >>> trunk(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 80, 8, 12])
    """

    channels = STAGES[-1][0]
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        blocks: list[nn.Module] = []
        in_channels = STEM_CHANNELS
        for channels, count, stride, dilation in STAGES:
            for index in range(count):
                first = stride if index == 0 else 1
                blocks.append(PreActivationBlock(in_channels, channels, stride=first, dilation=dilation))
                in_channels = channels
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(in_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to features (B, D, ceil(H / 4), ceil(W / 4)), all at least 0."""
        features: Tensor = self.bn(self.blocks(self.stem(images)))
        return F.relu(features)


def packaged_demo_weights() -> Path:
    """Return the path of the pre-trained weights that come with the package."""
    return Path(str(resources.files("ktse.nets") / "packaged" / "demo_trunk.safetensors"))


def load_demo_weights(trunk: DemoTrunk, path: Path | None = None) -> None:
    """Load pre-trained weights into the trunk, in place.

    Args:
        trunk: Network to fill.
        path: Safetensors file; the packaged one by default.

    Raises:
        WeightsError: The file is missing, damaged or of another network.

    Example:
        >>> trunk = DemoTrunk()
        >>> load_demo_weights(trunk)
    """
    path = packaged_demo_weights() if path is None else path
    load_strictly(trunk, read_weights(path), source=f"the file '{path}'")
