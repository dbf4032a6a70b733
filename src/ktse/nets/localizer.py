"""The localizer: trunk, 1x1 head and gated pyramid pooling; from images to class activation maps and tag logits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ktse.errors import InputError
from ktse.nets.gpp import GatedPyramidPooling
from ktse.nets.normalization import batch_norms, hold_batch_norms
from ktse.nets.trunk import Trunk
from ktse.nets.trunks import build_trunk
from ktse.types import LocalizerOutput

NormalizationLayers = Literal["frozen", "frozen_after_warm_up", "trained"]


class Localizer(nn.Module):
    """The network of the paper's every branch (REFERENCE 1.2): F = fc9(ReLU(fc8(trunk))), logits = GPP(F without bg).

    The background channel of the CAM takes no part in the logits. The head after fc8 runs outside autocast: its logits
    are quadratic in the CAM, its cost is small.

    Args:
        trunk: The feature extractor.
        num_classes: K, foreground classes.
        head_width: Channels between fc8 and fc9.
        normalization_layers: Batch normalisation of the trunk: `frozen` from the start, `frozen_after_warm_up` learns
            until `freeze_normalization(True)` is called, `trained` learns.
    """

    def __init__(
        self,
        trunk: Trunk,
        num_classes: int,
        *,
        head_width: int = 256,
        normalization_layers: NormalizationLayers = "frozen",
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.fc8 = nn.Conv2d(trunk.channels, head_width, 1, bias=False)
        self.fc9 = nn.Conv2d(head_width, num_classes + 1, 1, bias=False)
        nn.init.xavier_uniform_(self.fc8.weight)
        nn.init.xavier_uniform_(self.fc9.weight)
        self.gpp = GatedPyramidPooling(num_classes)
        # What the trunk froze of itself stays frozen whatever `freeze_normalization` is told.
        self._learning_norms = [
            layer for layer in batch_norms(trunk) if all(parameter.requires_grad for parameter in layer.parameters())
        ]
        self.freeze_normalization(normalization_layers == "frozen")

    def forward(self, images: Tensor) -> LocalizerOutput:
        """Return the raw CAM with background and the tag logits of normalised images (B, 3, H, W)."""
        features = F.relu(self.fc8(self.trunk(images)))
        with torch.autocast(features.device.type, enabled=False):
            cam_with_background = self.fc9(features.to(self.fc9.weight.dtype))
        logits, gated = self.gpp(cam_with_background[:, 1:])
        return LocalizerOutput(cam_with_background=cam_with_background, logits=logits, gated=gated)

    def freeze_normalization(self, frozen: bool) -> None:
        """Make the trunk's batch normalisation a fixed affine map, or let it learn again."""
        self._norms_frozen = frozen
        for layer in self._learning_norms:
            layer.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but frozen batch normalisation, which stays in eval mode (REFERENCE 1.4)."""
        super().train(mode)
        if self._norms_frozen:
            hold_batch_norms(self.trunk)
        return self

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters that learn: those of the `trunk`, and those of the `head` (fc8, fc9, GPP)."""
        trunk = [parameter for parameter in self.trunk.parameters() if parameter.requires_grad]
        head = [parameter for part in (self.fc8, self.fc9, self.gpp) for parameter in part.parameters()]
        return {"trunk": trunk, "head": [parameter for parameter in head if parameter.requires_grad]}


def build_localizer(
    trunk: str = "resnet38d",
    num_classes: int = 20,
    weights: str | Path | None = None,
    *,
    width: float = 1.0,
    output_stride: int | None = None,
    head_width: int = 256,
    normalization_layers: NormalizationLayers = "frozen",
) -> Localizer:
    """Build a localizer; the head starts at random, the trunk too unless `weights` are given.

    Args:
        trunk: `resnet38d`, `demo` or a timm model name.
        num_classes: K, foreground classes.
        weights: Weights of the trunk, as in `build_trunk`. None loads nothing and touches no network.
        width: Factor on the channels of resnet38d.
        output_stride: Pixels of the image per cell of the CAM; None for what the trunk has by itself.
        head_width: Channels between trunk and CAM.
        normalization_layers: `frozen`, `frozen_after_warm_up` or `trained`.

    Raises:
        InputError: Unknown trunk (near matches are named), or one that cannot have that stride.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> localizer = build_localizer("resnet38d", num_classes=3, width=1 / 32)
        >>> output = localizer(torch.zeros(2, 3, 64, 48))
        >>> tuple(output.cam_with_background.shape), tuple(output.logits.shape)
        ((2, 4, 8, 6), (2, 3))
    """
    if num_classes < 1:
        raise InputError(f"num_classes is {num_classes}.", remedy="A localizer needs one class or more.")
    return Localizer(
        build_trunk(trunk, weights=weights, output_stride=output_stride, width=width),
        num_classes,
        head_width=head_width,
        normalization_layers=normalization_layers,
    )
