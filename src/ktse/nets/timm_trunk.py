"""Any convolutional network of timm as a trunk."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ktse.errors import InputError, WeightsError, near_matches
from ktse.nets.strict_loading import load_strictly, without, without_prefix
from ktse.nets.timm_cache import pretrained_source
from ktse.nets.trunk import Trunk
from ktse.nets.weight_files import read_weights

PROBE_SIDE = 256
"""Side of the imaginary image on which the shape of the features is measured; a multiple of every stride in use."""

ADVICE = "Take a convolutional network such as resnet50, convnext_tiny or tf_efficientnet_lite0"
STAGES = ("layer1", "layer2", "layer3", "layer4", "s1", "s2", "s3", "s4")
STAGE_LISTS = ("stages", "blocks")
"""Where timm's networks keep their stages: as children of their own, or in one list."""


class TimmTrunk(Trunk):
    """A timm network without its classifier; the features are what the classifier would pool.

    Args:
        network: A timm model with `forward_features`.

    Raises:
        InputError: Its features are no maps, or it is made for images of one size.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network  # a module, with methods of timm's that torch's type does not know
        self.channels, self.stride = _measure_and_freeze_unused(network)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, D, h, w) of normalised images (B, 3, H, W)."""
        features: Tensor = self.network.forward_features(images)
        return features


def build_timm_trunk(
    name: str, *, weights: str | Path | None, output_stride: int | None, full_dilation: bool = False
) -> TimmTrunk:
    """Build a trunk from timm; arguments and errors as in `build_trunk`.

    Example:
        >>> trunk = build_timm_trunk("resnet18", weights=None, output_stride=16)
        >>> trunk.channels, trunk.stride
        (512, 16)
    """
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*timm.list_models(), "resnet38d", "demo"])
        raise InputError(f"no trunk '{name}'.", remedy=near_matches(name, near) if near else f"{ADVICE}.")
    network = _create(name, pretrained=weights == "timm", output_stride=output_stride)
    if weights is not None and weights != "timm":
        _load(network, weights)
    if full_dilation:
        apply_full_dilation(network)
    trunk = TimmTrunk(network)
    if output_stride not in (None, trunk.stride):
        raise InputError(
            f"timm's '{name}' has output stride {trunk.stride} and cannot have {output_stride}.",
            remedy=f"{ADVICE}, with 8, 16 or 32.",
        )
    return trunk


def _create(name: str, *, pretrained: bool, output_stride: int | None) -> Any:
    import timm

    try:
        source = pretrained_source(name) if pretrained else {}
        create = partial(timm.create_model, name, pretrained=pretrained, num_classes=0, **source)
        if output_stride is None:
            return create()
        try:
            return create(output_stride=output_stride)
        except (TypeError, AssertionError, NotImplementedError):  # what timm's families raise for an unknown stride
            return create()
    except Exception as error:  # no connection, no such file, no weights of this model: each library its own
        if not pretrained:
            raise
        raise WeightsError(
            f"timm could not give its weights of '{name}' ({type(error).__name__}: {error}).",
            remedy="Give a file in their place (localization.trunk_weights=FILE), or null for none.",
        ) from error


def _load(network: Any, weights: str | Path) -> None:
    """Load a file under timm's own names, less the classifier that the network was built without."""
    classifier = network.pretrained_cfg["classifier"]  # one name, or several
    names = [classifier] if isinstance(classifier, str) else classifier
    state = without(without_prefix(read_weights(weights), "module."), [f"{name}." for name in names])
    load_strictly(network, state, source=f"the file '{weights}'")


def _measure_and_freeze_unused(network: nn.Module) -> tuple[int, int]:
    """Return channels and stride of the features; parameters that only a classifier would use stop learning.

    Measured on a copy without memory (device `meta`), since timm keeps no uniform record of either.
    """
    probe: Any = copy.deepcopy(network).to("meta").eval().requires_grad_(True)
    try:
        features = probe.forward_features(torch.empty(1, 3, PROBE_SIDE, PROBE_SIDE, device="meta"))
    except (AssertionError, RuntimeError) as error:  # transformers are made for one size of image
        raise InputError(
            f"'{type(network).__name__}' takes no images of any size: {error}", remedy=f"{ADVICE}."
        ) from None
    if features.ndim != 4 or features.shape[1] != probe.num_features or PROBE_SIDE % features.shape[-1]:
        raise InputError(
            f"the features of '{type(network).__name__}' are no map (B, {probe.num_features}, h, w) whose cells cover "
            f"the image evenly: {tuple(features.shape)} for {PROBE_SIDE} x {PROBE_SIDE} pixels.",
            remedy=f"{ADVICE}.",
        )
    gradients: Sequence[Tensor | None] = torch.autograd.grad(
        features.sum(), list(probe.parameters()), allow_unused=True
    )
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        if gradient is None:
            parameter.requires_grad_(False)
    return features.shape[1], PROBE_SIDE // features.shape[-1]


def apply_full_dilation(network: nn.Module) -> None:
    """Give every convolution of a dilated stage the largest dilation of the stage, in place.

    timm leaves the first block of a dilated stage at the dilation of the stage before; the DeepLab that the paper
    trains has the full one there (REFERENCE 6.1).

    Example:
        >>> import timm
        >>> network = timm.create_model("resnet18", output_stride=8)
        >>> network.layer4[0].conv1.dilation
        (2, 2)
        >>> apply_full_dilation(network)
        >>> network.layer4[0].conv1.dilation
        (4, 4)
    """
    for stage in _stages(network):
        convolutions = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
        full = max((layer.dilation[0] for layer in convolutions), default=1)
        for layer in convolutions:
            if min(layer.kernel_size) < 3 or layer.dilation == (full, full):  # the 2x2 of ConvNeXt only halves the map
                continue
            layer.dilation = (full, full)
            if layer.padding != (0, 0):  # timm's layers that pad by themselves ("same") have 0 here
                layer.padding = (full * (layer.kernel_size[0] // 2), full * (layer.kernel_size[1] // 2))


def _stages(network: nn.Module) -> Iterator[nn.Module]:
    for name, child in network.named_children():
        if name in STAGE_LISTS:
            yield from child.children()
        elif name in STAGES:
            yield child
