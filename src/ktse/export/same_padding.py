"""Convolutions whose border depends on the size of the image (TensorFlow's "same"), for a graph of any size.

timm works such borders out as it goes. Drawn into a graph with open sizes, each becomes a formula in the sizes of the
layer before, and the exporter spends minutes on proofs about them. ONNX has the same border as an attribute of the
convolution. So the graph is drawn with a border that is fixed and gives the same size, and the attribute set after.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ktse.errors import KtseError

if TYPE_CHECKING:
    from onnxscript import ir

KEPT = ("in_channels", "out_channels", "kernel_size", "stride", "groups")
"""What the convolution with the fixed border has of the other, beside its parameters."""


def fix_same_borders(network: nn.Module) -> list[str]:
    """Exchange every convolution of timm with "same" border for one with a symmetric border, in place.

    Both give ceil(size / stride) cells; the values differ until `mark_same_borders` has changed the graph. Kernels of
    even side have no symmetric border of that size, and onnxruntime has no "same" border for dilated ones: both are
    left as they are.

    Returns:
        The names of the convolutions in `network`.

    Example:
        >>> from timm.layers.conv2d_same import Conv2dSame
        >>> net = nn.Sequential(Conv2dSame(1, 2, 3, stride=2))
        >>> fix_same_borders(net), net[0].padding
        (['0'], (1, 1))
    """
    from timm.layers.conv2d_same import Conv2dSame

    same = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, Conv2dSame) and layer.dilation == (1, 1) and all(side % 2 for side in layer.kernel_size)
    }
    for name, layer in same.items():
        network.set_submodule(name, _with_symmetric_border(layer))
    return list(same)


def _with_symmetric_border(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a plain convolution with the parameters of `layer`."""
    height, width = layer.kernel_size
    form: dict[str, Any] = {name: getattr(layer, name) for name in KEPT}
    with torch.device("meta"):
        plain = nn.Conv2d(**form, padding=(height // 2, width // 2), bias=layer.bias is not None)
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain


def mark_same_borders(graph: ir.Model, names: Iterable[str]) -> None:
    """Give convolutions of a graph their "same" border: as many cells at the end as at the start, or one more.

    Args:
        graph: As drawn, before anything in it is merged or renamed. Changed in place.
        names: What `fix_same_borders` returned for the network that the graph was drawn from.

    Raises:
        KtseError: The weights of a convolution are not those of one convolution of the graph.
    """
    from onnxscript import ir

    convolutions = [node for node in graph.graph if node.op_type == "Conv"]
    for name in names:
        matching = [node for node in convolutions if node.inputs[1] and node.inputs[1].name == f"{name}.weight"]
        if len(matching) != 1:
            raise KtseError(
                f"the graph has {len(matching)} convolutions with the weights of '{name}', expected one.",
                remedy="Install the versions of torch and onnxscript that constraints.txt names.",
            )
        attributes = matching[0].attributes
        attributes.pop("pads", None)
        attributes["auto_pad"] = ir.AttrString("auto_pad", "SAME_UPPER")
