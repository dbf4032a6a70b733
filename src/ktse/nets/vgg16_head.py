"""The head of DeepLabV2 on VGG16: VGG's classifier as convolutions, once for each field of view, summed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ktse.errors import WeightsError
from ktse.nets.new_layers import draw_new_layers
from ktse.nets.strict_loading import load_strictly

VggClassifier = Literal["random", "subsampled"]

CLASSIFIER_SIDE = 7
"""Cells along each side of the map that VGG's first fully connected layer sees."""

OUTPUT_STEP = 4
"""Of 4096 outputs of a fully connected layer every fourth is kept: 1024."""

POSITION_STEP = 3
"""Of 7 x 7 positions every third is kept: the corners, the middles of the sides and the centre, 3 x 3."""


class VggPyramid(nn.Module):
    """Several branches fc6, fc7, fc8 with ReLU and dropout between them, summed (Chen et al., DeepLabV2, Figure 7).

    fc6 is 3x3 with the dilation of its branch, fc7 and fc8 are 1x1. All begin as new layers.

    Args:
        channels: Channels of the features.
        num_labels: L, background included.
        dilations: One branch for each.
        width: Channels of fc6 and fc7.
        dropout: Chance that an output of fc6 or fc7 is dropped in training.

    Example:
        >>> head = VggPyramid(8, 3, (1, 2), width=4)
        >>> head(torch.zeros(2, 8, 5, 6)).shape
        torch.Size([2, 3, 5, 6])
    """

    def __init__(
        self, channels: int, num_labels: int, dilations: Sequence[int], *, width: int = 1024, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.channels = channels
        self.branches = nn.ModuleList(
            nn.Sequential(
                OrderedDict(
                    fc6=nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation),
                    relu6=nn.ReLU(inplace=True),
                    drop6=nn.Dropout(dropout),
                    fc7=nn.Conv2d(width, width, 1),
                    relu7=nn.ReLU(inplace=True),
                    drop7=nn.Dropout(dropout),
                    fc8=nn.Conv2d(width, num_labels, 1),
                )
            )
            for dilation in dilations
        )
        draw_new_layers(self)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, L, h, w)."""
        return torch.stack([branch(features) for branch in self.branches]).sum(0)


def load_subsampled_classifier(head: VggPyramid, state: Mapping[str, Tensor], *, source: str) -> None:
    """Give fc6 and fc7 of every branch the weights of VGG's classifier, thinned out (`subsampled_classifier`).

    Args:
        head: Changed in place; fc8 stays as it is.
        state: Tensors of a VGG under torchvision's names; only those of the classifier are looked at.
        source: What the state is, for the error.

    Raises:
        WeightsError: Tensors of the classifier are missing or of other shapes.
    """
    tensors = subsampled_classifier(state, channels=head.channels, source=source)
    for branch in head.branches:
        load_strictly(branch, {**branch.state_dict(), **tensors}, source=f"the classifier of {source}")


def subsampled_classifier(state: Mapping[str, Tensor], *, channels: int, source: str) -> dict[str, Tensor]:
    """Thin out the fully connected layers of VGG into convolutions, as Chen et al. do for DeepLab-LargeFOV.

    Every fourth output of each layer is kept, and of the first layer's 7 x 7 positions every third in each direction.

    Args:
        state: `classifier.0` of (O, D * 49) and `classifier.3` of (O, O), each with `weight` and `bias`.
        channels: D, channels of the map that the first layer sees.
        source: What the state is, for the error.

    Returns:
        Weight and bias of `fc6` (O / 4, D, 3, 3) and `fc7` (O / 4, O / 4, 1, 1); views of the tensors in `state`.

    Raises:
        WeightsError: Tensors are missing, or the first layer sees another map.

    Example:
        >>> state = {
        ...     "classifier.0.weight": torch.zeros(8, 2 * 49), "classifier.0.bias": torch.zeros(8),
        ...     "classifier.3.weight": torch.zeros(8, 8), "classifier.3.bias": torch.zeros(8),
        ... }
        >>> thinned = subsampled_classifier(state, channels=2, source="the example")
        >>> {name: tuple(tensor.shape) for name, tensor in thinned.items() if name.endswith("weight")}
        {'fc6.weight': (2, 2, 3, 3), 'fc7.weight': (2, 2, 1, 1)}
    """
    names = [f"classifier.{layer}.{part}" for layer in (0, 3) for part in ("weight", "bias")]
    missing = [name for name in names if name not in state]
    if missing:
        raise WeightsError(
            f"{source} has no {missing[0]}.",
            remedy="Give torchvision's whole vgg16, or set segmentation.vgg_classifier=random.",
        )
    tensors = [state[name] for name in names]
    grid = (channels, CLASSIFIER_SIDE, CLASSIFIER_SIDE)
    if [tensor.ndim for tensor in tensors] != [2, 1, 2, 1] or tensors[0].shape[1] != channels * CLASSIFIER_SIDE**2:
        raise WeightsError(
            f"the classifier of {source} does not see a map of {grid}: its tensors have the shapes "
            f"{', '.join(str(tuple(tensor.shape)) for tensor in tensors)}.",
            remedy="Give the weights of a VGG16 as torchvision has it.",
        )
    first, first_bias, second, second_bias = tensors
    return {
        "fc6.weight": first.reshape(-1, *grid)[::OUTPUT_STEP, :, ::POSITION_STEP, ::POSITION_STEP],
        "fc6.bias": first_bias[::OUTPUT_STEP],
        "fc7.weight": second[::OUTPUT_STEP, ::OUTPUT_STEP, None, None],
        "fc7.bias": second_bias[::OUTPUT_STEP],
    }
