"""ResNet38d, the trunk of the published localizer: Wu et al.'s wide residual network A1, dilated to stride 8."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F

from ktse.nets.normalization import hold_batch_norms
from ktse.nets.trunk import Trunk

DROPOUT = 0.2
"""Chance that a channel of b6 or b7 is dropped in training (REFERENCE 1.1)."""

BASIC_STAGES = (
    # name, blocks, middle and out channels, stride of the first block, dilations of the first block, of the others
    ("b2", 3, 128, 128, 2, (1, 1), (1, 1)),
    ("b3", 3, 256, 256, 2, (1, 1), (1, 1)),
    ("b4", 6, 512, 512, 2, (1, 1), (1, 1)),
    ("b5", 3, 512, 1024, 1, (1, 2), (2, 2)),
)
BOTTLENECKS = (
    # name, channels after the first 1x1, after the 3x3, out; dilation of the 3x3
    ("b6", 512, 1024, 2048, 4),
    ("b7", 1024, 2048, 4096, 4),
)

FROZEN_BLOCKS = ("conv1a", "b2", "b2_1", "b2_2")
"""The blocks that never learn (REFERENCE 1.4)."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each after BN and ReLU; nothing after the sum.

    The shortcut is a 1x1 convolution of the *activated* input where the shape changes, the raw input otherwise.

    Args:
        width_in: Channels of the input.
        middle: Channels between the convolutions.
        out: Channels of the output.
        stride: Of the first convolution and of the shortcut.
        dilations: Of the first and the second convolution; padding keeps the size.
    """

    def __init__(self, width_in: int, middle: int, out: int, *, stride: int, dilations: tuple[int, int]) -> None:
        super().__init__()
        first, second = dilations
        self.bn_branch2a = nn.BatchNorm2d(width_in)
        self.conv_branch2a = nn.Conv2d(width_in, middle, 3, stride, padding=first, dilation=first, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(middle)
        self.conv_branch2b1 = nn.Conv2d(middle, out, 3, padding=second, dilation=second, bias=False)
        changes = width_in != out or stride != 1
        self.conv_branch1 = nn.Conv2d(width_in, out, 1, stride, bias=False) if changes else None

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out, h / stride, w / stride) of (B, in, h, w)."""
        activated = F.relu(self.bn_branch2a(features))
        shortcut: Tensor = features if self.conv_branch1 is None else self.conv_branch1(activated)
        middle = self.conv_branch2a(activated)
        main: Tensor = self.conv_branch2b1(F.relu(self.bn_branch2b1(middle)))
        return shortcut + main


class BottleneckBlock(nn.Module):
    """1x1, dilated 3x3, 1x1, each after BN and ReLU, dropout before the latter two; the shortcut is a convolution.

    Args:
        width_in: Channels of the input.
        narrow: Channels after the first 1x1.
        middle: Channels after the 3x3.
        out: Channels of the output.
        dilation: Of the 3x3; padding keeps the size.
    """

    def __init__(self, width_in: int, narrow: int, middle: int, out: int, *, dilation: int) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(width_in)
        self.conv_branch2a = nn.Conv2d(width_in, narrow, 1, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(narrow)
        self.dropout_2b1 = nn.Dropout2d(DROPOUT)
        self.conv_branch2b1 = nn.Conv2d(narrow, middle, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn_branch2b2 = nn.BatchNorm2d(middle)
        self.dropout_2b2 = nn.Dropout2d(DROPOUT)
        self.conv_branch2b2 = nn.Conv2d(middle, out, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(width_in, out, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out, h, w) of (B, in, h, w)."""
        activated = F.relu(self.bn_branch2a(features))
        narrow = self.conv_branch2a(activated)
        middle = self.conv_branch2b1(self.dropout_2b1(F.relu(self.bn_branch2b1(narrow))))
        main: Tensor = self.conv_branch2b2(self.dropout_2b2(F.relu(self.bn_branch2b2(middle))))
        shortcut: Tensor = self.conv_branch1(activated)
        return shortcut + main


class ResNet38d(Trunk):
    """The trunk of REFERENCE 1.1, under the names of the released checkpoint.

    The stem and the three blocks after it are frozen for good, weights and batch normalisation alike; of the others
    the localizer decides.

    Args:
        width: Factor on every channel count; 1 is the published network (D = 4096), 1/32 a toy for tests.

    Example:
        >>> import torch
        >>> trunk = ResNet38d(width=1 / 32)
        >>> tuple(trunk(torch.zeros(1, 3, 33, 40)).shape)  # stride 8, sizes rounded up
        (1, 128, 5, 5)
    """

    stride = 8

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return max(1, round(width * channels))

        features = scaled(64)
        self.conv1a = nn.Conv2d(3, features, 3, padding=1, bias=False)
        for stage, blocks, middle, out, stride, first, others in BASIC_STAGES:
            for index in range(blocks):
                name, step, dilations = (f"{stage}_{index}", 1, others) if index else (stage, stride, first)
                block = BasicBlock(features, scaled(middle), scaled(out), stride=step, dilations=dilations)
                self.add_module(name, block)
                features = scaled(out)
        for name, narrow, middle, out, dilation in BOTTLENECKS:
            bottleneck = BottleneckBlock(features, scaled(narrow), scaled(middle), scaled(out), dilation=dilation)
            self.add_module(name, bottleneck)
            features = scaled(out)
        self.bn7 = nn.BatchNorm2d(features)
        self.channels = features
        for part in self._frozen_blocks():
            part.requires_grad_(False)
            hold_batch_norms(part)

    def _frozen_blocks(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in FROZEN_BLOCKS]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, D, ceil(H / 8), ceil(W / 8)) of normalised images (B, 3, H, W)."""
        features = images
        for block in self.children():  # in the order in which they were added; bn7 is the last
            features = block(features)
        return F.relu(features)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the frozen blocks' batch normalisation, which stays in eval mode."""
        super().train(mode)
        for block in self._frozen_blocks():
            hold_batch_norms(block)
        return self
