"""Two DeepLabV2 that learn from each other and answer together."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ktse.nets.deeplab import DeepLab
from ktse.ops.resize import resize_to
from ktse.types import SegmenterOutput


class DeepLabPair(nn.Module):
    """Two segmenters whose common answer is the mean of their `pre_logits` (REFERENCE 6.5).

    In training each is called by itself: `pair.network1(images)`, `pair.network2(images)`.

    Args:
        network1: One segmenter.
        network2: The other; independent parameters, the same labels and stride.
    """

    def __init__(self, network1: DeepLab, network2: DeepLab) -> None:
        super().__init__()
        self.network1 = network1
        self.network2 = network2

    def forward(self, images: Tensor) -> SegmenterOutput:
        """Score the labels of normalised images (B, 3, H, W) by both networks."""
        pre_logits = (self.network1.pre_logits(images) + self.network2.pre_logits(images)) / 2
        return SegmenterOutput(
            pre_logits=pre_logits, logits=resize_to(pre_logits, (images.shape[-2], images.shape[-1]))
        )

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return what learns in both networks, by the groups of `DeepLab.parameter_groups`."""
        second = self.network2.parameter_groups()
        return {name: first + second[name] for name, first in self.network1.parameter_groups().items()}


def build_deeplab_pair(build: Callable[[], DeepLab]) -> DeepLabPair:
    """Build two DeepLabV2 whose trunks begin alike and whose new layers are drawn independently (REFERENCE 6.1).

    Args:
        build: Builds one of them, as `ktse.nets.deeplab.build_deeplab` does; called twice. Trunks begin alike without
            weights, too.

    Example:
        >>> import torch
        >>> from ktse.nets.deeplab import build_deeplab
        >>> pair = build_deeplab_pair(lambda: build_deeplab("demo", num_labels=4, output_stride=4, dilations=(1, 2)))
        >>> output = pair(torch.zeros(2, 3, 33, 40))
        >>> output.pre_logits.shape, output.logits.shape
        (torch.Size([2, 4, 9, 10]), torch.Size([2, 4, 33, 40]))
        >>> torch.equal(pair.network1.trunk.stem.weight, pair.network2.trunk.stem.weight)
        True
    """
    network1, network2 = build(), build()
    network2.trunk.load_state_dict(network1.trunk.state_dict())
    return DeepLabPair(network1, network2)
