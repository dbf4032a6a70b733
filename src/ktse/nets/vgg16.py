"""The convolutions of VGG16 in the form of DeepLabV2, under torchvision's names."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, hub, nn

from ktse.errors import WeightsError
from ktse.nets.download import offline_switch
from ktse.nets.strict_loading import load_strictly, without, without_prefix
from ktse.nets.trunk import Trunk
from ktse.nets.weight_files import read_weights

STAGES = (
    (2, 64, 1, 2),
    (2, 128, 1, 2),
    (3, 256, 1, 2),
    (3, 512, 1, 1),
    (3, 512, 2, 1),
)
"""Convolutions, their channels, their dilation, and the stride of the 3x3 pooling after them."""


class Vgg16(Trunk):
    """The thirteen convolutions of VGG16 at output stride 8, as Chen et al. (DeepLabV2, TPAMI 2018) have them.

    All poolings are 3x3 with a border of one pixel; the last two have stride 1, for which the convolutions between
    them have dilation 2. The places in `features` are those of torchvision, whose weights fit.

    Example:
        >>> import torch
        >>> trunk = Vgg16()
        >>> tuple(trunk(torch.zeros(1, 3, 33, 40)).shape)  # sizes are rounded up
        (1, 512, 5, 5)
    """

    channels = 512
    stride = 8

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = 3
        for count, width, dilation, pool_stride in STAGES:
            for _ in range(count):
                layers += [nn.Conv2d(width_in, width, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)]
                width_in = width
            layers.append(nn.MaxPool2d(3, pool_stride, padding=1))
        self.features = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, 512, ceil(H / 8), ceil(W / 8)) of normalised images (B, 3, H, W), all at least 0."""
        features: Tensor = self.features(images)
        return features


def read_vgg16(weights: str | Path) -> dict[str, Tensor]:
    """Read weights of VGG16 with its classifier.

    Args:
        weights: A file or name as `ktse.nets.weight_files.read_weights` takes it; or `timm` for the ImageNet weights
            of torchvision, which are timm's too, through torchvision's cache.

    Raises:
        WeightsError: No such file, a damaged one, or no connection to get it.
    """
    if str(weights) != "timm":
        return without_prefix(read_weights(weights), "module.")
    from torchvision.models import VGG16_Weights

    source = VGG16_Weights.IMAGENET1K_V1
    cached = Path(hub.get_dir(), "checkpoints", Path(source.url).name)
    try:
        if (switch := offline_switch()) and not cached.is_file():
            raise WeightsError(f"'{cached}' is not there, and downloads are switched off ({switch})")
        return dict(source.get_state_dict(check_hash=True, map_location="cpu", weights_only=True))
    except Exception as error:  # no connection, another file than announced, a full disk: each library its own
        raise WeightsError(
            f"torchvision could not give its weights of 'vgg16' ({type(error).__name__}: {error}).",
            remedy="Give a file in their place (segmentation.trunk_weights=FILE), or null for none.",
        ) from error


def load_vgg16(trunk: Vgg16, weights: str | Path) -> None:
    """Load the convolutions of `read_vgg16(weights)` in place; a classifier is left out, all else has to fit exactly.

    Raises:
        WeightsError: As `read_vgg16`; or tensors are missing, unknown, or of another shape.
    """
    load_strictly(trunk, without(read_vgg16(weights), ["classifier."]), source=f"the weights '{weights}'")
