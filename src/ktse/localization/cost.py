"""What the training of the localizer will cost on this machine, measured on noise before anything is trained.

Time goes with the number of images that the network sees: an anchor, its erased copy, a pair, and a joint image, which
is as large as two. One image is timed; where a whole step is then expected to be quick, a whole step is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ktse.config import LocalizationSettings, Recipe
from ktse.data.loaders import batch_size
from ktse.engine.fabric import make_fabric
from ktse.engine.seeding import private_torch_seed
from ktse.localization.branches import needed_branches
from ktse.localization.task import KtseTask, settings_at
from ktse.localization.train import build
from ktse.types import PairBatch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE = 20.0
"""Seconds that a whole step may be expected to take for it to be measured."""

MOST_KEPT = 4 * 2**30
"""Bytes that a whole step may be expected to keep for it to be measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a training costs.

    Attributes:
        seconds: Of all its steps; reading of images not counted.
        memory: Bytes of the network, its gradients and what a step keeps for them; what the losses use in passing not
            counted.
        whole_step: Whether a whole step was measured; else it was extrapolated from one image.
        device: Where.
    """

    seconds: float
    memory: int
    whole_step: bool
    device: str


def localizer_cost(recipe: Recipe, *, images: int, classes: int, patience: float = PATIENCE) -> Cost:
    """Measure what the training of a recipe's localizer costs on this machine, as one process.

    Args:
        recipe: What is to be trained.
        images: N, of the training split.
        classes: K.
        patience: Seconds that a whole step may be expected to take for it to be measured.

    Returns:
        Time and memory.

    Example:
        >>> from ktse.config import replace
        >>> tiny = replace(Recipe(), localization={"trunk": "demo", "trunk_weights": None, "crop_size": 32,
        ...                "output_stride": 4}, segmentation={"trunk_weights": None}, runtime={"accelerator": "cpu"})
        >>> cost = localizer_cost(tiny, images=64, classes=3)
        >>> cost.device, cost.whole_step
        ('cpu', True)
    """
    settings, fabric = recipe.localization, make_fabric(recipe.runtime)
    last_epoch = settings.epochs - 1
    seen = [images_seen(settings, epoch=epoch) for epoch in range(settings.epochs)]
    with private_torch_seed():
        torch.manual_seed(recipe.runtime.random_seed)
        localizer = build(settings, num_classes=classes, weights=None)
        task = KtseTask(localizer, settings, mean=recipe.data.mean, std=recipe.data.std).to(fabric.device).train()
        one = _noise(settings, images=1, pairs=0, classes=classes, device=fabric.device)
        seconds, kept = _timed_step(task, one, 0, fabric)
        if seconds <= patience:  # the first step also warmed up the machine
            seconds, kept = _timed_step(task, one, 0, fabric)
        whole_step = seconds * seen[-1] <= patience and kept * seen[-1] <= MOST_KEPT
        if whole_step:
            size = batch_size(settings, epoch=last_epoch)
            batch = _noise(settings, images=size, pairs=_pairs(settings, last_epoch), classes=classes,
                           device=fabric.device)  # fmt: skip
            seconds, kept = (amount / seen[-1] for amount in _timed_step(task, batch, last_epoch, fabric))
    held = sum(_bytes(parameter) * (3 if parameter.requires_grad else 1) for parameter in task.parameters())
    steps = [images // batch_size(settings, epoch=epoch) for epoch in range(settings.epochs)]
    return Cost(
        seconds=seconds * sum(count * each for count, each in zip(steps, seen, strict=True)),
        memory=int(held + kept * max(seen) / settings.micro_batches),
        whole_step=whole_step,
        device=fabric.device.type,
    )


def images_seen(settings: LocalizationSettings, *, epoch: int) -> int:
    """Return how many images the network sees in a step, a joint image of two counted as two.

    Example:
        >>> images_seen(LocalizationSettings(), epoch=0), images_seen(LocalizationSettings(), epoch=10)
        (8, 44)
    """
    pairs = _pairs(settings, epoch)
    step = needed_branches(settings_at(settings, epoch), pairs=pairs)
    joint = 2 if settings.join == "stack" else 1
    return batch_size(settings, epoch=epoch) * (1 + step.erased) + pairs * (step.pair + joint * step.joint)


def _pairs(settings: LocalizationSettings, epoch: int) -> int:
    return settings.pairs if epoch >= settings.warm_up_epochs else 0


def _noise(settings: LocalizationSettings, *, images: int, pairs: int, classes: int, device: torch.device) -> PairBatch:
    """Return a batch of noise in which each image has one class."""
    size = settings.crop_size
    tags = torch.nn.functional.one_hot(torch.arange(images) % classes, classes).float().to(device)
    return PairBatch(
        torch.randn(images, 3, size, size, device=device),
        tags,
        torch.randn(pairs, 3, size, size, device=device),
        tags[:pairs],
        torch.rand(pairs, 1, size, size, device=device) > 0.5 if settings.join == "cutmix" else None,
    )


def _timed_step(task: nn.Module, batch: PairBatch, epoch: int, fabric: Fabric) -> tuple[float, float]:
    """Return the seconds of a step, and the bytes that it keeps for its gradients."""
    kept: dict[int, int] = {}
    parameters = {parameter.untyped_storage().data_ptr() for parameter in task.parameters()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    start = _now(fabric.device)
    with fabric.autocast(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total = task(batch, epoch).total
    total.backward()
    task.zero_grad(set_to_none=True)
    return _now(fabric.device) - start, float(sum(kept.values()))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
