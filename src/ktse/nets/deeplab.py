"""DeepLabV2: a trunk with dilated convolutions and a head that sums several fields of view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from ktse.errors import InputError
from ktse.nets.new_layers import draw_new_layers
from ktse.nets.normalization import hold_frozen_batch_norms
from ktse.nets.trunk import Trunk
from ktse.nets.trunks import build_trunk
from ktse.nets.vgg16 import read_vgg16
from ktse.nets.vgg16_head import VggClassifier, VggPyramid, load_subsampled_classifier
from ktse.ops.resize import resize_to
from ktse.types import SegmenterOutput


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
        draw_new_layers(self)

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
        pre_logits = self.pre_logits(images)
        return SegmenterOutput(
            pre_logits=pre_logits, logits=resize_to(pre_logits, (images.shape[-2], images.shape[-1]))
        )

    def pre_logits(self, images: Tensor) -> Tensor:
        """Score the labels of normalised images (B, 3, H, W) on the grid of the trunk: (B, L, h, w)."""
        scores: Tensor = self.head(self.trunk(images))
        return scores

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but frozen batch normalisation (`set_normalization`), which stays in eval mode."""
        super().train(mode)
        hold_frozen_batch_norms(self)
        return self

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
    vgg_classifier: VggClassifier = "random",
    vgg_dropout: float = 0.5,
) -> DeepLab:
    """Build a DeepLabV2 with a new head.

    In a dilated stage of a timm trunk the first block has the full dilation too, as the published network has it. On
    `vgg16` each dilation has a branch of three layers (`VggPyramid`), on all others a single convolution.

    Args:
        trunk: A timm name, `vgg16`, `demo` (output stride 4) or `resnet38d`.
        num_labels: L, background included.
        weights: Weights of the trunk, as `ktse.nets.trunks.build_trunk` takes them; None for none.
        output_stride: Pixels of the image per cell of `pre_logits`, None for what the trunk has by itself.
        dilations: Dilations of the head's convolutions, in cells.
        vgg_classifier: First weights of fc6 and fc7 of `vgg16`: `random`, or `subsampled` from the classifier that
            belongs to the `weights`; without weights they are drawn.
        vgg_dropout: Dropout after fc6 and fc7 of `vgg16`.

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
    if trunk != "vgg16":
        return DeepLab(extractor, SummedPyramid(extractor.channels, num_labels, dilations))
    head = VggPyramid(extractor.channels, num_labels, dilations, dropout=vgg_dropout)
    if vgg_classifier == "subsampled" and weights is not None:
        load_subsampled_classifier(head, read_vgg16(weights), source=f"the weights '{weights}'")
    return DeepLab(extractor, head)
