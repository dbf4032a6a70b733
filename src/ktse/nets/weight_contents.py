"""What a file of weights is: told from the names and shapes in it, so that nobody has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ktse.errors import WeightsError
from ktse.nets.deeplab import build_deeplab
from ktse.nets.deeplab_pair import build_deeplab_pair
from ktse.nets.irnet import build_irnet
from ktse.nets.known_weights import find_weights
from ktse.nets.localizer import build_localizer
from ktse.nets.published_deeplab import WRAPPER, load_published_deeplab, load_published_deeplab_pair
from ktse.nets.published_irnet import load_published_irnet
from ktse.nets.published_localizer import load_published_localizer
from ktse.nets.strict_loading import without_prefix
from ktse.nets.trunks import build_trunk
from ktse.nets.weight_files import read_checkpoint, tensors_of, tensors_within

Kind = Literal["trunk", "localizer", "irnet", "segmenter"]

FULL_WIDTH = 4096
"""Channels of ResNet38d's features at width 1."""

RESNETS: Mapping[tuple[int | str, ...], str] = {
    (2, 2, 2, 2, "basic"): "resnet18",
    (3, 4, 6, 3, "basic"): "resnet34",
    (3, 4, 6, 3, "bottleneck"): "resnet50",
    (3, 4, 23, 3, "bottleneck"): "resnet101",
    (3, 8, 36, 3, "bottleneck"): "resnet152",
}
"""ResNets by the blocks of their stages and the kind of block."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds.

    Attributes:
        kind: Which part of the method it is for.
        description: The same in words, with the sizes.
        labels: Classes of a localizer or labels of a segmenter; 0 for other kinds.
        build: Builds the network of just these sizes and loads the file into it, strictly; a `WeightsError` tells what
            does not fit. On the device `meta` (`with torch.device("meta"): ...`) it asks for no second memory.
    """

    kind: Kind
    description: str
    labels: int
    build: Callable[[], nn.Module]


def recognise(weights: str | Path) -> Contents:
    """Tell what a file of weights holds: released checkpoints, their ImageNet trunks, ResNets and VGG16.

    Args:
        weights: A path, or weights known by name.

    Raises:
        WeightsError: No such file, damaged, or of no kind that is known.
    """
    path = find_weights(weights)
    content = read_checkpoint(path)
    _refuse_stretched(content, path)
    try:
        return _pair(content) or _single(without_prefix(tensors_of(content, path), "module."), path)
    except (KeyError, IndexError, TypeError):
        raise WeightsError(
            f"'{path}' holds weights of no kind that is known here ({', '.join(list(content)[:3])} …).",
            remedy="Give a released checkpoint of KTSE or IRN, or ImageNet weights of resnet38d, a ResNet or vgg16.",
        ) from None


def check_weights(weights: str | Path) -> Contents:
    """Recognise a file and check that every tensor has its place in the network, and the network lacks none.

    Raises:
        WeightsError: As for `recognise`; or the network that the file describes does not fit it.
    """
    contents = recognise(weights)
    with torch.device("meta"):
        contents.build()
    return contents


def _refuse_stretched(content: object, path: Path) -> None:
    """Refuse tensors that repeat a few numbers endlessly: a network of their sizes would fill the memory."""
    for tensor in tensors_within(content):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(
                f"a tensor of '{path}' announces {tuple(tensor.shape)} numbers and holds fewer.",
                remedy="The file is damaged or hostile: get it again.",
            )


def _single(state: Mapping[str, Tensor], path: Path) -> Contents:
    """Tell what a file of one network holds; a `KeyError` says that it is none of those known here."""
    plain = {name.removeprefix("arg:").removeprefix("aux:"): tensor for name, tensor in state.items()}
    if "fc_edge1.0.weight" in state:
        name = _resnet(state, "resnet50.")
        return Contents("irnet", f"IRNet on {name}", 0, partial(_load, build_irnet, load_published_irnet, state, name))
    if "fc9.weight" in state:
        return _localizer(state)
    if "aspp.c0.weight" in state:
        name, labels = _deeplab(state)
        load = partial(_load, build_deeplab, load_published_deeplab, state, name, labels)
        return Contents("segmenter", f"DeepLabV2 on {name}, {labels} labels", labels, load)
    if gamma := plain.keys() & {"bn7_gamma", "bn7.weight"}:
        width = len(plain[gamma.pop()]) / FULL_WIDTH
        build = partial(build_trunk, "resnet38d", weights=path, width=width)
        return Contents("trunk", f"trunk resnet38d of width {width:g}", 0, build)
    name = "vgg16" if "features.0.weight" in state else _resnet(state)
    return Contents("trunk", f"trunk {name}", 0, partial(build_trunk, name, weights=path))


def _load(build: Callable[..., Any], load: Callable[..., None], state: Mapping[str, Any], *sizes: Any) -> nn.Module:
    network: nn.Module = build(*sizes)
    load(network, state)
    return network


def _localizer(state: Mapping[str, Tensor]) -> Contents:
    width, classes, head = len(state["bn7.weight"]) / FULL_WIDTH, len(state["fc9.weight"]) - 1, len(state["fc8.weight"])
    build = partial(build_localizer, "resnet38d", classes, width=width, head_width=head)
    description = f"localizer on resnet38d of width {width:g}, {classes} classes"
    return Contents("localizer", description, classes, partial(_load, build, load_published_localizer, state))


def _pair(content: Mapping[str, Any]) -> Contents | None:
    held = content.get(WRAPPER, content)
    first = held.get("network1") if isinstance(held, Mapping) else None
    if not isinstance(first, Mapping):
        return None
    name, labels = _deeplab(without_prefix(first, "module."))
    pair = partial(build_deeplab_pair, partial(build_deeplab, name, labels))
    build = partial(_load, pair, load_published_deeplab_pair, content)
    return Contents("segmenter", f"pair of DeepLabV2 on {name}, {labels} labels", labels, build)


def _deeplab(state: Mapping[str, Tensor]) -> tuple[str, int]:
    """Return the trunk and the number of labels."""
    released = any(name.startswith("backbone.") for name in state)
    return _resnet(state, "backbone." if released else ""), len(state["aspp.c0.weight"])


def _resnet(state: Mapping[str, Tensor], prefix: str = "") -> str:
    """Return the name of the ResNet whose stages the names tell.

    Raises:
        KeyError: No such ResNet.
    """
    names = [name.removeprefix(prefix) for name in state if name.startswith(f"{prefix}layer")]
    blocks = (len({name.split(".")[1] for name in names if name.startswith(f"layer{stage}.")}) for stage in range(1, 5))
    return RESNETS[(*blocks, "bottleneck" if "layer1.0.conv3.weight" in names else "basic")]
