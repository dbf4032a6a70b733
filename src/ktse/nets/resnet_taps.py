"""The features of a ResNet after its stem and after each of its four stages."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ktse.errors import InputError
from ktse.nets.trunks import build_trunk

STAGES = ("layer1", "layer2", "layer3", "layer4")


class ResNetTaps(nn.Module):
    """A ResNet that shows its features on the way.

    Its last stage has stride 1 and, unlike what the word output stride usually brings, no dilation (REFERENCE 5.3).

    Args:
        network: A timm ResNet built for output stride 16; changed in place.

    Attributes:
        channels: Channels of the five feature maps.
        strides: Pixels of the image per cell of each.
    """

    strides = (4, 4, 8, 16, 16)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for layer in network.get_submodule("layer4").modules():
            if isinstance(layer, nn.Conv2d):
                layer.dilation = (1, 1)
                layer.padding = (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
        info = network.feature_info  # timm's record of stem and stages
        self.channels = tuple(int(entry["num_chs"]) for entry in info)  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five feature maps of normalised images (B, 3, H, W), the finest first."""
        net = self.network
        features: Tensor = net.maxpool(net.act1(net.bn1(net.conv1(images))))  # type: ignore[operator]
        taps = [features]
        for stage in STAGES:
            taps.append(net.get_submodule(stage)(taps[-1]))
        return taps


def build_resnet_taps(name: str, *, weights: str | Path | None) -> ResNetTaps:
    """Build a ResNet with taps.

    Args:
        name: A ResNet of timm: resnet18, resnet50, ...
        weights: As `ktse.nets.trunks.build_trunk` takes them; None for none.

    Raises:
        InputError: Unknown name, or no ResNet.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> build_resnet_taps("resnet18", weights=None).channels
        (64, 64, 128, 256, 512)
    """
    parts = {"conv1", "bn1", "act1", "maxpool", *STAGES}
    network = getattr(build_trunk(name, weights=weights, output_stride=16), "network", None)
    if network is None or not parts <= dict(network.named_children()).keys():
        raise InputError(f"'{name}' is no ResNet of timm.", remedy="Take one such as resnet18, resnet50 or resnet101.")
    return ResNetTaps(network)
