"""Which batch normalisation layers learn, and which are fixed affine maps."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(module: nn.Module) -> Iterator[_BatchNorm]:
    """Yield every batch normalisation of `module`, its own subclasses (timm's, synchronised ones) included."""
    return (layer for layer in module.modules() if isinstance(layer, _BatchNorm))


def hold_batch_norms(module: nn.Module) -> None:
    """Put every batch normalisation of `module` into eval mode: it uses its stored statistics and leaves them alone.

    `nn.Module.train()` undoes this; a network that wants it for good calls it at the end of its own `train()`.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
        >>> hold_batch_norms(net)
        >>> net[0].training, net[1].training
        (True, False)
    """
    for layer in batch_norms(module):
        layer.eval()
