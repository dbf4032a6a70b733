"""The checkpoint of IRN's published code into our IRNet."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ktse.nets.irnet import IRNet
from ktse.nets.strict_loading import load_strictly, without, without_prefix

ALIASES = (*(f"stage{number}." for number in range(1, 6)), "fc_dp7.4.", "resnet50.fc.")
"""Second names of tensors that have a first one, and the classifier that nothing uses."""

PUBLISHED_PREFIXES = {
    "trunk.network.": "resnet50.",
    **{f"edge_taps.{index}.": f"fc_edge{index + 1}." for index in range(5)},
    "edge_merge.": "fc_edge6.",
    **{f"displacement_taps.{index}.": f"fc_dp{index + 1}." for index in range(5)},
    "displacement_coarse.": "fc_dp6.",
    "displacement_merge.": "fc_dp7.",
}
"""How a name of ours begins, and how the published one does."""


def load_published_irnet(net: IRNet, state: Mapping[str, Tensor]) -> None:
    """Load a state under the names of IRN's published code, in place.

    The aliases `stage1.` to `stage5.` and `fc_dp7.4.` and the classifier `resnet50.fc.` may be there and are left out;
    counters `num_batches_tracked` may be there or not; names may all begin with `module.`; all else has to fit exactly.

    Args:
        net: An IRNet on ResNet-50.
        state: What `torch.load(path, weights_only=True)` or `read_weights(path)` gives.

    Raises:
        WeightsError: Names are missing or unknown, or shapes differ; a few of each are named.

    Example:
        >>> from ktse.nets.irnet import build_irnet
        >>> net = build_irnet("test_resnet")
        >>> load_published_irnet(net, {published_name(name): tensor for name, tensor in net.state_dict().items()})
    """
    published = without(without_prefix(state, "module."), ALIASES)
    load_strictly(net, published, source="the IRNet checkpoint", foreign_name=published_name)


def published_name(name: str) -> str:
    """Translate a name of ours; `mean_shift` is called the same.

    Example:
        >>> published_name("edge_taps.1.0.weight"), published_name("trunk.network.layer4.1.bn1.bias")
        ('fc_edge2.0.weight', 'resnet50.layer4.1.bn1.bias')
    """
    for own, published in PUBLISHED_PREFIXES.items():
        if name.startswith(own):
            return published + name.removeprefix(own)
    return name
