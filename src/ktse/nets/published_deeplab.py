"""Published DeepLabV2 checkpoints into our network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ktse.errors import WeightsError, near_matches
from ktse.nets.deeplab import DeepLab
from ktse.nets.strict_loading import load_strictly, without_prefix

WRAPPER = "net_state_dict"
"""Under which the released checkpoint keeps the two networks that were trained together."""

STEM = ("conv1.", "bn1.")
"""Parts of a ResNet that the released checkpoint files below `stem_layer`."""


def load_published_deeplab(net: DeepLab, state: Mapping[str, Any], *, network: str = "network1") -> None:
    """Load a DeepLabV2 on a ResNet from either published form, in place.

    Counters `num_batches_tracked` may be there or not; names may all begin with `module.`; all else has to fit exactly.

    Args:
        net: A segmenter on a ResNet of timm.
        state: Tensors under torchvision's names, with `aspp.c0`, `aspp.c1` ... for the head; or the released checkpoint
            of the co-trained pair, as `torch.load(path, weights_only=True)` gives it.
        network: Which of the pair, `network1` or `network2`; without meaning for a single network.

    Raises:
        WeightsError: Names are missing or unknown, or shapes differ; or there is no such network.

    Example:
        >>> from ktse.nets.deeplab import build_deeplab
        >>> net = build_deeplab("test_resnet", num_labels=3, dilations=(1, 2))
        >>> load_published_deeplab(net, {published_name(name): tensor for name, tensor in net.state_dict().items()})
    """
    tensors = without_prefix(_choose(state.get(WRAPPER, state), network), "module.")
    released = any(name.startswith("backbone.") for name in tensors)
    load_strictly(
        net, tensors, source="the DeepLab checkpoint", foreign_name=released_name if released else published_name
    )


def _choose(state: Mapping[str, Any], network: str) -> Mapping[str, Tensor]:
    """Return the tensors of one network, whether `state` holds one or several."""
    networks = {name: value for name, value in state.items() if isinstance(value, Mapping)}
    if not networks:
        return state
    if network not in networks:
        raise WeightsError(f"the checkpoint has no '{network}'.", remedy=near_matches(network, networks))
    return networks[network]


def published_name(name: str) -> str:
    """Translate a name of ours to torchvision's, and the head's to `aspp`.

    Example:
        >>> published_name("head.branches.3.bias"), published_name("trunk.network.layer1.0.bn1.bias")
        ('aspp.c3.bias', 'layer1.0.bn1.bias')
    """
    return name.replace("head.branches.", "aspp.c").removeprefix("trunk.network.")


def released_name(name: str) -> str:
    """Translate a name of ours to that of the released checkpoint.

    Example:
        >>> released_name("trunk.network.conv1.weight"), released_name("trunk.network.layer1.0.bn1.bias")
        ('backbone.stem_layer.conv1.weight', 'backbone.layer1.0.bn1.bias')
    """
    published = published_name(name)
    if published.startswith("aspp."):
        return published
    return f"backbone.stem_layer.{published}" if published.startswith(STEM) else f"backbone.{published}"
