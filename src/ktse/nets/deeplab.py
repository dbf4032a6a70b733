"""DeepLabV2: a trunk with dilated convolutions and a head that sums several fields of view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ktse.errors import InputError
from ktse.nets.trunk import Trunk
from ktse.nets.trunks import build_trunk
from ktse.ops.resize import resize_to
from ktse.types import SegmenterOutput

INITIAL_DEVIATION = 0.01
"""Standard deviation of the head's first weights (REFERENCE 6.1)."""


class SummedPyramid(nn.Module):
    """Atrous spatial pyramid pooling as in DeepLabV2: 3x3 convolutions of several dilations, summed (REFERENCE 6.1).

    Args:
        channels: Channels of the features.
        num_labels: L, background included.
        dilations: One convolution for each.
    """

    def __init__(self, channels: int, num_labels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, num_labels, 3, padding=dilation, dilation=dilation) for dilation in dilations
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=INITIAL_DEVIATION)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, L, h, w)."""
        return torch.stack([branch(features) for branch in self.branches]).sum(0)


class DeepLab(nn.Module):
    """The segmenter: trunk, head, and the head's output resized to the image.

    Args:
        trunk: Feature extractor.
        head: From its features to a score for each label.
    """

    def __init__(self, trunk: Trunk, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor) -> SegmenterOutput:
        """Score the labels of normalised images (B, 3, H, W)."""
        pre_logits = self.head(self.trunk(images))
        return SegmenterOutput(
            pre_logits=pre_logits, logits=resize_to(pre_logits, (images.shape[-2], images.shape[-1]))
        )

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return what learns, by the groups whose learning rates may differ: `trunk` and `head`."""
        parts = {"trunk": self.trunk, "head": self.head}
        return {name: [p for p in part.parameters() if p.requires_grad] for name, part in parts.items()}


def build_deeplab(
    trunk: str = "resnet101",
    num_labels: int = 21,
    weights: str | Path | None = None,
    *,
    output_stride: int | None = 8,
    dilations: Sequence[int] = (6, 12, 18, 24),
) -> DeepLab:
    """Build a DeepLabV2 with a new head.

    In a dilated stage of a timm trunk the first block has the full dilation too, as the published network has it.

    Args:
        trunk: A timm name, `demo` (output stride 4) or `resnet38d`.
        num_labels: L, background included.
        weights: Weights of the trunk, as `ktse.nets.trunks.build_trunk` takes them; None for none.
        output_stride: Pixels of the image per cell of `pre_logits`, None for what the trunk has by itself.
        dilations: Dilations of the head's convolutions, in cells.

    Raises:
        InputError: Unknown trunk, or one that cannot have this stride; fewer than two labels; no dilation.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> net = build_deeplab("demo", num_labels=4, output_stride=4, dilations=(1, 2))
        >>> output = net(torch.zeros(2, 3, 33, 40))
        >>> output.pre_logits.shape, output.logits.shape
        (torch.Size([2, 4, 9, 10]), torch.Size([2, 4, 33, 40]))
    """
    if num_labels < 2:
        raise InputError(f"num_labels is {num_labels}.", remedy="A segmenter needs background and one class or more.")
    if not dilations:
        raise InputError("the head got no dilation.", remedy="Give one or more, such as (6, 12, 18, 24).")
    extractor = build_trunk(trunk, weights=weights, output_stride=output_stride, full_dilation=True)
    return DeepLab(extractor, SummedPyramid(extractor.channels, num_labels, dilations))
