"""Which batch normalisation layers learn, and which are fixed affine maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ktse.errors import RecipeError, near_matches

MODES = ("trained", "synchronized", "frozen")


def set_normalization(network: nn.Module, mode: str, *, device: torch.device, world_size: int) -> nn.Module:
    """Decide how the batch normalisation of a new network behaves in training.

    Args:
        network: Before it is given to an optimiser or wrapped for several processes.
        mode: `trained`: each process normalises by the statistics of its own images. `synchronized`: by those of all
            processes; the same as `trained` in a single one. `frozen`: by the statistics that came with the weights,
            and the affine map does not learn (`freeze_batch_norms`).
        device: Where the network will be trained.
        world_size: Number of processes.

    Returns:
        The network to use: `network` itself, its layers exchanged where need be.

    Raises:
        RecipeError: Unknown mode; or `synchronized` on a device on which PyTorch cannot do it.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
        >>> _ = set_normalization(net, "frozen", device=torch.device("cpu"), world_size=1)
        >>> net[1].training, net[1].weight.requires_grad
        (False, False)
    """
    if mode not in MODES:
        raise RecipeError(f"normalization_layers is '{mode}'.", remedy=near_matches(mode, MODES))
    if mode == "frozen":
        freeze_batch_norms(network)
    if mode != "synchronized" or world_size == 1:
        return network
    if device.type == "cpu":
        raise RecipeError(
            "batch normalisation cannot be synchronized between processes on the CPU: PyTorch does it on GPUs only.",
            remedy="Set segmentation.normalization_layers to frozen or trained, or train in a single process.",
        )
    # timm's own conversion: the one of PyTorch would lose the activation that timm's layers carry.
    from timm.layers import norm_act

    convert: Callable[[nn.Module], nn.Module] = norm_act.convert_sync_batchnorm
    return convert(network)


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


def freeze_batch_norms(module: nn.Module) -> None:
    """Make every batch normalisation of `module` a fixed affine map: eval mode, and parameters that do not learn.

    It stays so where `train()` ends with `hold_frozen_batch_norms`, as that of `DeepLab` does.
    """
    hold_batch_norms(module)
    for layer in batch_norms(module):
        layer.requires_grad_(False)


def hold_frozen_batch_norms(module: nn.Module) -> None:
    """Put the batch normalisation into eval mode whose parameters do not learn; the other layers keep their mode.

    Example:
        >>> net = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2).requires_grad_(False)).train()
        >>> hold_frozen_batch_norms(net)
        >>> net[0].training, net[1].training
        (True, False)
    """
    for layer in batch_norms(module):
        if layer.affine and not layer.weight.requires_grad:
            layer.eval()
