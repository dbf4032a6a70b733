"""The released checkpoint of the localizer (`039net_main.pth`) into ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ktse.nets.localizer import Localizer
from ktse.nets.strict_loading import load_strictly, without, without_prefix

UNUSED = ("bn8.",)
"""Made by the published network and never applied (REFERENCE 1.2)."""


def load_published_localizer(net: Localizer, state: Mapping[str, Tensor]) -> None:
    """Load a state with the names of the released checkpoint: `conv1a`, `b2` to `bn7`, `fc8`, `fc9`, `gconv1` to 3.

    `bn8` may be there and is left out; counters `num_batches_tracked` may be there or not; every name may begin with
    `module.`. Everything else has to fit exactly.

    Args:
        net: A localizer on ResNet38d, of the state's width and number of classes.
        state: What `torch.load(path, weights_only=True)` or `read_weights(path)` gives.

    Raises:
        WeightsError: Names are missing or unknown, or shapes differ; a few of each are named.

    Example:
        >>> from ktse.nets.localizer import build_localizer
        >>> net = build_localizer("resnet38d", num_classes=3, width=1 / 32)
        >>> load_published_localizer(net, {published_name(name): tensor for name, tensor in net.state_dict().items()})
    """
    published = without(without_prefix(state, "module."), UNUSED)
    load_strictly(net, published, source="the checkpoint", foreign_name=published_name)


def published_name(name: str) -> str:
    """Translate a name of the localizer to that of the released checkpoint.

    Example:
        >>> published_name("trunk.b2.bn_branch2a.weight"), published_name("gpp.gconv1.att_p.0.weight")
        ('b2.bn_branch2a.weight', 'gconv1.att_p.0.weight')
    """
    return name.removeprefix("trunk.").removeprefix("gpp.")
