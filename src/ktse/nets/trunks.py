"""Building a trunk by name; the one place that knows which trunks there are."""

from __future__ import annotations

from pathlib import Path

from ktse.errors import InputError, WeightsError
from ktse.nets.demo_trunk import DemoTrunk, load_demo_weights
from ktse.nets.known_weights import find_weights, weights_for
from ktse.nets.resnet38d import ResNet38d
from ktse.nets.resnet38d_weights import load_resnet38d
from ktse.nets.strict_loading import load_strictly
from ktse.nets.timm_trunk import build_timm_trunk
from ktse.nets.trunk import Trunk
from ktse.nets.vgg16 import Vgg16, load_vgg16
from ktse.nets.weight_files import read_weights

PACKAGED_DEMO = ("demo", "packaged:demo")


def build_trunk(
    name: str,
    *,
    weights: str | Path | None = None,
    output_stride: int | None = None,
    width: float = 1.0,
    full_dilation: bool = False,
) -> Trunk:
    """Build a feature extractor.

    Args:
        name: `resnet38d` (the paper's), `vgg16` (in the form of DeepLabV2), `demo` (small, made for Shapes) or a timm
            model name.
        weights: None for none: nothing is read and no network touched. A file (.safetensors, .pth, .pt, .params), a
            name of KNOWN_WEIGHTS, `demo` for the weights that come with the package, or `timm` for those that timm
            fetches through its own caches. Classifiers in a file are left out; otherwise it has to fit exactly.
        output_stride: Pixels of the image per cell of the features, None for what the trunk has by itself:
            resnet38d and vgg16 8, demo 4, most of timm 32.
        width: Factor on the channels of resnet38d.
        full_dilation: Give dilated stages of a timm network their dilation from the first block on
            (`apply_full_dilation`); those of resnet38d, vgg16 and demo are part of their definition.

    Raises:
        InputError: Unknown name (near matches are named), or a trunk that cannot have this stride or width.
        WeightsError: The weights are missing, damaged or belong to another network.

    Example:
        >>> trunk = build_trunk("resnet18", output_stride=16)
        >>> trunk.channels, trunk.stride
        (512, 16)
    """
    if name != "resnet38d" and width != 1.0:
        raise InputError(f"the trunk '{name}' has no width {width}.", remedy="Only resnet38d can be made narrower.")
    if weights == "timm" and name in ("resnet38d", "demo"):
        raise WeightsError(f"timm has no weights of the trunk '{name}'.", remedy="Give a file, or null for none.")
    if str(weights) in PACKAGED_DEMO and name != "demo":
        raise WeightsError(
            f"the demo's weights do not fit the trunk '{name}'.", remedy="Give a file, or null for none."
        )
    if weights is not None and str(weights) not in (*PACKAGED_DEMO, "timm"):
        find_weights(weights, meant=weights_for(name))  # a missing file is noticed before a network is built for it
    if name == "resnet38d":
        resnet38d = ResNet38d(width)
        if weights is not None:
            load_resnet38d(resnet38d, weights)
        return _with_fixed_stride(resnet38d, name, output_stride)
    if name == "vgg16":
        vgg16 = Vgg16()
        if weights is not None:
            load_vgg16(vgg16, weights)
        return _with_fixed_stride(vgg16, name, output_stride)
    if name == "demo":
        demo = DemoTrunk()
        if str(weights) in PACKAGED_DEMO:
            load_demo_weights(demo)
        elif weights is not None:
            load_strictly(demo, read_weights(weights), source=f"the file '{weights}'")
        return _with_fixed_stride(demo, name, output_stride)
    return build_timm_trunk(name, weights=weights, output_stride=output_stride, full_dilation=full_dilation)


def _with_fixed_stride(trunk: Trunk, name: str, output_stride: int | None) -> Trunk:
    if output_stride not in (None, trunk.stride):
        raise InputError(
            f"the trunk '{name}' has output stride {trunk.stride}, not {output_stride}.",
            remedy=f"Set output_stride to {trunk.stride}, or take a trunk of timm.",
        )
    return trunk
