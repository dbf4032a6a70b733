"""Published DeepLabV2 checkpoints into our network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ktse.errors import WeightsError, near_matches
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
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
    load_strictly(net, tensors, source="the DeepLab checkpoint", foreign_name=_dialect(tensors))


def load_published_deeplab_pair(pair: DeepLabPair, state: Mapping[str, Any]) -> None:
    """Load the released checkpoint of a co-trained pair into both networks, in place; for the rest as above.

    Args:
        pair: Segmenters on a ResNet of timm.
        state: `{"net_state_dict": {"network1": {...}, "network2": {...}}, ...}`, or what it holds under that name; as
            `ktse.nets.weight_files.read_checkpoint` gives it.

    Raises:
        WeightsError: A network is absent, or does not fit; the pair is unchanged then.

    Example:
        >>> from ktse.nets.deeplab import build_deeplab
        >>> from ktse.nets.deeplab_pair import DeepLabPair
        >>> pair = DeepLabPair(*(build_deeplab("test_resnet", num_labels=3, dilations=(1, 2)) for _ in range(2)))
        >>> networks = {name: network.state_dict() for name, network in pair.named_children()}
        >>> released = {
        ...     network: {released_name(name): tensor for name, tensor in tensors.items()}
        ...     for network, tensors in networks.items()
        ... }
        >>> load_published_deeplab_pair(pair, {"net_state_dict": released, "epoch": 100})
    """
    content = state.get(WRAPPER, state)
    networks = {name: without_prefix(_choose_of_pair(content, name), "module.") for name, _ in pair.named_children()}
    dialects = {name: _dialect(tensors) for name, tensors in networks.items()}

    def foreign_name(name: str) -> str:
        network, own = name.split(".", 1)
        return f"{network}.{dialects[network](own)}"

    tensors = {f"{network}.{name}": tensor for network, state in networks.items() for name, tensor in state.items()}
    load_strictly(pair, tensors, source="the checkpoint of a DeepLab pair", foreign_name=foreign_name)


def _dialect(tensors: Mapping[str, Tensor]) -> Callable[[str], str]:
    """Return the translation of our names into those that a checkpoint has."""
    return released_name if any(name.startswith("backbone.") for name in tensors) else published_name


def _choose(state: Any, network: str) -> Mapping[str, Tensor]:
    """Return the tensors of one network, whether `state` holds one or several."""
    if isinstance(state, Mapping) and not any(isinstance(value, Mapping) for value in state.values()):
        return state
    return _choose_of_pair(state, network)


def _choose_of_pair(state: Any, network: str) -> Mapping[str, Tensor]:
    """Return the tensors of one of several networks."""
    held = state if isinstance(state, Mapping) else {}
    networks = {name: value for name, value in held.items() if isinstance(value, Mapping)}
    if network not in networks:
        remedy = near_matches(network, networks) if networks else "Give the checkpoint of a co-trained pair."
        raise WeightsError(f"the checkpoint has no '{network}'.", remedy=remedy)
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
