"""The features of a trunk on the way, from fine to coarse: what IRNet looks at."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ktse.errors import InputError
from ktse.nets import demo_trunk
from ktse.nets.demo_trunk import DemoTrunk
from ktse.nets.resnet38d import ResNet38d
from ktse.nets.trunks import build_trunk
from ktse.nets.vgg16 import Vgg16

RESNET_STAGES = ("layer1", "layer2", "layer3", "layer4")
RESNET_PARTS = {"conv1", "bn1", "act1", "maxpool", *RESNET_STAGES}
"""Children by which a network of timm is known to be a ResNet."""

RESNET38D_TAPPED = ("b2_2", "b3_2", "b4_5", "b5_2")
"""Blocks after which resnet38d is tapped, besides its end; conv1a before them works at full resolution."""

PROBE_SIDE = 256
"""Side of the imaginary image on which the taps are measured; a multiple of every stride in use."""


class FeatureTaps(nn.Module):
    """A trunk that shows its features at several depths: images (B, 3, H, W) in, a list of (B, D, h, w) out.

    Attributes:
        channels: D of each feature map, the finest first.
        strides: Pixels of the image per cell of each.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images."""
        raise NotImplementedError

    def _measure(self) -> None:
        """Set channels and strides by looking at a copy without memory (device `meta`)."""
        probe = copy.deepcopy(self).to("meta").eval()
        features = probe(torch.empty(1, 3, PROBE_SIDE, PROBE_SIDE, device="meta"))
        self.channels = tuple(feature.shape[1] for feature in features)
        self.strides = tuple(PROBE_SIDE // feature.shape[-1] for feature in features)


class ResNetTaps(FeatureTaps):
    """A ResNet of timm, tapped after its stem with the pooling and after each of its four stages (REFERENCE 5.3).

    Its last stage has stride 1 and, unlike what the word output stride usually brings, no dilation.

    Args:
        network: A timm ResNet built for output stride 16; changed in place.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network  # a module, with parts that torch's type does not know
        for layer in network.get_submodule("layer4").modules():
            if isinstance(layer, nn.Conv2d):
                layer.dilation = (1, 1)
                layer.padding = (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
        self._measure()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five feature maps of normalised images (B, 3, H, W)."""
        net = self.network
        taps: list[Tensor] = [net.maxpool(net.act1(net.bn1(net.conv1(images))))]
        for stage in RESNET_STAGES:
            taps.append(net.get_submodule(stage)(taps[-1]))
        return taps


class TimmTaps(FeatureTaps):
    """Any convolutional network of timm, tapped where timm itself records features: once for each stride.

    Args:
        network: A timm model with `forward_intermediates`.

    Raises:
        InputError: It has no such method.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not hasattr(network, "forward_intermediates"):
            raise InputError(
                f"timm's '{type(network).__name__}' does not show its features on the way.",
                remedy="Take a trunk such as resnet50 or tf_efficientnet_lite0.",
            )
        self.network: Any = network
        self._measure()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images (B, 3, H, W)."""
        taps: list[Tensor] = self.network.forward_intermediates(images, intermediates_only=True)
        return taps


class ChainTaps(FeatureTaps):
    """A trunk that is a chain of layers ended by ReLU, tapped after some of them and at its end.

    Args:
        trunk: Any module.
        layers: Names of its layers, in their order.
        tapped: Those after which there is a tap.
    """

    def __init__(self, trunk: nn.Module, layers: Sequence[str], tapped: Collection[str]) -> None:
        super().__init__()
        self.network = trunk
        self._layers = tuple(layers)
        self._tapped = frozenset(tapped)
        self._measure()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images (B, 3, H, W)."""
        taps, features = [], images
        for name in self._layers:
            features = self.network.get_submodule(name)(features)
            if name in self._tapped:
                taps.append(features)
        return [*taps, features.relu()]


def build_feature_taps(name: str, *, weights: str | Path | None = None) -> FeatureTaps:
    """Build a trunk with taps.

    ResNets get the five taps of IRN's published code; every other trunk keeps its own strides.

    Args:
        name: As `ktse.nets.trunks.build_trunk` takes it: `demo`, `resnet38d`, `vgg16` or a model of timm.
        weights: As `build_trunk` takes them; None for none.

    Raises:
        InputError: Unknown name, or a network that does not show its features.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> taps = build_feature_taps("resnet18")
        >>> taps.channels, taps.strides
        ((64, 64, 128, 256, 512), (4, 4, 8, 16, 16))
        >>> build_feature_taps("demo").strides
        (2, 2, 4, 4)
    """
    trunk = build_trunk(name, weights=weights)
    match trunk:
        case DemoTrunk():
            return demo_taps(trunk)
        case ResNet38d():
            return resnet38d_taps(trunk)
        case Vgg16():
            return vgg16_taps(trunk)
    network = trunk.get_submodule("network")
    if set(dict(network.named_children())) >= RESNET_PARTS:
        return ResNetTaps(build_trunk(name, weights=weights, output_stride=16).get_submodule("network"))
    return TimmTaps(network)


def demo_taps(trunk: DemoTrunk) -> ChainTaps:
    """Tap the demo's trunk after its stem and after each of its stages."""
    ends = list(accumulate(blocks for _, blocks, _, _ in demo_trunk.STAGES))
    layers = ["stem", *(f"blocks.{index}" for index in range(ends[-1])), "bn"]
    return ChainTaps(trunk, layers, ["stem", *(f"blocks.{end - 1}" for end in ends[:-1])])


def resnet38d_taps(trunk: ResNet38d) -> ChainTaps:
    """Tap resnet38d after each change of its width."""
    return ChainTaps(trunk, [name for name, _ in trunk.named_children()], RESNET38D_TAPPED)


def vgg16_taps(trunk: Vgg16) -> ChainTaps:
    """Tap VGG16 after each of its poolings, the last of which is its end."""
    layers = {f"features.{name}": layer for name, layer in trunk.features.named_children()}
    *pools, _ = [name for name, layer in layers.items() if isinstance(layer, nn.MaxPool2d)]
    return ChainTaps(trunk, list(layers), pools)
